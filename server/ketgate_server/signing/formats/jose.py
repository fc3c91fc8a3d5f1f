"""Names and numbers of algorithms in JOSE and COSE: RFC 9964 for ML-DSA, 8037 and 9864 for Ed25519, 7518 and 9053 for
ECDSA and RSASSA-PSS, 8812 for secp256k1. What has none there (SLH-DSA, Falcon, composites, KEMs) is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ketgate_server.signing.algorithms import ALGORITHMS, Algorithm
from ketgate_server.signing.formats import ecdsa
from ketgate_server.signing.formats.malformed import Malformed


@dataclass(frozen=True)
class Registered:
    """An algorithm in the registries of JOSE and COSE."""

    jose: str
    cose: int
    jose_also: str = ""
    """Another name, which is read and never written."""
    cose_also: int = 0
    scalar_bytes: int = 0
    """Of r and of s, where signatures are r || s; 0: as the algorithm's own standard writes them."""
    curve: str = ""
    """In JWK's "crv"."""
    cose_curve: int = 0


REGISTERED: Final[dict[str, Registered]] = {
    "ML_DSA_44": Registered("ML-DSA-44", -48),
    "ML_DSA_65": Registered("ML-DSA-65", -49),
    "ML_DSA_87": Registered("ML-DSA-87", -50),
    # RFC 9864 names the curve in the algorithm; what is written is what older libraries read.
    "ED25519": Registered("EdDSA", -8, "Ed25519", -19, curve="Ed25519", cose_curve=6),
    "ECDSA_P256_SHA256": Registered(
        "ES256", -7, cose_also=-9, scalar_bytes=32, curve="P-256", cose_curve=1
    ),
    "ECDSA_P384_SHA384": Registered(
        "ES384", -35, cose_also=-51, scalar_bytes=48, curve="P-384", cose_curve=2
    ),
    "ECDSA_SECP256K1_SHA256": Registered(
        "ES256K", -47, scalar_bytes=32, curve="secp256k1", cose_curve=8
    ),
    "RSA_PSS_SHA256": Registered("PS256", -37),
}


BY_JOSE: Final = {found.jose: ALGORITHMS[name] for name, found in REGISTERED.items()}
BY_COSE: Final = {found.cose: ALGORITHMS[name] for name, found in REGISTERED.items()}
BY_CURVE: Final = {
    found.curve: ALGORITHMS[name] for name, found in REGISTERED.items() if found.curve
}
BY_COSE_CURVE: Final = {
    found.cose_curve: ALGORITHMS[name] for name, found in REGISTERED.items() if found.cose_curve
}


def exists(algorithm: Algorithm) -> bool:
    """Whether JOSE and COSE have it."""
    return algorithm.id in REGISTERED


def to_jose(algorithm: Algorithm, signature: bytes) -> bytes:
    """A signature as JOSE and COSE write it. signature: as the contract's RAW, made by a provider."""
    size = REGISTERED[algorithm.id].scalar_bytes
    if not size:
        return signature
    r, s = ecdsa.numbers(algorithm, signature)
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def from_jose(algorithm: Algorithm, signature: bytes) -> bytes:
    """A signature as the contract's RAW. Raises Malformed for r || s of another length."""
    registered = REGISTERED[algorithm.id]
    size = registered.scalar_bytes
    if not size:
        return signature
    if len(signature) != 2 * size:
        raise Malformed(
            f"a signature of {registered.jose} has {2 * size} bytes, given {len(signature)}"
        )
    return ecdsa.raw(algorithm, int.from_bytes(signature[:size]), int.from_bytes(signature[size:]))
