"""Signatures as COSE_Sign1 (RFC 9052), tagged, with the payload inside; algorithm and key id in the protected header.

As in JWS, the key decides and never the header.
"""

from __future__ import annotations

from typing import Final

from ketgate_server.errors import FieldError
from ketgate_server.signing.algorithms import Algorithm
from ketgate_server.signing.formats import cbor, jose
from ketgate_server.signing.formats.jose import REGISTERED
from ketgate_server.signing.formats.jws import Parsed
from ketgate_server.signing.formats.malformed import Malformed

TAG: Final = 18
_ALG, _CRIT, _KID = 1, 2, 4


def prepare(algorithm: Algorithm, payload: bytes, kid: str) -> bytes:
    """What is to be signed: Sig_structure. kid: name of the key's version; empty: none. Raises FieldError for
    algorithms that COSE has not."""
    return _structure(_protected(algorithm, kid), payload)


def assemble(algorithm: Algorithm, payload: bytes, kid: str, signature: bytes) -> bytes:
    """The COSE_Sign1. signature: of a provider, over what prepare() gives for the same."""
    raw = jose.to_jose(algorithm, signature)
    return cbor.write(cbor.Tagged(TAG, [_protected(algorithm, kid), {}, payload, raw]))


def parse(content: bytes, algorithm: Algorithm, message: bytes = b"") -> Parsed:
    """A COSE_Sign1 of a key of this algorithm. message: the payload where it is detached. Raises Malformed."""
    tagged = cbor.read(content)
    if not isinstance(tagged, cbor.Tagged) or tagged.tag != TAG:
        raise Malformed(f"a COSE_Sign1 has the tag {TAG}")
    match tagged.value:
        case [
            bytes() as protected,
            dict() as unprotected,
            bytes() | None as payload,
            bytes() as signature,
        ]:
            pass
        case _:
            raise Malformed("a COSE_Sign1 is of two headers, a payload and a signature")
    header = cbor.read(protected) if protected else {}
    if not isinstance(header, dict):
        raise Malformed("the protected header of the COSE_Sign1 is no map")
    kid = _check_headers(algorithm, header, unprotected)
    if payload is None:
        payload = message
    raw = jose.from_jose(algorithm, signature)
    return Parsed(_structure(protected, payload), raw, payload, kid)


def _protected(algorithm: Algorithm, kid: str) -> bytes:
    if not jose.exists(algorithm):
        raise FieldError(
            "options.format",
            expected="RAW",
            given="COSE_SIGN1",
            hint=f"COSE has no number for {algorithm}",
        )
    header: dict[cbor.Key, cbor.Value] = {_ALG: REGISTERED[algorithm.id].cose}
    if kid:
        header[_KID] = kid.encode()
    return cbor.write(header)


def _structure(protected: bytes, payload: bytes) -> bytes:
    """Sig_structure, without external data."""
    return cbor.write(["Signature1", protected, b"", payload])


def _check_headers(
    algorithm: Algorithm,
    protected: dict[cbor.Key, cbor.Value],
    unprotected: dict[cbor.Key, cbor.Value],
) -> str:
    """The key id. Raises Malformed."""
    registered = REGISTERED.get(algorithm.id)
    if registered is None:
        raise Malformed(f"keys of {algorithm} make no COSE_Sign1")
    if protected.keys() & unprotected.keys():
        raise Malformed("the COSE_Sign1 has a header in both places")
    if _CRIT in protected or _CRIT in unprotected:
        raise Malformed("the COSE_Sign1 has critical headers: none of them is understood")
    alg = protected.get(_ALG)
    if type(alg) is not int or not alg or alg not in (registered.cose, registered.cose_also):
        raise Malformed(f"the COSE_Sign1's protected algorithm is not {registered.cose}, the key's")
    kid = protected.get(_KID, unprotected.get(_KID, b""))
    if not isinstance(kid, bytes):
        raise Malformed("the COSE_Sign1's key id is no byte string")
    return kid.decode("utf-8", "replace")
