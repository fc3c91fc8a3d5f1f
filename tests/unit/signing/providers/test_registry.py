"""Which providers a server has, in which order, and what is said of those that are not there."""

from collections.abc import Callable

import pytest
from ketgate_server.signing.algorithms import ALGORITHMS
from ketgate_server.signing.provider import Form, Input, Material, Options
from ketgate_server.signing.providers import registry
from ketgate_server.signing.providers.liboqs_library import LibraryAbsent
from ketgate_server.signing.providers.registry import (
    ProviderMissing,
    find_providers,
    load_providers,
    missing_part,
)
from ketgate_server.signing.settings import SigningSettings
from pydantic import ValidationError

from .subjects import provider

ML_DSA = ALGORITHMS["ML_DSA_65"]
SEED = Material(ML_DSA, Form.SEED, bytes(32))


@pytest.fixture
def without_liboqs(monkeypatch: pytest.MonkeyPatch) -> None:
    """liboqs-python is not installed."""

    def absent(settings: SigningSettings) -> registry.Absent:
        return registry.Absent("liboqs", "liboqs-python is not installed", "pip install it")

    monkeypatch.setattr(registry, "_liboqs", absent)


def names(settings: SigningSettings, algorithm: str = "ML_DSA_65") -> list[str]:
    return [p.name for p in load_providers(settings).of(ALGORITHMS[algorithm])]


@pytest.mark.usefixtures("without_liboqs")
def test_without_liboqs_there_is_cryptography_and_it_is_said_what_is_missing() -> None:
    found = find_providers(SigningSettings())
    assert [p.name for p in found.providers.all] == ["cryptography"]
    told = {absent.name: absent for absent in found.absent}
    assert told["liboqs"].install_command == "pip install it"
    assert names(SigningSettings()) == ["cryptography"]
    assert names(SigningSettings(), "FALCON_512") == []


@pytest.mark.usefixtures("without_liboqs")
def test_a_named_provider_must_be_there() -> None:
    with pytest.raises(ProviderMissing, match=r"signing\.providers names 'liboqs'.*pip install it"):
        load_providers(SigningSettings(providers=("cryptography", "liboqs")))


def test_a_named_library_must_be_there() -> None:
    from pathlib import Path

    named = SigningSettings(liboqs=Path("/nowhere"))
    with pytest.raises(ProviderMissing, match=r"signing\.liboqs = /nowhere: there is no liboqs.so"):
        load_providers(named)
    with pytest.raises(ProviderMissing, match=r"signing\.providers names 'liboqs'"):
        load_providers(named.model_copy(update={"providers": ("liboqs",)}))
    only = named.model_copy(update={"providers": ("cryptography",)})
    assert names(only) == ["cryptography"]  # what is not used may be missing


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValidationError, match="providers"):
        SigningSettings(providers=("openssl",))  # type: ignore[arg-type]


def test_the_fastest_is_first_unless_the_operator_names_an_order() -> None:
    provider("liboqs")
    assert names(SigningSettings())[:2] == ["liboqs", "cryptography"]
    swapped = SigningSettings(providers=("cryptography", "liboqs"))
    assert names(swapped) == ["cryptography", "liboqs"]
    assert names(swapped, "ML_DSA_65_ED25519") == ["cryptography", "liboqs+cryptography"]
    assert names(SigningSettings(providers=("cryptography",))) == ["cryptography"]
    assert names(SigningSettings(providers=("liboqs", "liboqs"))) == ["liboqs"]
    assert names(SigningSettings(providers=("liboqs",)), "ED25519") == []


def test_composites_are_done_by_the_faster_for_their_quantum_part() -> None:
    provider("liboqs")
    assert names(SigningSettings(), "ML_DSA_65_ED25519")[0] == "liboqs+cryptography"


def test_what_the_first_cannot_do_another_does() -> None:
    provider("liboqs")
    providers = load_providers(SigningSettings())

    def who(ask: Callable[..., object], *arguments: object) -> str:
        return getattr(ask(*arguments), "name", "nobody")

    assert who(providers.to_sign, SEED, Options()) == "liboqs"
    assert who(providers.to_sign, SEED, Options(Input.MU)) == "cryptography"
    assert who(providers.to_verify, ML_DSA, Options(prehash="SHA2-512")) == "cryptography"
    expanded = Material(ML_DSA, Form.EXPANDED, b"")
    assert who(providers.to_sign, expanded, Options()) == "liboqs"


def test_how_to_have_an_algorithm() -> None:
    def how(name: str) -> tuple[str, str]:
        return missing_part(ALGORITHMS[name])

    assert how("FALCON_512") == how("ML_KEM_512") == ("liboqs", "make liboqs")
    assert how("SLH_DSA_SHA2_128F")[0] == "liboqs"
    assert "0.14" in how("SLH_DSA_SHA2_128F")[1]  # what `make liboqs` builds has it not
    assert how("ED25519") == ("cryptography", 'add "cryptography" to the setting signing.providers')


def test_a_library_that_cannot_be_used_leaves_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    from ketgate_server.signing.providers import liboqs_library

    def refuse(named: object) -> None:
        raise LibraryAbsent("too old", "make liboqs")

    monkeypatch.setattr(liboqs_library, "find", refuse)
    found = find_providers(SigningSettings())
    assert "cryptography" in [p.name for p in found.providers.all]
    assert {a.name: a.reason for a in found.absent}["liboqs"] == "too old"
