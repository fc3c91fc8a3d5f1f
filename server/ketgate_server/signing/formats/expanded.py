"""Expanded private keys beside their seeds: FIPS 204's sk and FIPS 203's dk."""

from __future__ import annotations

import hmac

from ketgate_server.signing.algorithms import Algorithm, Family
from ketgate_server.signing.formats import ml_kem
from ketgate_server.signing.kek.wiping import wipe
from ketgate_server.signing.providers import mldsa_expand

_SIZES = {
    "ML_DSA_44": 2560,
    "ML_DSA_65": 4032,
    "ML_DSA_87": 4896,
    "ML_KEM_512": 1632,
    "ML_KEM_768": 2400,
    "ML_KEM_1024": 3168,
}


def expanded_bytes(algorithm: Algorithm) -> int:
    """Size of its expanded private keys."""
    return _SIZES[algorithm.id]


def agrees(algorithm: Algorithm, seed: bytes, expanded: bytes) -> bool:
    """Whether an expanded private key, of the right size, is that of the seed."""
    if algorithm.family is Family.ML_KEM:
        return hmac.compare_digest(ml_kem.expand(algorithm, seed), expanded)
    _, right = mldsa_expand.expand(mldsa_expand.PARAMETERS[algorithm.id], seed)
    same = hmac.compare_digest(right, expanded)
    wipe(right)
    return same
