"""Public keys in the formats that the contract names."""

from __future__ import annotations

from enum import StrEnum

from ketgate_server.errors import FieldError
from ketgate_server.signing.algorithms import Algorithm, Family
from ketgate_server.signing.formats import cose_key, jose, jwk, pem, spki


class PublicKeyFormat(StrEnum):
    """How a public key is written; names as the contract's PublicKeyFormat."""

    SPKI_PEM = "SPKI_PEM"
    SPKI_DER = "SPKI_DER"
    RAW = "RAW"
    JWK = "JWK"
    COSE = "COSE"


def formats(algorithm: Algorithm) -> list[PublicKeyFormat]:
    """Those that there are for keys of an algorithm; none without a public key."""
    if algorithm.family is Family.HMAC:
        return []
    there = {
        PublicKeyFormat.SPKI_PEM: spki.exists(algorithm),
        PublicKeyFormat.SPKI_DER: spki.exists(algorithm),
        # RSA has no bytes of its own beside SubjectPublicKeyInfo.
        PublicKeyFormat.RAW: algorithm.family is not Family.RSA_PSS,
        PublicKeyFormat.JWK: jose.exists(algorithm),
        PublicKeyFormat.COSE: jose.exists(algorithm),
    }
    return [name for name, exists in there.items() if exists]


def export_public_key(
    algorithm: Algorithm,
    raw: bytes,
    format: PublicKeyFormat,  # noqa: A002 - the contract's name
    kid: str = "",
) -> bytes:
    """A public key in a format. raw: as KeyVersion stores it. kid: the key id that JWK and COSE carry, the name
    of the version; empty: none. Raises FieldError for a format that the algorithm has not."""
    there = formats(algorithm)
    if format not in there:
        expected = " or ".join(there) or "no export at all: the key has no public part"
        raise FieldError("format", expected=f"{expected} (key of {algorithm})", given=format)
    match format:
        case PublicKeyFormat.SPKI_PEM:
            return pem.write(pem.PUBLIC_KEY, spki.write(algorithm, raw)).encode()
        case PublicKeyFormat.SPKI_DER:
            return spki.write(algorithm, raw)
        case PublicKeyFormat.RAW:
            return raw
        case PublicKeyFormat.JWK:
            return jwk.write(algorithm, raw, kid)
        case PublicKeyFormat.COSE:
            return cose_key.write(algorithm, raw, kid)
