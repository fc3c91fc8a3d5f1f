"""Private and public keys of liboqs's schemes: from the material that is stored to what the library takes.

ML-DSA and ML-KEM are stored as the standard's seeds and expanded here; Falcon as the library writes it; SLH-DSA,
where a liboqs has FIPS 205 itself, as the standard writes it. SPHINCS+ of before the standard is never used.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ketgate_server.signing.algorithms import Algorithm, Family
from ketgate_server.signing.kek.wiping import wipe
from ketgate_server.signing.provider import Abilities, Form, KeyInvalid, Material, OperationFailed
from ketgate_server.signing.providers import mldsa_expand

_KYBER_Q = 3_329
_FALCON_Q = 12_289
_FASTER = 10  # than cryptography, where both have an algorithm: 7 times for ML-DSA-65, with AVX2


@dataclass(frozen=True, repr=False)
class PrivateKey:
    """What the library takes."""

    content: bytearray
    public_key: bytes

    def wipe(self) -> None:
        wipe(self.content)


def scheme_name(algorithm: Algorithm) -> str | None:
    """liboqs's name of an algorithm; None where it has none."""
    if algorithm.family in (Family.ML_DSA, Family.ML_KEM, Family.FALCON):
        return algorithm.name
    if algorithm.family is Family.SLH_DSA:
        return algorithm.id.replace("SLH_DSA_", "SLH_DSA_PURE_")
    return None


def abilities(algorithm: Algorithm) -> Abilities:
    forms = {
        Family.ML_DSA: frozenset({Form.SEED, Form.EXPANDED}),
        Family.ML_KEM: frozenset({Form.SEED, Form.EXPANDED}),
    }
    return Abilities(
        contexts=algorithm.context_bytes_max > 0,
        forms=forms.get(algorithm.family, frozenset({Form.RAW})),
        rank=_FASTER,
    )


def generate(oqs: Any, algorithm: Algorithm) -> Material:
    """A new private key: seeds from the system's random source, where there are seeds."""
    if algorithm.family in (Family.ML_DSA, Family.ML_KEM):
        return Material(algorithm, Form.SEED, os.urandom(algorithm.private_bytes))
    with oqs.Signature(scheme_name(algorithm)) as scheme:
        try:
            public = scheme.generate_keypair()
        except RuntimeError as failure:
            raise OperationFailed(f"liboqs: {failure}") from None
        private = scheme.export_secret_key()
    # SLH-DSA's private key ends in the public one.
    return Material(
        algorithm, Form.RAW, private, public if algorithm.family is Family.FALCON else b""
    )


def private_key(oqs: Any, material: Material) -> PrivateKey:
    """Raises KeyInvalid."""
    algorithm = material.algorithm
    if material.form not in abilities(algorithm).forms:
        raise KeyInvalid(f"liboqs opens no {material.form} of {algorithm}")
    return _PRIVATE[algorithm.family](oqs, material)


def _ml_dsa(_oqs: Any, material: Material) -> PrivateKey:
    parameters = mldsa_expand.PARAMETERS[material.algorithm.id]
    if material.form is Form.SEED:
        public, content = mldsa_expand.expand(parameters, material.content)
        return PrivateKey(content, public)
    public = mldsa_expand.public_key(parameters, material.content)
    return PrivateKey(bytearray(material.content), public)


def _ml_kem(oqs: Any, material: Material) -> PrivateKey:
    if material.form is Form.EXPANDED:
        return _ml_kem_expanded(material)
    _expect(material, material.algorithm.private_bytes)
    with oqs.KeyEncapsulation(scheme_name(material.algorithm)) as scheme:
        try:
            public = scheme.generate_keypair_seed(material.content)
        except RuntimeError as failure:
            raise OperationFailed(f"liboqs: {failure}") from None
        return PrivateKey(bytearray(scheme.export_secret_key()), public)


def _ml_kem_expanded(material: Material) -> PrivateKey:
    """dk = dk_PKE || ek || H(ek) || z: algorithm 16 of FIPS 203, and the checks of its section 7.3."""
    public_bytes = material.algorithm.public_key_bytes
    start = public_bytes - 32
    _expect(material, start + public_bytes + 64)
    public = material.content[start : start + public_bytes]
    digest = material.content[start + public_bytes : start + public_bytes + 32]
    if hashlib.sha3_256(public).digest() != digest:
        raise KeyInvalid("the parts of an expanded private key do not belong together")
    check_public(material.algorithm, public)
    return PrivateKey(bytearray(material.content), public)


def _falcon(_oqs: Any, material: Material) -> PrivateKey:
    _expect(material, material.algorithm.private_bytes)
    check_public(material.algorithm, material.public)
    return PrivateKey(bytearray(material.content), material.public)


def _slh_dsa(_oqs: Any, material: Material) -> PrivateKey:
    _expect(material, material.algorithm.private_bytes)
    return PrivateKey(
        bytearray(material.content), material.content[material.algorithm.private_bytes // 2 :]
    )


def _expect(material: Material, size_bytes: int) -> None:
    if len(material.content) != size_bytes:
        raise KeyInvalid(
            f"the {material.form} of {material.algorithm} has {size_bytes} bytes; "
            f"given {len(material.content)}"
        )


_PRIVATE: Mapping[Family, Callable[[Any, Material], PrivateKey]] = {
    Family.ML_DSA: _ml_dsa,
    Family.ML_KEM: _ml_kem,
    Family.FALCON: _falcon,
    Family.SLH_DSA: _slh_dsa,
}


def check_public(algorithm: Algorithm, public: bytes) -> None:
    """Raises KeyInvalid for what is no public key. Of ML-DSA and SLH-DSA all bytes of the length are one."""
    if len(public) != algorithm.public_key_bytes:
        raise KeyInvalid(
            f"a public key of {algorithm} has {algorithm.public_key_bytes} bytes; given {len(public)}"
        )
    if algorithm.family is Family.ML_KEM:
        low = np.unpackbits(np.frombuffer(public[:-32], dtype=np.uint8), bitorder="little")
        coefficients = low.reshape(-1, 12) @ (1 << np.arange(12))
        if (coefficients >= _KYBER_Q).any():
            raise KeyInvalid(f"a public key of {algorithm} has coefficients below {_KYBER_Q}")
    elif algorithm.family is Family.FALCON:
        degree_log = {897: 9, 1793: 10}[len(public)]
        high = np.unpackbits(np.frombuffer(public[1:], dtype=np.uint8))
        coefficients = high.reshape(-1, 14) @ (1 << np.arange(14)[::-1])
        if public[0] != degree_log or (coefficients >= _FALCON_Q).any():
            raise KeyInvalid(
                f"a public key of {algorithm} begins with {degree_log}, then coefficients below {_FALCON_Q}"
            )
