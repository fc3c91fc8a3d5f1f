"""Expanded private keys beside their seeds: FIPS 204's sk and FIPS 203's dk."""

from __future__ import annotations

import hashlib
import hmac

from cryptography.hazmat.primitives.asymmetric import mldsa

from ketgate_server.signing.algorithms import Algorithm, Family
from ketgate_server.signing.formats import ml_kem

_SIZES = {
    "ML_DSA_44": 2560,
    "ML_DSA_65": 4032,
    "ML_DSA_87": 4896,
    "ML_KEM_512": 1632,
    "ML_KEM_768": 2400,
    "ML_KEM_1024": 3168,
}
_ML_DSA = {
    "ML_DSA_44": mldsa.MLDSA44PrivateKey,
    "ML_DSA_65": mldsa.MLDSA65PrivateKey,
    "ML_DSA_87": mldsa.MLDSA87PrivateKey,
}


def expanded_bytes(algorithm: Algorithm) -> int:
    """Size of its expanded private keys."""
    return _SIZES[algorithm.id]


def agrees(algorithm: Algorithm, seed: bytes, expanded: bytes) -> bool:
    """Whether an expanded private key, of the right size, is that of the seed."""
    if algorithm.family is Family.ML_KEM:
        return hmac.compare_digest(ml_kem.expand(algorithm, seed), expanded)
    public = _ML_DSA[algorithm.id].from_seed_bytes(seed).public_key().public_bytes_raw()
    # sk = rho || K || tr || ...: rho begins the public key, tr is its hash.
    tr = hashlib.shake_256(public).digest(64)
    return hmac.compare_digest(public[:32] + tr, expanded[:32] + expanded[64:128])
