"""What is liboqs's own: expanded keys, Falcon's pairs, and liboqs-python as the slow, obvious way beside the kernel."""

import hashlib
import os
import threading
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ketgate_server.signing.algorithms import ALGORITHMS, Algorithm, Purpose
from ketgate_server.signing.provider import (
    DecapsulationKey,
    EncapsulationKey,
    Form,
    Input,
    KeyInvalid,
    Material,
    OperationFailed,
    Options,
    SigningKey,
    VerifyingKey,
)
from ketgate_server.signing.providers import liboqs_schemes

from .subjects import material, provider

ML_DSA, ML_KEM, FALCON = (ALGORITHMS[name] for name in ("ML_DSA_65", "ML_KEM_768", "FALCON_512"))
SIGNS = ("ML_DSA_44", "ML_DSA_65", "ML_DSA_87", "FALCON_512", "FALCON_1024")
PLAIN = Options()


@pytest.fixture(scope="module")
def liboqs() -> Any:
    return provider("liboqs")


def never() -> bool:
    return False


def direct(liboqs: Any, kind: str, algorithm: Algorithm) -> Any:
    """liboqs-python's own object with the private key."""
    secret = bytes(liboqs_schemes.private_key(liboqs._oqs, material(algorithm)).content)
    return getattr(liboqs._oqs, kind)(algorithm.name, secret)


@pytest.mark.parametrize("name", SIGNS)
def test_the_kernel_and_liboqs_python_agree(liboqs: Any, name: str) -> None:
    algorithm = ALGORITHMS[name]
    key = cast(SigningKey, liboqs.open_private(material(algorithm)))
    public = cast(VerifyingKey, liboqs.open_public(algorithm, key.public_key))
    slow = direct(liboqs, "Signature", algorithm)
    context = b"desk" if algorithm.context_bytes_max else b""
    options = Options(context=context)
    contents = [os.urandom(i) for i in range(12)]
    made = key.sign_many(contents, [options] * 12, 2, never)
    for content, signature in zip(contents, made, strict=True):
        assert slow.verify_with_ctx_str(content, signature, context, key.public_key)
    theirs = [slow.sign_with_ctx_str(content, context) for content in contents]
    assert public.verify_many(theirs, contents, [options] * 12, 2, never) == [True] * 12
    turned = theirs[1:] + theirs[:1]
    assert public.verify_many(turned, contents, [options] * 12, 2, never) == [False] * 12


@pytest.mark.parametrize("name", ["ML_KEM_512", "ML_KEM_768", "ML_KEM_1024"])
def test_secrets_are_those_of_liboqs_python(liboqs: Any, name: str) -> None:
    algorithm = ALGORITHMS[name]
    key = cast(DecapsulationKey, liboqs.open_private(material(algorithm)))
    public = cast(EncapsulationKey, liboqs.open_public(algorithm, key.public_key))
    slow = direct(liboqs, "KeyEncapsulation", algorithm)
    shared, ciphertext = public.encapsulate()
    assert slow.decap_secret(ciphertext) == shared
    ciphertext, shared = slow.encap_secret(key.public_key)
    assert key.decapsulate(ciphertext) == shared


@given(
    size=st.sampled_from([0, 1, 41, 3308, 3309, 3310, 5000]),
    context=st.binary(max_size=300),
    kind=st.sampled_from(Input),
    prehash=st.sampled_from(["", "SHA2-512"]),
)
def test_what_cannot_be_a_signature_is_none_of_the_batch_around_it(
    liboqs: Any, size: int, context: bytes, kind: Input, prehash: str
) -> None:
    key = cast(SigningKey, liboqs.open_private(material(ML_DSA)))
    public = cast(VerifyingKey, liboqs.open_public(ML_DSA, key.public_key))
    good, odd = key.sign(b"m", PLAIN), Options(kind, context, prehash)
    found = public.verify_many([good, bytes(size), good], [b"m"] * 3, [PLAIN, odd, PLAIN], 1, never)
    assert found == [True, False, True]


@pytest.mark.parametrize(
    "options",
    [
        Options(Input.MU),
        Options(prehash="SHA2-512"),
        Options(deterministic=True),
        Options(context=bytes(256)),
    ],
)
def test_what_it_cannot_do_is_refused(liboqs: Any, options: Options) -> None:
    key = cast(SigningKey, liboqs.open_private(material(ML_DSA)))
    can = liboqs.abilities()[ML_DSA.id]
    assert not can.can_sign(options) or len(options.context) > ML_DSA.context_bytes_max
    with pytest.raises(ValueError, match="liboqs signs messages"):
        key.sign(bytes(64), options)
    with pytest.raises(ValueError, match="liboqs signs messages"):
        key.sign_many([bytes(64)], [options], 1, never)


def test_falcon_has_no_contexts(liboqs: Any) -> None:
    assert not liboqs.abilities()["FALCON_512"].contexts
    with pytest.raises(ValueError, match="at most 0 bytes"):
        liboqs.open_private(material(FALCON)).sign(b"m", Options(context=b"c"))


def test_signatures_are_hedged(liboqs: Any) -> None:
    key = cast(SigningKey, liboqs.open_private(material(ML_DSA)))
    assert key.sign(b"m", PLAIN) != key.sign(b"m", PLAIN)


