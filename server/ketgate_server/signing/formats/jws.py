"""Signatures as JWS in compact serialisation (RFC 7515), with the payload inside.

What a key says it is made for decides, never the header: a header that names another algorithm is refused, and so
is one that asks for what is not understood.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ketgate_server.errors import FieldError
from ketgate_server.signing.algorithms import Algorithm
from ketgate_server.signing.formats import base64url, jose, json_object
from ketgate_server.signing.formats.jose import REGISTERED
from ketgate_server.signing.formats.malformed import Malformed

HEADER_BYTES_MAX = 16 << 10


@dataclass(frozen=True)
class Parsed:
    """A JWS or COSE_Sign1 that was read, and not verified."""

    signed: bytes
    """What the signature is over."""
    signature: bytes
    """As the contract's RAW: what a provider verifies."""
    payload: bytes
    kid: str = ""
    """The key id that it names; empty without one. It says nothing that can be relied on."""


def prepare(algorithm: Algorithm, payload: bytes, kid: str) -> bytes:
    """What is to be signed: the header and the payload. kid: name of the key's version; empty: none. Raises
    FieldError for algorithms that JOSE has not."""
    if not jose.exists(algorithm):
        raise FieldError(
            "options.format", expected="RAW", given="JWS", hint=f"JOSE has no name for {algorithm}"
        )
    header = {"alg": REGISTERED[algorithm.id].jose}
    if kid:
        header["kid"] = kid
    text = json.dumps(header, separators=(",", ":")).encode()
    return f"{base64url.write(text)}.{base64url.write(payload)}".encode()


def assemble(algorithm: Algorithm, payload: bytes, kid: str, signature: bytes) -> bytes:
    """The JWS, ASCII. signature: of a provider, over what prepare() gives for the same."""
    end = base64url.write(jose.to_jose(algorithm, signature)).encode()
    return prepare(algorithm, payload, kid) + b"." + end


def parse(content: bytes, algorithm: Algorithm, message: bytes = b"") -> Parsed:
    """A JWS of a key of this algorithm. message: the payload where the JWS leaves it out (RFC 7515, appendix F).
    Raises Malformed."""
    parts = content.split(b".", 3)
    if len(parts) != 3:
        raise Malformed("a compact JWS has three parts between dots")
    protected, body, signature = parts
    header = _header(protected)
    _check_header(algorithm, header)
    payload = base64url.read(body, "the JWS payload")
    if not payload and message:
        payload, body = message, base64url.write(message).encode()
    raw = jose.from_jose(algorithm, base64url.read(signature, "the JWS signature"))
    return Parsed(protected + b"." + body, raw, payload, header.get("kid", ""))


def _header(protected: bytes) -> dict[str, Any]:
    if len(protected) > HEADER_BYTES_MAX:
        raise Malformed(f"a JWS header of more than {HEADER_BYTES_MAX} bytes is not read")
    text = base64url.read(protected, "the JWS header")
    return json_object.read(text, "the JWS header", HEADER_BYTES_MAX)


def _check_header(algorithm: Algorithm, header: dict[str, Any]) -> None:
    registered = REGISTERED.get(algorithm.id)
    if registered is None:
        raise Malformed(f"keys of {algorithm} make no JWS")
    if "crit" in header:
        raise Malformed('the JWS header has "crit": none of its extensions is understood')
    if header.get("b64", True) is not True:
        raise Malformed("a JWS with an unencoded payload is not read")
    alg = header.get("alg")
    if not isinstance(alg, str) or not alg or alg not in (registered.jose, registered.jose_also):
        raise Malformed(f"the JWS header's \"alg\" is not {registered.jose}, the key's")
    if not isinstance(header.get("kid", ""), str):
        raise Malformed('the JWS header\'s "kid" is no text')
