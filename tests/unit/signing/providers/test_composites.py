"""Composite ML-DSA: the draft's vector, another implementation's, and that both parts always count."""

from typing import Any, cast

import pytest
from ketgate_server.signing.algorithms import ALGORITHMS, Algorithm, Family
from ketgate_server.signing.provider import (
    Form,
    KeyInvalid,
    Material,
    Options,
    Provider,
    SigningKey,
    VerifyingKey,
)
from ketgate_server.signing.providers.composite import CompositeProvider
from ketgate_server.signing.providers.composite_scheme import SCHEMES

from . import vectors
from .subjects import provider
from .vectors import octets

COMPOSITES = {a.name: a for a in ALGORITHMS.values() if a.family is Family.COMPOSITE}
NAMES = ["cryptography", "liboqs+cryptography"]


def verifying(name: str, algorithm: Algorithm, public_key: bytes) -> VerifyingKey:
    return cast(VerifyingKey, provider(name).open_public(algorithm, public_key))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("file", ["composite_draft", "composite_bouncycastle"])
def test_vectors(name: str, file: str) -> None:
    content = vectors.read(file)
    message, context = octets(content["m"]), octets(content["ctx"])
    for test in content["tests"]:
        algorithm = COMPOSITES[test["name"]]
        assert algorithm.oid == test["oid"]
        key = verifying(name, algorithm, octets(test["pk"]))
        with_context = octets(test["sWithContext"])
        assert key.verify(with_context, message, Options(context=context))
        assert not key.verify(with_context, message, Options())
        if "s" in test:
            assert key.verify(octets(test["s"]), message, Options())
        if "sk" in test:
            private = Material(algorithm, Form.RAW, octets(test["sk"]))
            assert provider(name).public_key(private) == octets(test["pk"])
            signer = cast(SigningKey, provider(name).open_private(private))
            assert key.verify(signer.sign(message, Options()), message, Options())


def test_the_vectors_are_of_every_composite() -> None:
    assert {test["name"] for test in vectors.read("composite_bouncycastle")["tests"]} == set(
        COMPOSITES
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("algorithm", COMPOSITES.values(), ids=str)
def test_both_parts_must_hold(name: str, algorithm: Algorithm) -> None:
    subject = provider(name)
    first, second = (
        cast(SigningKey, subject.open_private(subject.generate(algorithm))) for _ in range(2)
    )
    key = verifying(name, algorithm, first.public_key)
    cut = SCHEMES[algorithm.id].quantum.output_bytes_max
    mine, other = first.sign(b"m", Options()), second.sign(b"m", Options())
    assert key.verify(mine, b"m", Options())
    assert not key.verify(mine[:cut] + other[cut:], b"m", Options())
    assert not key.verify(other[:cut] + mine[cut:], b"m", Options())
    assert not key.verify(mine[:cut], b"m", Options())
    assert not key.verify(mine[cut:], b"m", Options())


@pytest.mark.parametrize("algorithm", COMPOSITES.values(), ids=str)
def test_the_parts_are_no_signatures_of_their_own(algorithm: Algorithm) -> None:
    """Taken apart, neither part is a signature of the message: the label and the prefix see to it."""
    subject = provider("cryptography")
    scheme = SCHEMES[algorithm.id]
    signer = cast(SigningKey, subject.open_private(subject.generate(algorithm)))
    signature = signer.sign(b"m", Options())
    cut, key_cut = scheme.quantum.output_bytes_max, scheme.quantum.public_key_bytes
    quantum = verifying("cryptography", scheme.quantum, signer.public_key[:key_cut])
    classical = verifying("cryptography", scheme.classical, signer.public_key[key_cut:])
    assert not quantum.verify(signature[:cut], b"m", Options())
    assert not classical.verify(signature[cut:], b"m", Options())
    formatted = scheme.message(b"m", Options())
    assert quantum.verify(signature[:cut], formatted, Options(context=scheme.label))
    assert classical.verify(signature[cut:], formatted, Options())


class Counting:
    """A provider that counts the verifications of those that it hands out."""

    def __init__(self, inner: Provider) -> None:
        self.inner = inner
        self.count = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def open_public(self, algorithm: Algorithm, public_key: bytes) -> Any:
        key = cast(VerifyingKey, self.inner.open_public(algorithm, public_key))
        counting = self

        class Key:
            def verify(self, signature: bytes, content: bytes, options: Options) -> bool:
                counting.count += 1
                return key.verify(signature, content, options)

        return Key()


def test_both_parts_are_checked_whatever_the_first_says() -> None:
    algorithm = ALGORITHMS["ML_DSA_65_ED25519"]
    subject = provider("cryptography")
    quantum, classical = Counting(subject), Counting(subject)
    both = CompositeProvider(cast(Provider, quantum), cast(Provider, classical))
    assert both.name == "cryptography+cryptography"
    key = both.open_public(algorithm, subject.public_key(subject.generate(algorithm)))
    for signature in (b"", bytes(3373), bytes(100)):
        assert not key.verify(signature, b"m", Options())
    assert (quantum.count, classical.count) == (3, 3)


def test_private_keys_are_the_drafts() -> None:
    """Sizes from the draft's table; RFC 5915 with its named curve and without the public key, and nothing else."""
    assert {a.id: a.private_bytes for a in COMPOSITES.values()} == {
        "ML_DSA_44_ED25519": 64,
        "ML_DSA_44_ECDSA_P256": 83,
        "ML_DSA_65_ED25519": 64,
        "ML_DSA_65_ECDSA_P256": 83,
        "ML_DSA_65_ECDSA_P384": 96,
        "ML_DSA_87_ECDSA_P384": 96,
    }
    subject = provider("cryptography")
    algorithm = COMPOSITES["MLDSA65-ECDSA-P256-SHA512"]
    content = subject.generate(algorithm).content
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    for wrong in (
        content[:32] + b"\x31" + content[33:],
        content[:-1] + b"\x08",
        content[:39] + bytes(32) + content[71:],
        content[:39] + order.to_bytes(32) + content[71:],
    ):
        with pytest.raises(KeyInvalid, match="the classical part is not"):
            subject.open_private(Material(algorithm, Form.RAW, wrong))
