"""The probes are what they say: one bound away from a signature, and a signature."""

import hashlib
from collections.abc import Callable
from typing import cast

import pytest
from ketgate_server.signing import messages
from ketgate_server.signing.algorithms import ALGORITHMS, Algorithm
from ketgate_server.signing.provider import Options, Providers, VerifyingKey
from ketgate_server.signing.providers import mldsa_expand, mldsa_probe
from ketgate_server.signing.providers.composite import CompositeProvider

from . import vectors
from .subjects import material, provider

ALL = pytest.mark.parametrize("id_", mldsa_probe.PARAMETERS)
BOUNDS = {
    "ML_DSA_44": (2**17, 95_232, 78),
    "ML_DSA_65": (2**19, 261_888, 196),
    "ML_DSA_87": (2**19, 261_888, 120),
}
"""gamma1, gamma2, beta."""


def verify_with(name: str, algorithm: Algorithm) -> Callable[[bytes, bytes, bytes], bool]:
    def verify(public_key: bytes, signature: bytes, message: bytes) -> bool:
        key = cast(VerifyingKey, provider(name).open_public(algorithm, public_key))
        return key.verify(signature, message, Options())

    return verify


@ALL
@pytest.mark.parametrize("name", ["cryptography", "liboqs"])
def test_providers_verify_as_the_standard_says(name: str, id_: str) -> None:
    assert mldsa_probe.verifies(ALGORITHMS[id_], verify_with(name, ALGORITHMS[id_]))


@ALL
def test_each_fault_is_found(id_: str) -> None:
    """A verifier that takes too much, and one that takes too little."""
    algorithm = ALGORITHMS[id_]
    right = verify_with("cryptography", algorithm)
    assert not mldsa_probe.verifies(algorithm, lambda *_: True)
    assert not mldsa_probe.verifies(algorithm, lambda *_: False)
    assert mldsa_probe.verifies(algorithm, right)
    assert len(mldsa_probe.too_long(algorithm)) == algorithm.output_bytes_max
    assert len(mldsa_probe.hinted_at_zero(algorithm)) == algorithm.output_bytes_max


@ALL
def test_only_its_length_is_wrong_with_the_one(id_: str) -> None:
    """Verified here step by step without the check of the length, z's one coefficient included."""
    algorithm = ALGORITHMS[id_]
    gamma1, gamma2, beta = BOUNDS[id_]
    of = mldsa_probe.PARAMETERS[id_]
    signature = mldsa_probe.too_long(algorithm)
    z = gamma1 - mldsa_expand._unpack(signature[of.challenge_bytes : -(of.omega + of.k)], of.z_bits)
    assert abs(z).max() == gamma1 - 1 >= gamma1 - beta
    matrix = mldsa_expand._expand_a(bytes(32), mldsa_expand.PARAMETERS[id_])
    q = mldsa_expand._Q
    product = (matrix * mldsa_expand._ntt(z % q)[None] % q).sum(axis=1) % q
    w = mldsa_expand._inverse_ntt(product)
    low = w % (2 * gamma2)
    low[low > gamma2] -= 2 * gamma2
    high = (w - low) // (2 * gamma2)
    high[w - low == q - 1] = 0

    mu = messages.mu(bytes(algorithm.public_key_bytes), b"", mldsa_probe.MESSAGE)
    packed = bytes(mldsa_expand._pack(high, of.w1_bits))
    challenge = hashlib.shake_256(mu + packed).digest(of.challenge_bytes)
    assert signature[: of.challenge_bytes] == challenge


def test_wycheproof_has_vectors_of_both_faults() -> None:
    """So that the files, run through every provider, catch them too."""
    for level in (44, 65, 87):
        tests = [test for _, test in vectors.tests(f"wycheproof_mldsa_{level}_verify_test")]
        assert any("InfinityNormViolation" in test["flags"] for test in tests)
        assert any("use_hint(1, 0)" in test["comment"] for test in tests)


def test_a_library_that_fails_them_signs_and_does_not_verify(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    provider("liboqs")
    from ketgate_server.signing.providers.liboqs_provider import LiboqsProvider

    monkeypatch.setattr(mldsa_probe, "verifies", lambda *_: False)
    distrusted = LiboqsProvider()
    assert set(distrusted.distrusted) == set(mldsa_probe.PARAMETERS)
    both = Providers((distrusted, provider("cryptography")))
    algorithm = ALGORITHMS["ML_DSA_65"]
    verifier = both.to_verify(algorithm, Options())
    signer = both.to_sign(material(algorithm), Options())
    assert verifier is not None
    assert verifier.name == "cryptography"
    assert signer is distrusted
    composites = CompositeProvider(distrusted, provider("cryptography")).abilities()
    assert not any(can.public for can in composites.values())
