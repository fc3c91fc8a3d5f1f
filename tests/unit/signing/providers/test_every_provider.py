"""One suite for every provider with every algorithm that it has: signing."""

import threading
from collections.abc import Sequence
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ketgate_server.signing import messages
from ketgate_server.signing.algorithms import Algorithm, Purpose
from ketgate_server.signing.provider import (
    Form,
    Input,
    KeyInvalid,
    Material,
    OperationFailed,
    Options,
    SigningKey,
    VerifyingKey,
)

from .subjects import a_context, is_slow, material, provider, subjects

SIGNERS = pytest.mark.parametrize(("name", "algorithm"), subjects(Purpose.SIGN))
MESSAGE = b"Pay 5 EUR to Ann."


def never() -> bool:
    return False


def pair(name: str, algorithm: Algorithm) -> tuple[SigningKey, VerifyingKey]:
    subject = provider(name)
    private = cast(SigningKey, subject.open_private(material(algorithm)))
    public = cast(VerifyingKey, subject.open_public(algorithm, private.public_key))
    return private, public


@SIGNERS
def test_what_is_signed_holds_and_nothing_else_does(name: str, algorithm: Algorithm) -> None:
    private, public = pair(name, algorithm)
    options = a_context(algorithm)
    signature = private.sign(MESSAGE, options)
    assert len(signature) <= algorithm.output_bytes_max
    assert not algorithm.output_bytes_fixed or len(signature) == algorithm.output_bytes_max
    assert public.verify(signature, MESSAGE, options)
    assert not public.verify(signature, MESSAGE + b" ", options)
    assert not public.verify(signature, b"", options)
    for place in (0, len(signature) // 2, len(signature) - 1):
        wrong = bytearray(signature)
        wrong[place] ^= 1
        assert not public.verify(bytes(wrong), MESSAGE, options), place


@SIGNERS
def test_another_key_does_not_verify(name: str, algorithm: Algorithm) -> None:
    private, _ = pair(name, algorithm)
    subject = provider(name)
    other = subject.open_public(algorithm, subject.public_key(subject.generate(algorithm)))
    signature = private.sign(MESSAGE, Options())
    assert not cast(VerifyingKey, other).verify(signature, MESSAGE, Options())


@SIGNERS
def test_contexts_are_part_of_what_is_signed(name: str, algorithm: Algorithm) -> None:
    if not algorithm.context_bytes_max:
        assert not provider(name).abilities()[algorithm.id].contexts
        return
    private, public = pair(name, algorithm)
    longest = Options(context=b"c" * 255)
    signature = private.sign(MESSAGE, longest)
    assert public.verify(signature, MESSAGE, longest)
    for context in (b"", b"c" * 254, b"c" * 256, b"d" * 255):
        assert not public.verify(signature, MESSAGE, Options(context=context)), len(context)
    with pytest.raises((ValueError, OperationFailed)):
        private.sign(MESSAGE, Options(context=b"c" * 256))


@SIGNERS
def test_a_message_can_be_empty_or_large(name: str, algorithm: Algorithm) -> None:
    private, public = pair(name, algorithm)
    for message in (b"", bytes(300_000)):
        assert public.verify(private.sign(message, Options()), message, Options())


@SIGNERS
def test_every_way_that_it_says_it_can(name: str, algorithm: Algorithm) -> None:
    can = provider(name).abilities()[algorithm.id]
    private, public = pair(name, algorithm)
    if Input.MU in can.inputs:
        mu = messages.mu(private.public_key, b"desk", MESSAGE)
        by_mu = private.sign(mu, Options(Input.MU))
        assert public.verify(by_mu, MESSAGE, Options(context=b"desk"))
        assert public.verify(private.sign(MESSAGE, Options(context=b"desk")), mu, Options(Input.MU))
        assert not public.verify(by_mu, MESSAGE, Options())
    if Input.DIGEST in can.inputs:
        hasher = messages.digest_hasher(algorithm)
        assert hasher is not None
        hasher.update(MESSAGE)
        by_digest = private.sign(hasher.digest(), Options(Input.DIGEST))
        assert public.verify(by_digest, MESSAGE, Options())
        assert public.verify(
            private.sign(MESSAGE, Options()), hasher.digest(), Options(Input.DIGEST)
        )
    if can.deterministic:
        options = Options(deterministic=True)
        assert private.sign(MESSAGE, options) == private.sign(MESSAGE, options)
        assert public.verify(private.sign(MESSAGE, options), MESSAGE, options)
    else:
        assert private.sign(MESSAGE, Options()) != private.sign(MESSAGE, Options())


@SIGNERS
def test_pre_hashes_are_other_signatures(name: str, algorithm: Algorithm) -> None:
    private, public = pair(name, algorithm)
    if not provider(name).abilities()[algorithm.id].prehash:
        return
    for prehash in algorithm.prehashes:
        options = Options(context=b"desk", prehash=prehash)
        hasher = messages.prehash(prehash)
        hasher.update(MESSAGE)
        by_digest = Options(Input.DIGEST, b"desk", prehash)
        signature = private.sign(MESSAGE, options)
        assert public.verify(signature, MESSAGE, options)
        assert public.verify(signature, hasher.digest(), by_digest)
        assert not public.verify(signature, MESSAGE, Options(context=b"desk"))
        assert not public.verify(signature, hasher.digest(), Options(context=b"desk"))
        assert public.verify(private.sign(hasher.digest(), by_digest), MESSAGE, options)


@SIGNERS
def test_what_it_cannot_do_is_refused_and_never_done_otherwise(
    name: str, algorithm: Algorithm
) -> None:
    """A provider that signed a mu as a message would make a valid signature of another message."""
    can = provider(name).abilities()[algorithm.id]
    private, public = pair(name, algorithm)
    if algorithm.external_mu:
        ways = [Options(Input.MU), Options(deterministic=True), Options(prehash="SHA2-256")]
        for options in ways:
            if not can.can_sign(options):
                with pytest.raises((ValueError, OperationFailed)):
                    private.sign(bytes(64), options)
    for options in (Options(Input.MU), Options(Input.DIGEST)):
        if options.input in can.inputs:
            with pytest.raises((ValueError, OperationFailed)):
                private.sign(b"of another size", options)
            assert not public.verify(private.sign(b"m", Options()), b"of another size", options)


@SIGNERS
def test_batches_are_as_single_ones(name: str, algorithm: Algorithm) -> None:
    private, public = pair(name, algorithm)
    count = 3 if is_slow(algorithm) else 9
    contents = [bytes([i]) * (i * 100) for i in range(count)]
    options = [a_context(algorithm) if i % 2 else Options() for i in range(count)]
    for threads in (1, 2):
        signatures = private.sign_many(contents, options, threads, never)
        assert all(
            signature is not None and public.verify(signature, content, option)
            for signature, content, option in zip(signatures, contents, options, strict=True)
        )
        wrong = [*cast("Sequence[bytes]", signatures)]
        wrong[1] = b""
        wrong[2] = b"x" * len(wrong[2])
        expected = [True, False, False, *[True] * (count - 3)]
        assert public.verify_many(wrong, contents, options, threads, never) == expected
    assert private.sign_many([], [], 2, never) == []
    assert public.verify_many([], [], [], 2, never) == []


@SIGNERS
def test_a_stop_leaves_the_rest_undone(name: str, algorithm: Algorithm) -> None:
    private, public = pair(name, algorithm)
    options = [Options()] * 4
    undone = [None] * 4
    assert private.sign_many([b"m"] * 4, options, 2, lambda: True) == undone
    signature = private.sign(b"m", Options())
    assert public.verify_many([signature] * 4, [b"m"] * 4, options, 2, lambda: True) == undone


@SIGNERS
def test_an_opened_key_is_used_by_threads_at_once(name: str, algorithm: Algorithm) -> None:
    private, public = pair(name, algorithm)
    rounds = 1 if is_slow(algorithm) else 5
    failures: list[object] = []

    def use(content: bytes) -> None:
        for _ in range(rounds):
            signature = private.sign(content, Options())
            if not public.verify(signature, content, Options()):
                failures.append(content)

    threads = [threading.Thread(target=use, args=(bytes([i]) * 1000,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


@SIGNERS
def test_a_closed_key_signs_no_more(name: str, algorithm: Algorithm) -> None:
    private, public = pair(name, algorithm)
    signature = private.sign(MESSAGE, Options())
    private.close()
    private.close()
    with pytest.raises(OperationFailed):
        private.sign(MESSAGE, Options())
    with pytest.raises(OperationFailed):
        private.sign_many([MESSAGE] * 3, [Options()] * 3, 2, never)
    assert public.verify(signature, MESSAGE, Options())


@pytest.mark.parametrize(
    ("name", "algorithm"),
    subjects(Purpose.SIGN, Purpose.ENCAPSULATE, Purpose.SEAL, Purpose.MAC),
)
def test_malformed_keys_are_refused_without_showing_them(name: str, algorithm: Algorithm) -> None:
    subject = provider(name)
    good = material(algorithm)
    secret = b"SECRET" * 20
    for content in (b"", secret, good.content[:-1], good.content + b"\x00"):
        wrong = Material(algorithm, good.form, content, good.public)
        with pytest.raises(KeyInvalid) as refusal:
            subject.open_private(wrong)
        assert "SECRET" not in str(refusal.value)
        with pytest.raises(KeyInvalid):
            subject.public_key(wrong)
    for form in set(Form) - subject.abilities()[algorithm.id].forms:
        with pytest.raises(KeyInvalid):
            subject.open_private(Material(algorithm, form, good.content, good.public))
    size = algorithm.public_key_bytes
    for public in (b"", b"\x04", bytes(size + 1), bytes(max(size - 1, 0)), b"\xff" * 10):
        with pytest.raises(KeyInvalid):
            subject.open_public(algorithm, public)


@SIGNERS
@settings(max_examples=25)
@given(choice=st.data())
def test_hostile_signatures_get_an_answer(
    name: str, algorithm: Algorithm, choice: st.DataObject
) -> None:
    """Any bytes of any length: random ones, and real ones cut, extended and altered."""
    _, public = pair(name, algorithm)
    options = a_context(algorithm)
    real = _real(name, algorithm)
    hostile = choice.draw(
        st.one_of(
            st.binary(max_size=200),
            st.integers(0, len(real) - 1).map(lambda cut: real[:cut]),
            st.binary(min_size=1, max_size=40).map(lambda more: real + more),
            st.binary(min_size=1, max_size=40).map(lambda more: more + real),
            st.tuples(st.integers(0, len(real) - 1), st.integers(1, 255)).map(
                lambda change: (
                    real[: change[0]] + bytes([real[change[0]] ^ change[1]]) + real[change[0] + 1 :]
                )
            ),
            st.sampled_from([bytes(len(real)), b"\xff" * len(real), b"0" * 100_000]),
        )
    )
    # secp256k1 is verified without the recovery id as well.
    same = hostile == real or (algorithm.id == "ECDSA_SECP256K1_SHA256" and hostile == real[:64])
    assert public.verify(hostile, MESSAGE, options) is same
    assert public.verify_many([hostile], [MESSAGE], [options], 2, never) == [same]


_REAL: dict[tuple[str, str], bytes] = {}


def _real(name: str, algorithm: Algorithm) -> bytes:
    at = (name, algorithm.id)
    if at not in _REAL:
        _REAL[at] = pair(name, algorithm)[0].sign(MESSAGE, a_context(algorithm))
    return _REAL[at]
