"""What is really signed, against the formulas of FIPS 204 written out."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ketgate_server.signing import messages
from ketgate_server.signing.algorithms import ALGORITHMS, PREHASHES, Family

SLOW = {
    "SHA2-256": lambda m: hashlib.sha256(m).digest(),
    "SHA2-384": lambda m: hashlib.sha384(m).digest(),
    "SHA2-512": lambda m: hashlib.sha512(m).digest(),
    "SHA3-256": lambda m: hashlib.sha3_256(m).digest(),
    "SHA3-384": lambda m: hashlib.sha3_384(m).digest(),
    "SHA3-512": lambda m: hashlib.sha3_512(m).digest(),
    "SHAKE-128": lambda m: hashlib.shake_128(m).digest(32),
    "SHAKE-256": lambda m: hashlib.shake_256(m).digest(64),
}


@given(
    message=st.binary(max_size=500),
    context=st.binary(max_size=255),
    cuts=st.lists(st.integers(0, 500), max_size=5),
)
def test_mu_in_pieces_is_mu_at_once(message: bytes, context: bytes, cuts: list[int]) -> None:
    key = b"public key"
    hasher = messages.MuHasher(key, context)
    start = 0
    for cut in sorted(cuts):
        hasher.update(message[start:cut])
        start = max(start, cut)
    hasher.update(message[start:])
    tr = hashlib.shake_256(key).digest(64)
    formatted = b"\x00" + bytes([len(context)]) + context + message
    expected = hashlib.shake_256(tr + formatted).digest(64)
    assert hasher.digest() == expected == messages.mu(key, context, message)


@pytest.mark.parametrize("name", PREHASHES)
def test_pre_hashes(name: str) -> None:
    hasher = messages.prehash(name)
    hasher.update(b"mess")
    hasher.update(b"age")
    digest = SLOW[name](b"message")
    assert hasher.digest() == digest
    assert messages.prehash_bytes(name) == len(digest)
    # 2.16.840.1.101.3.4.2, then the arc that NIST's register of hashes gives.
    arc = {"SHA2-256": 1, "SHA2-384": 2, "SHA2-512": 3, "SHA3-256": 8, "SHA3-384": 9}
    arc |= {"SHA3-512": 10, "SHAKE-128": 11, "SHAKE-256": 12}
    formatted = (
        b"\x01\x04desk" + bytes.fromhex("0609608648016503040202")[:-1] + bytes([arc[name]]) + digest
    )
    assert messages.prehashed_message(name, digest, b"desk") == formatted
    tr = hashlib.shake_256(b"key").digest(64)
    assert messages.prehashed_mu(b"key", name, digest, b"desk") == hashlib.shake_256(
        tr + formatted
    ).digest(64)
    with pytest.raises(ValueError, match=f"a digest of {name} is"):
        messages.prehashed_message(name, digest[:-1], b"")


def test_other_names_and_long_contexts_are_refused() -> None:
    with pytest.raises(KeyError):
        messages.prehash("MD5")
    for refused in (messages.mu, messages.MuHasher):
        with pytest.raises(ValueError, match="at most 255 bytes; given 256"):
            refused(b"key", bytes(256), *([b""] if refused is messages.mu else []))  # type: ignore[operator]


def test_every_algorithm_that_takes_digests_has_their_hash() -> None:
    families = set()
    for algorithm in ALGORITHMS.values():
        hasher = messages.digest_hasher(algorithm)
        if hasher is None:
            assert not algorithm.digest_bytes
            continue
        families.add(algorithm.family)
        assert len(hasher.digest()) == algorithm.digest_bytes
    assert families == {Family.ECDSA, Family.COMPOSITE}
