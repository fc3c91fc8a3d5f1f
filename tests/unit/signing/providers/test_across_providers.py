"""What one provider does another undoes, both ways, with the same stored key."""

from itertools import permutations
from typing import Any, cast

import pytest
from ketgate_server.signing import messages
from ketgate_server.signing.algorithms import ALGORITHMS, Algorithm, Purpose
from ketgate_server.signing.provider import (
    DecapsulationKey,
    EncapsulationKey,
    Input,
    Options,
    SigningKey,
    VerifyingKey,
)

from .subjects import a_context, provider, providers


def shared(purpose: Purpose) -> list[Any]:
    """(one, other, algorithm), both ways, of those that two providers have."""
    found = [
        pytest.param(one, other, ALGORITHMS[id_], id=f"{one}-{other}-{id_}")
        for one, other in permutations(providers(), 2)
        for id_ in providers()[one].abilities()
        if id_ in providers()[other].abilities() and ALGORITHMS[id_].purpose is purpose
    ]
    skip = pytest.mark.skip(reason="one provider here; `make liboqs` builds liboqs")
    return found or [pytest.param("", "", None, marks=skip, id="one provider")]


@pytest.mark.parametrize(("one", "other", "algorithm"), shared(Purpose.SIGN))
def test_what_one_signs_the_other_verifies(one: str, other: str, algorithm: Algorithm) -> None:
    material = provider(one).generate(algorithm)
    public = provider(one).public_key(material)
    assert provider(other).public_key(material) == public
    signer = cast(SigningKey, provider(one).open_private(material))
    verifier = cast(VerifyingKey, provider(other).open_public(algorithm, public))
    again = cast(SigningKey, provider(other).open_private(material))
    for message in (b"", b"m", bytes(10_000)):
        for options in (Options(), a_context(algorithm)):
            assert verifier.verify(signer.sign(message, options), message, options)
            assert verifier.verify(again.sign(message, options), message, options)
    many = signer.sign_many([b"1", b"2", b"3"], [Options()] * 3, 2, bool)
    assert None not in many
    assert verifier.verify_many(
        cast("list[bytes]", many), [b"1", b"2", b"4"], [Options()] * 3, 2, bool
    ) == [True, True, False]
    if algorithm.external_mu and Input.MU in provider(one).abilities()[algorithm.id].inputs:
        mu = messages.mu(public, b"c", b"m")
        signature = signer.sign(mu, Options(Input.MU))
        assert verifier.verify(signature, b"m", Options(context=b"c"))


@pytest.mark.parametrize(("one", "other", "algorithm"), shared(Purpose.ENCAPSULATE))
def test_what_one_encapsulates_the_other_decapsulates(
    one: str, other: str, algorithm: Algorithm
) -> None:
    material = provider(one).generate(algorithm)
    public = provider(one).public_key(material)
    assert provider(other).public_key(material) == public
    private = cast(DecapsulationKey, provider(other).open_private(material))
    for name in (one, other):
        sender = cast(EncapsulationKey, provider(name).open_public(algorithm, public))
        secret, ciphertext = sender.encapsulate()
        assert private.decapsulate(ciphertext) == secret
    mine = cast(DecapsulationKey, provider(one).open_private(material))
    wrong = bytes(algorithm.output_bytes_max)
    assert mine.decapsulate(wrong) == private.decapsulate(wrong)