def test_expanded_keys_of_ml_kem_are_checked(liboqs: Any) -> None:
    seed = material(ML_KEM)
    content = bytes(liboqs_schemes.private_key(liboqs._oqs, seed).content)
    opened = liboqs.open_private(Material(ML_KEM, Form.EXPANDED, content))
    assert opened.public_key == liboqs.public_key(seed)
    at = ML_KEM.public_key_bytes - 32  # of the public key in it, whose digest follows
    wrong = bytearray(content)
    wrong[at : at + 2] = b"\xff\xff"
    with pytest.raises(KeyInvalid, match="do not belong together"):
        liboqs.public_key(Material(ML_KEM, Form.EXPANDED, bytes(wrong)))
    end = at + ML_KEM.public_key_bytes
    wrong[end : end + 32] = hashlib.sha3_256(wrong[at:end]).digest()
    with pytest.raises(KeyInvalid, match="coefficients below 3329"):
        liboqs.public_key(Material(ML_KEM, Form.EXPANDED, bytes(wrong)))


def test_a_pair_of_falcon_that_is_none_is_refused(liboqs: Any) -> None:
    """The public key is stored beside the private one, and could be another's."""
    one, other = material(FALCON), liboqs.generate(FALCON)
    assert liboqs.public_key(one) == one.public
    for wrong in (
        Material(FALCON, Form.RAW, one.content, other.public),
        Material(FALCON, Form.RAW, bytes(len(one.content)), one.public),
        Material(FALCON, Form.RAW, b"\xff" * len(one.content), one.public),
    ):
        for use in (liboqs.open_private, liboqs.public_key):
            with pytest.raises(KeyInvalid, match="do not belong together"):
                use(wrong)


@pytest.mark.parametrize(
    ("algorithm", "content"),
    [
        (ML_DSA, bytes(1951)),
        (ML_KEM, b"\xff" * 1184),
        (ML_KEM, bytes(1185)),
        (FALCON, bytes(897)),
        (FALCON, b"\x09" + b"\xff" * 896),
        (FALCON, b""),
    ],
)
def test_what_is_no_public_key_is_refused(
    liboqs: Any, algorithm: Algorithm, content: bytes
) -> None:
    with pytest.raises(KeyInvalid, match="a public key of"):
        liboqs.open_public(algorithm, content)


@pytest.mark.parametrize(
    ("algorithm", "form", "size"),
    [
        (ML_DSA, Form.SEED, 33),
        (ML_DSA, Form.EXPANDED, 4031),
        (ML_DSA, Form.PKCS8, 32),
        (ML_KEM, Form.SEED, 32),
        (ML_KEM, Form.EXPANDED, 2399),
        (FALCON, Form.RAW, 1280),
        (FALCON, Form.SEED, 48),
    ],
)
def test_what_is_no_private_key_is_refused(
    liboqs: Any, algorithm: Algorithm, form: Form, size: int
) -> None:
    wrong = Material(algorithm, form, b"\x5a" * size, material(algorithm).public)
    for use in (liboqs.open_private, liboqs.public_key):
        with pytest.raises(KeyInvalid) as refused:
            use(wrong)
        assert "5a5a" not in str(refused.value)


def test_a_key_may_be_closed_while_others_use_it(liboqs: Any) -> None:
    """Whatever was signed holds: no signature is ever made with half of a key."""
    key = cast(SigningKey, liboqs.open_private(material(ML_DSA)))
    public = cast(VerifyingKey, liboqs.open_public(ML_DSA, key.public_key))
    begun = threading.Barrier(3, timeout=60)
    made: list[bytes] = []

    def sign() -> None:
        begun.wait()
        try:
            for _ in range(10_000):
                made.append(key.sign(b"m", PLAIN))
        except OperationFailed:
            return

    threads = [threading.Thread(target=sign) for _ in range(2)]
    for thread in threads:
        thread.start()
    begun.wait()
    while len(made) < 20:
        key.sign(b"m", PLAIN)
    key.close()
    for thread in threads:
        thread.join()
    with pytest.raises(OperationFailed, match="closed"):
        key.sign(b"m", PLAIN)
    assert len(made) < 20_000
    assert all(public.verify(signature, b"m", PLAIN) for signature in made)


def test_as_many_threads_as_a_large_machine_has(liboqs: Any) -> None:
    key = cast(SigningKey, liboqs.open_private(material(ML_DSA)))
    public = cast(VerifyingKey, liboqs.open_public(ML_DSA, key.public_key))
    made = key.sign_many([b"m"] * 3, [PLAIN] * 3, 1_000, never)
    assert public.verify_many(made, [b"m"] * 3, [PLAIN] * 3, 1_000, never) == [True] * 3  # type: ignore[arg-type]


def test_only_what_the_standards_name_is_there(liboqs: Any) -> None:
    """SPHINCS+ of before FIPS 205 is another algorithm, and liboqs 0.13 has only that."""
    names = {liboqs_schemes.scheme_name(ALGORITHMS[name]) for name in liboqs.abilities()}
    assert not [name for name in names if name is not None and "SPHINCS" in name]
    assert liboqs_schemes.scheme_name(ALGORITHMS["SLH_DSA_SHA2_128F"]) == "SLH_DSA_PURE_SHA2_128F"
    assert liboqs_schemes.scheme_name(ALGORITHMS["ED25519"]) is None
    if liboqs.version.startswith("0.13"):
        assert not [name for name in liboqs.abilities() if name.startswith("SLH_DSA")]


def test_sizes_are_those_of_the_algorithms(liboqs: Any) -> None:
    for name in liboqs.abilities():
        algorithm = ALGORITHMS[name]
        scheme = liboqs._schemes[name].contents
        assert scheme.length_public_key == algorithm.public_key_bytes
        if algorithm.purpose is Purpose.SIGN:
            assert scheme.length_signature == algorithm.output_bytes_max
        else:
            assert scheme.length_ciphertext == algorithm.output_bytes_max
            assert scheme.length_keypair_seed == algorithm.private_bytes
            assert scheme.length_shared_secret == 32
