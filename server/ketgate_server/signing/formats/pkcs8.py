"""Private keys in PKCS #8 (RFC 5958): RFC 9881 for ML-DSA, 9935 for ML-KEM, 9909 for SLH-DSA, 8410 for Ed25519,
5915 for ECDSA, and the composite draft. Falcon, HPKE and codes have none.

What is read becomes the one form in which the algorithm's keys are stored: the seed where there is one.
"""

from __future__ import annotations

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from ketgate_server.signing.algorithms import Algorithm, Family
from ketgate_server.signing.formats import der, pem, spki
from ketgate_server.signing.formats.expanded import agrees, expanded_bytes
from ketgate_server.signing.formats.malformed import Malformed
from ketgate_server.signing.provider import Form, KeyInvalid, Material

_SEED = der.context(0, constructed=False)
_ATTRIBUTES = der.context(0)
_PUBLIC_KEY = der.context(1, constructed=False)
_SEEDED = (Family.ML_DSA, Family.ML_KEM)
_RAW = (Family.SLH_DSA, Family.COMPOSITE)
"""Written as they are, without ASN.1 of their own."""


def exists(algorithm: Algorithm) -> bool:
    """Whether its private keys have a PKCS #8."""
    return algorithm.family in (*_SEEDED, *_RAW, Family.EDDSA, Family.ECDSA)


def write(material: Material) -> bytes:
    """DER. Raises KeyInvalid where the algorithm has no PKCS #8, and for a key that lies in a token."""
    algorithm, form, content = material.algorithm, material.form, material.content
    if form is Form.PKCS8:
        return content
    if not exists(algorithm) or form is Form.TOKEN:
        raise KeyInvalid(f"private keys of {algorithm} in the form {form} have no PKCS #8")
    if algorithm.family in _SEEDED:
        inner = der.element(_SEED if form is Form.SEED else der.OCTET_STRING, content)
    elif algorithm.family is Family.EDDSA:
        inner = der.octets(content)
    else:
        inner = content
    return der.sequence(der.integer(0), spki.identifier(algorithm), der.octets(inner))


def read(content: bytes, algorithm: Algorithm) -> Material:
    """The private key in a PKCS #8, DER or PEM, which must be one of this algorithm, and not encrypted. Raises
    KeyInvalid; whether a key's numbers belong together is for a provider's public_key() to say."""
    try:
        return _read(pem.read(content, pem.PRIVATE_KEY), algorithm)
    except Malformed as error:
        raise KeyInvalid(f"no PKCS #8 private key: {error}") from None


def read_private(content: bytes, algorithm: Algorithm) -> Material:
    """A private key as it is imported: PKCS #8, or raw where the algorithm has raw private keys. Raises
    KeyInvalid."""
    # No raw key is taken for PKCS #8: that is always longer than the raw key in it.
    if algorithm.private_bytes and len(content) == algorithm.private_bytes:
        return Material(algorithm, _raw_form(algorithm), content)
    if not exists(algorithm):
        raise KeyInvalid(
            f"a private key of {algorithm} has {algorithm.private_bytes} bytes, given {len(content)}"
        )
    return read(content, algorithm)


def write_private(material: Material) -> bytes:
    """A private key as it is exported: PKCS #8 where the algorithm has one, else raw."""
    return write(material) if exists(material.algorithm) else material.content


def _raw_form(algorithm: Algorithm) -> Form:
    seeded = (*_SEEDED, Family.EDDSA, Family.HPKE)
    return Form.SEED if algorithm.family in seeded else Form.RAW


def _read(content: bytes, algorithm: Algorithm) -> Material:
    reader = der.Reader(content)
    outer = reader.enter()
    reader.end("PKCS #8")
    version = outer.integer()
    if version not in (0, 1):
        raise Malformed("PKCS #8 of another version than 0 and 1")
    found = spki.read_identifier(outer.enter())
    if found != algorithm:
        raise KeyInvalid(f"expected a private key of {algorithm}, given one of {found}")
    private = outer.read(der.OCTET_STRING)
    if outer.next_is(_ATTRIBUTES):
        outer.read(_ATTRIBUTES)
    if version == 1 and outer.next_is(_PUBLIC_KEY):
        outer.read(_PUBLIC_KEY)
    outer.end("PKCS #8")
    if algorithm.family in _SEEDED:
        return _read_seeded(private, algorithm)
    if algorithm.family is Family.ECDSA:
        return _read_ecdsa(content, algorithm)
    if algorithm.family is Family.EDDSA:
        inner = der.Reader(private)
        private = inner.read(der.OCTET_STRING)
        inner.end("CurvePrivateKey")
        return Material(algorithm, Form.SEED, _sized(private, algorithm.private_bytes, algorithm))
    if algorithm.family in _RAW:
        size = algorithm.private_bytes or len(private)
        return Material(algorithm, Form.RAW, _sized(private, size, algorithm))
    raise KeyInvalid(f"private keys of {algorithm} have no PKCS #8 here")


def _read_seeded(private: bytes, algorithm: Algorithm) -> Material:
    """CHOICE of the seed, the expanded key, or both: then they must agree, and the seed is kept."""
    reader = der.Reader(private)
    seed: bytes | None = None
    expanded: bytes | None = None
    if reader.next_is(_SEED):
        seed = reader.read(_SEED)
    elif reader.next_is(der.OCTET_STRING):
        expanded = reader.read(der.OCTET_STRING)
    else:
        both = reader.enter()
        seed, expanded = both.read(der.OCTET_STRING), both.read(der.OCTET_STRING)
        both.end("both")
    reader.end("the private key")
    if expanded is not None:
        _sized(expanded, expanded_bytes(algorithm), algorithm, "expanded private key")
    if seed is None:
        assert expanded is not None
        return Material(algorithm, Form.EXPANDED, expanded)
    _sized(seed, algorithm.private_bytes, algorithm, "seed")
    if expanded is not None and not agrees(algorithm, seed, expanded):
        raise KeyInvalid(f"the seed and the expanded key of {algorithm} are of different keys")
    return Material(algorithm, Form.SEED, seed)


def _read_ecdsa(content: bytes, algorithm: Algorithm) -> Material:
    try:
        key = load_der_private_key(content, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The library's text could show parts of the key.
        raise KeyInvalid(f"no private key of {algorithm}: its numbers are wrong") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise KeyInvalid(f"expected a private key of {algorithm}, given another")
    canonical = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return Material(algorithm, Form.PKCS8, canonical)


def _sized(private: bytes, size: int, algorithm: Algorithm, what: str = "private key") -> bytes:
    if len(private) != size or not private:
        raise KeyInvalid(f"a {what} of {algorithm} has {size} bytes, given {len(private)}")
    return private
