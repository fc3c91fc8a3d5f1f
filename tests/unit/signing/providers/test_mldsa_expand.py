"""Expansion of ML-DSA's seeds: the vectors of key generation, and `cryptography` as the other implementation."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import mldsa
from hypothesis import given, settings
from hypothesis import strategies as st
from ketgate_server.signing.provider import KeyInvalid
from ketgate_server.signing.providers import mldsa_expand
from ketgate_server.signing.providers.mldsa_expand import PARAMETERS, expand, public_key

from . import vectors

OTHERS = {
    "ML_DSA_44": mldsa.MLDSA44PrivateKey,
    "ML_DSA_65": mldsa.MLDSA65PrivateKey,
    "ML_DSA_87": mldsa.MLDSA87PrivateKey,
}
SEED = bytes(range(32))


def cases() -> list[Any]:
    return [
        pytest.param(
            group["parameterSet"].replace("-", "_"),
            test,
            id=f"{group['parameterSet']}-{test['tcId']}",
        )
        for group, test in vectors.tests("acvp_ML-DSA-keyGen-FIPS204")
    ]


@pytest.mark.parametrize(("name", "case"), cases())
def test_keys_are_those_of_the_vectors(name: str, case: dict[str, str]) -> None:
    public, private = expand(PARAMETERS[name], bytes.fromhex(case["seed"]))
    assert public == bytes.fromhex(case["pk"])
    assert private == bytes.fromhex(case["sk"])
    assert public_key(PARAMETERS[name], bytes(private)) == public


@pytest.mark.parametrize("name", PARAMETERS)
@given(seed=st.binary(min_size=32, max_size=32))
@settings(max_examples=10)
def test_public_keys_are_those_of_the_other_implementation(name: str, seed: bytes) -> None:
    other = OTHERS[name].from_seed_bytes(seed).public_key().public_bytes_raw()
    assert expand(PARAMETERS[name], seed)[0] == other


def test_a_rejection_that_takes_more_than_was_squeezed_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once in 10^100 keys: the stream is made short instead, by a hash that repeats what is rejected."""
    rejected = b"\xff" * 3

    class Stream:
        def __init__(self, seed: bytes) -> None:
            self._seed = seed

        def digest(self, size: int) -> bytes:
            return (rejected * 400 + bytes(3) * 400)[:size]

    monkeypatch.setattr(mldsa_expand.hashlib, "shake_128", Stream)
    monkeypatch.setattr(mldsa_expand.hashlib, "shake_256", Stream)
    assert mldsa_expand._uniform(b"").tolist() == [0] * 256
    assert mldsa_expand._bounded(b"", 2).tolist() == [2] * 256


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_seeds_have_their_length(size: int) -> None:
    with pytest.raises(KeyInvalid, match="32 bytes"):
        expand(PARAMETERS["ML_DSA_65"], bytes(size))


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_private_key_whose_parts_do_not_belong_together_is_none(name: str) -> None:
    """A bit of the matrix's seed, of the public key's digest, of s1, of s2 and of t0 is changed."""
    parameters = PARAMETERS[name]
    _, private = expand(parameters, SEED)
    s2 = 128 + parameters.l * 32 * parameters.eta_bits
    t0 = 128 + (parameters.l + parameters.k) * 32 * parameters.eta_bits
    for place in (0, 64, 127, 128, s2, t0, len(private) - 1):
        changed = bytearray(private)
        changed[place] ^= 1
        with pytest.raises(KeyInvalid):
            public_key(parameters, bytes(changed))
    for content in (b"", bytes(private[:-1]), bytes(private) + b"\0"):
        with pytest.raises(KeyInvalid, match="bytes"):
            public_key(parameters, content)


def test_coefficients_out_of_range_are_refused() -> None:
    """eta = 2 is written in three bits, of which 5, 6 and 7 mean nothing."""
    parameters = PARAMETERS["ML_DSA_44"]
    _, private = expand(parameters, SEED)
    private[128] |= 0b111
    with pytest.raises(KeyInvalid, match="coefficients"):
        public_key(parameters, bytes(private))


def test_refusals_show_nothing_of_the_key() -> None:
    parameters = PARAMETERS["ML_DSA_44"]
    _, private = expand(parameters, SEED)
    private[0] ^= 1
    with pytest.raises(KeyInvalid) as refused:
        public_key(parameters, bytes(private))
    assert private[:16].hex() not in str(refused.value)
    assert len(str(refused.value)) < 100
