"""Public keys from others, in each of the formats that they are exported in."""

from __future__ import annotations

from ketgate_server.signing.algorithms import Algorithm
from ketgate_server.signing.formats import cose_key, jwk, spki
from ketgate_server.signing.formats.malformed import Malformed
from ketgate_server.signing.provider import KeyInvalid

FORMATS = "SubjectPublicKeyInfo in DER or PEM, a JWK, a COSE_Key, or raw bytes with the algorithm"

_CBOR_MAPS = range(0xA0, 0xC0)
"""First bytes of CBOR's maps; DER begins with 0x30, and JSON with a brace."""


def read(content: bytes, algorithm: Algorithm | None = None) -> tuple[Algorithm, bytes]:
    """(algorithm, raw key). algorithm: what it must be, which raw bytes need; None: whichever the content says. Raises
    KeyInvalid.

    Bytes of the length of a raw key of the algorithm are one: written otherwise, the same key is longer.
    """
    if algorithm is not None and 0 < algorithm.public_key_bytes == len(content):
        return algorithm, spki.canonical(algorithm, content)
    first = content.lstrip()[:1]
    try:
        if first == b"{":
            found, raw = jwk.read(content)
        elif content and content[0] in _CBOR_MAPS:
            found, raw = cose_key.read(content)
        elif algorithm is not None and not spki.exists(algorithm):
            size = algorithm.public_key_bytes
            raise KeyInvalid(
                f"a raw public key of {algorithm} has {size} bytes, given {len(content)}"
            )
        else:
            return spki.read(content, algorithm)
    except Malformed as error:
        raise KeyInvalid(str(error)) from None
    if algorithm is not None and found != algorithm:
        raise KeyInvalid(f"expected a public key of {algorithm}, given one of {found}")
    return found, raw
