"""One suite for every provider with every algorithm that it has: encapsulation, sealing, codes."""

import threading
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ketgate_server.signing.algorithms import Algorithm, Purpose
from ketgate_server.signing.provider import (
    DecapsulationKey,
    EncapsulationKey,
    KeyInvalid,
    MacKey,
    OpeningKey,
    OperationFailed,
    SealingKey,
)

from .subjects import material, provider, subjects

KEMS = pytest.mark.parametrize(("name", "algorithm"), subjects(Purpose.ENCAPSULATE))
SEALERS = pytest.mark.parametrize(("name", "algorithm"), subjects(Purpose.SEAL))
MACS = pytest.mark.parametrize(("name", "algorithm"), subjects(Purpose.MAC))


def kem_pair(name: str, algorithm: Algorithm) -> tuple[DecapsulationKey, EncapsulationKey]:
    subject = provider(name)
    private = cast(DecapsulationKey, subject.open_private(material(algorithm)))
    return private, cast(EncapsulationKey, subject.open_public(algorithm, private.public_key))


def hpke_pair(name: str, algorithm: Algorithm) -> tuple[OpeningKey, SealingKey]:
    subject = provider(name)
    private = cast(OpeningKey, subject.open_private(material(algorithm)))
    return private, cast(SealingKey, subject.open_public(algorithm, private.public_key))


@KEMS
def test_what_is_encapsulated_is_decapsulated(name: str, algorithm: Algorithm) -> None:
    private, public = kem_pair(name, algorithm)
    secret, ciphertext = public.encapsulate()
    assert len(secret) == 32
    assert len(ciphertext) == algorithm.output_bytes_max
    assert private.decapsulate(ciphertext) == secret
    assert public.encapsulate() != (secret, ciphertext)


@KEMS
def test_a_wrong_ciphertext_gives_a_secret_that_matches_nothing(
    name: str, algorithm: Algorithm
) -> None:
    private, public = kem_pair(name, algorithm)
    secret, ciphertext = public.encapsulate()
    wrong = bytes([ciphertext[0] ^ 1]) + ciphertext[1:]
    other = private.decapsulate(wrong)
    assert len(other) == 32
    assert other != secret
    assert private.decapsulate(wrong) == other
    for size in (0, 1, len(ciphertext) - 1, len(ciphertext) + 1):
        with pytest.raises((ValueError, OperationFailed)):
            private.decapsulate(bytes(size))


@KEMS
def test_a_public_key_with_coefficients_out_of_range_is_refused(
    name: str, algorithm: Algorithm
) -> None:
    with pytest.raises(KeyInvalid):
        provider(name).open_public(algorithm, b"\xff" * algorithm.public_key_bytes)


@KEMS
def test_threads_and_closing(name: str, algorithm: Algorithm) -> None:
    private, public = kem_pair(name, algorithm)
    failures: list[object] = []

    def use() -> None:
        for _ in range(20):
            secret, ciphertext = public.encapsulate()
            if private.decapsulate(ciphertext) != secret:
                failures.append(ciphertext)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    _, ciphertext = public.encapsulate()
    private.close()
    with pytest.raises(OperationFailed):
        private.decapsulate(ciphertext)


@SEALERS
def test_what_is_sealed_opens_only_as_it_was_sealed(name: str, algorithm: Algorithm) -> None:
    private, public = hpke_pair(name, algorithm)
    for plaintext in (b"", b"five", bytes(100_000)):
        sealed = public.seal(plaintext, b"use", b"beside")
        assert len(sealed) == len(plaintext) + algorithm.output_bytes_max
        assert private.open(sealed, b"use", b"beside") == plaintext
        assert private.open(sealed, b"another use", b"beside") is None
        assert private.open(sealed, b"use", b"") is None
    assert private.open(public.seal(b"x", b"", b""), b"", b"") == b"x"
    subject = provider(name)
    other = cast(OpeningKey, subject.open_private(subject.generate(algorithm)))
    assert other.open(public.seal(b"x", b"", b""), b"", b"") is None


@SEALERS
@settings(max_examples=30)
@given(choice=st.data())
def test_hostile_ciphertexts_open_to_nothing(
    name: str, algorithm: Algorithm, choice: st.DataObject
) -> None:
    private, public = hpke_pair(name, algorithm)
    real = public.seal(b"message", b"", b"")
    hostile = choice.draw(
        st.one_of(
            st.binary(max_size=200),
            st.integers(0, len(real) - 1).map(lambda cut: real[:cut]),
            st.binary(min_size=1, max_size=40).map(lambda more: real + more),
            st.integers(0, len(real) - 1).map(
                lambda at: real[:at] + bytes([real[at] ^ 1]) + real[at + 1 :]
            ),
            st.sampled_from([bytes(len(real)), b"\xff" * len(real)]),
        )
    )
    assert private.open(hostile, b"", b"") is None


@SEALERS
def test_a_closed_key_opens_no_more(name: str, algorithm: Algorithm) -> None:
    private, public = hpke_pair(name, algorithm)
    sealed = public.seal(b"x", b"", b"")
    private.close()
    with pytest.raises(OperationFailed):
        private.open(sealed, b"", b"")


@MACS
def test_codes_are_of_the_key_and_the_message(name: str, algorithm: Algorithm) -> None:
    subject = provider(name)
    key = cast(MacKey, subject.open_private(material(algorithm)))
    code = key.compute(b"message")
    assert len(code) == algorithm.output_bytes_max
    assert key.compute(b"message") == code
    assert key.compute(b"massage") != code
    other = cast(MacKey, subject.open_private(subject.generate(algorithm)))
    assert other.compute(b"message") != code
    assert subject.public_key(material(algorithm)) == b""
    key.close()
    with pytest.raises(OperationFailed):
        key.compute(b"message")
