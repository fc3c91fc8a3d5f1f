"""A key-encryption key under a token's: with SoftHSM."""

from pathlib import Path
from typing import Any

import pytest
from ketgate_server.signing.kek.errors import KeyStoreSealed
from ketgate_server.signing.kek.pkcs11_source import Pkcs11Source
from ketgate_server.signing.kek.start import open_vault
from ketgate_server.signing.providers.pkcs11_token import TokenSession, open_token
from ketgate_server.signing.settings import Pkcs11Settings, SigningSettings
from ketgate_server.store.base import Store

from .conftest import check_filled, fill


@pytest.fixture
def under(token_settings: Pkcs11Settings, request: pytest.FixtureRequest) -> Pkcs11Settings:
    """A label of this test's own."""
    return token_settings.model_copy(update={"kek_label": request.node.name[:64]})


def with_token(token: Pkcs11Settings, **more: Any) -> SigningSettings:
    return SigningSettings(kek="pkcs11", pkcs11=token, **more)


def objects(token: Pkcs11Settings, label: str) -> list[Any]:
    import pkcs11

    def look(session: TokenSession) -> list[tuple[bool, bool]]:
        found = session.session.get_objects({pkcs11.Attribute.LABEL: label})
        return [
            (key[pkcs11.Attribute.SENSITIVE], key[pkcs11.Attribute.EXTRACTABLE]) for key in found
        ]

    return open_token(token).run(look)


def test_the_tokens_key_is_made_once_and_stays_there(
    store: Store, tmp_path: Path, under: Pkcs11Settings
) -> None:
    first = open_vault(with_token(under), tmp_path, store)
    fill(store, first)
    check_filled(store, open_vault(with_token(under), tmp_path, store))
    assert objects(under, under.kek_label) == [(True, False)]
    assert not (tmp_path / "keys").exists()


def test_keys_move_into_a_token_and_out_again(
    store: Store, tmp_path: Path, under: Pkcs11Settings
) -> None:
    file = tmp_path / "own.key"
    fill(store, open_vault(SigningSettings(kek_file=file), tmp_path, store))
    with pytest.raises(KeyStoreSealed, match="previous_kek_file"):
        open_vault(with_token(under), tmp_path, store)
    inside = open_vault(with_token(under, previous_kek_file=file), tmp_path, store)
    check_filled(store, inside)
    with pytest.raises(KeyStoreSealed, match="with the token that has it"):
        open_vault(SigningSettings(kek_file=file), tmp_path, store)
    outside = open_vault(SigningSettings(kek_file=file, pkcs11=under), tmp_path, store)
    check_filled(store, outside)


def test_one_key_of_a_token_takes_the_place_of_another(
    store: Store, tmp_path: Path, under: Pkcs11Settings
) -> None:
    fill(store, open_vault(with_token(under), tmp_path, store))
    other = under.model_copy(update={"kek_label": under.kek_label[:50] + " again"})
    check_filled(store, open_vault(with_token(other), tmp_path, store))
    assert objects(under, other.kek_label) == [(True, False)]


def test_another_token_is_told(store: Store, tmp_path: Path, under: Pkcs11Settings) -> None:
    fill(store, open_vault(with_token(under), tmp_path, store))
    other = under.model_copy(update={"token_label": "another"})
    with pytest.raises(
        KeyStoreSealed, match=r"is it the right token \(expected one with the label 'ketg"
    ):
        open_vault(with_token(other), tmp_path, store)
    nowhere = under.model_copy(update={"token_label": "nowhere"})
    with pytest.raises(KeyStoreSealed, match="which no token"):
        open_vault(with_token(nowhere), tmp_path, store)


def test_a_key_that_can_be_taken_out_is_refused(tmp_path: Path, under: Pkcs11Settings) -> None:
    import pkcs11

    def make(session: TokenSession) -> None:
        session.session.generate_key(
            pkcs11.KeyType.AES,
            256,
            label=under.kek_label,
            store=True,
            template={pkcs11.Attribute.EXTRACTABLE: True, pkcs11.Attribute.SENSITIVE: False},
        )

    open_token(under).run(make, write=True)
    with pytest.raises(KeyStoreSealed, match="can be taken out of the token"):
        Pkcs11Source(under).make()


@pytest.mark.parametrize(
    "change",
    [{"iv": "00"}, {"wrapped": "00"}, {"wrapped": "zz"}, {"key_id": "xyz"}],
)
def test_parameters_that_another_hand_wrote_are_refused(
    token_settings: Pkcs11Settings, change: dict[str, str]
) -> None:
    source = Pkcs11Source(token_settings)
    parameters, _ = source.make()
    with pytest.raises(KeyStoreSealed, match="damaged"):
        source.open({**parameters, **change})
    with pytest.raises(KeyStoreSealed, match="damaged"):
        source.open({})
