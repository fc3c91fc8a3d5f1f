"""Signatures in X.509 (RFC 5280): RFC 9881 for ML-DSA, 9909 for SLH-DSA, 8410 for Ed25519, 5758 for ECDSA, 4055 for
RSASSA-PSS, and the composite draft. All are over the bytes themselves, with an empty context."""

from __future__ import annotations

from typing import Final

from ketgate_server.signing.algorithms import Algorithm, Family
from ketgate_server.signing.formats import der, ecdsa, spki
from ketgate_server.signing.formats.malformed import Malformed

_WITH_SHA256: Final = "1.2.840.10045.4.3.2"
_WITH_SHA384: Final = "1.2.840.10045.4.3.3"


def exists(algorithm: Algorithm) -> bool:
    """Whether certificates can be signed with it."""
    return algorithm.family in (
        Family.ML_DSA,
        Family.SLH_DSA,
        Family.EDDSA,
        Family.ECDSA,
        Family.COMPOSITE,
    )


def identifier(algorithm: Algorithm) -> bytes:
    """AlgorithmIdentifier of its signatures (all but RSA's, which are only read)."""
    if algorithm.family is Family.ECDSA:
        return der.sequence(der.oid(_WITH_SHA384 if "SHA384" in algorithm.id else _WITH_SHA256))
    return der.sequence(der.oid(algorithm.oid))


def write(algorithm: Algorithm, signature: bytes) -> bytes:
    """signatureValue's bytes. signature: RAW, of a provider."""
    if algorithm.family is Family.ECDSA:
        return ecdsa.write(*ecdsa.numbers(algorithm, signature))
    return signature


def read(algorithm: Algorithm, described: bytes, signature: bytes) -> bytes:
    """A signature as RAW. described: its AlgorithmIdentifier, which must be the one of the key's algorithm. Raises
    Malformed."""
    if algorithm.family is Family.RSA_PSS:
        # Read only: the service signs nothing with RSA.
        known = {der.sequence(der.oid(spki.RSASSA_PSS), rest) for rest in spki.PSS_PARAMETERS}
    elif exists(algorithm):
        known = {identifier(algorithm)}
    else:
        raise Malformed(f"keys of {algorithm} sign nothing in X.509")
    if described not in known:
        raise Malformed(f"it is not signed with {algorithm}, as its key would")
    if algorithm.family is Family.ECDSA:
        return ecdsa.raw(algorithm, *ecdsa.read(signature))
    return signature
