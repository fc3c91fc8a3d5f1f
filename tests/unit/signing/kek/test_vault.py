"""Envelopes open for their owner only, and only as they were sealed."""

import traceback
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.signing.algorithms import ALGORITHMS
from ketgate_server.signing.kek.kek import Kek
from ketgate_server.signing.kek.vault import Vault, wrapping_owner
from ketgate_server.signing.provider import Form, Material
from ketgate_server.store.base import StoreUnavailable

from .conftest import material, new_vault, owner

VAULT = new_vault()


def refusal(vault: Vault, whose: object, envelope: bytes) -> Reason:
    with pytest.raises(KetgateError) as caught:
        vault.open(whose, envelope)  # type: ignore[arg-type]
    assert "ssss" not in str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize("form", list(Form))
@pytest.mark.parametrize("public", [b"", b"public key"])
def test_what_was_sealed_is_opened(form: Form, public: bytes) -> None:
    sealed = Material(ALGORITHMS["FALCON_512"], form, bytes(range(256)) * 9, public)
    whose = owner(algorithm="FALCON_512")
    assert VAULT.open(whose, VAULT.seal(whose, sealed)) == sealed


def test_the_same_key_is_sealed_differently_each_time() -> None:
    first, second = (VAULT.seal(owner(), material()) for _ in range(2))
    assert first != second
    assert first[18:34] != second[18:34]  # the salt, and with it the key
    assert material().content not in first


def test_a_change_of_any_byte_is_told() -> None:
    envelope = VAULT.seal(owner(), material())
    for place in range(len(envelope)):
        changed = bytearray(envelope)
        changed[place] ^= 0x40
        # The bytes from 2 to 17 say which key-encryption key it is.
        expected = Reason.KEY_STORE_SEALED if 2 <= place < 18 else Reason.KEY_CORRUPT
        assert refusal(VAULT, owner(), bytes(changed)) is expected, place


def test_an_envelope_that_was_cut_or_grew_is_told() -> None:
    envelope = VAULT.seal(owner(), material())
    for length in range(len(envelope)):
        assert refusal(VAULT, owner(), envelope[:length]) is Reason.KEY_CORRUPT
    assert refusal(VAULT, owner(), envelope + b"\0") is Reason.KEY_CORRUPT
    assert refusal(VAULT, owner(), envelope + bytes(2 << 20)) is Reason.KEY_CORRUPT


@given(st.binary(max_size=300))
def test_hostile_bytes_are_told(content: bytes) -> None:
    with pytest.raises(KetgateError) as caught:
        VAULT.open(owner(), content)
    assert caught.value.reason in (Reason.KEY_CORRUPT, Reason.KEY_STORE_SEALED)


@pytest.mark.parametrize(
    "other",
    [
        {"tenant": "other"},
        {"key_uid": "v" * 32},
        {"key_id": "order"},
        {"version": 2},
        {"algorithm": "ML_DSA_44"},
        {"algorithm": "no algorithm"},
        # The same letters, divided otherwise.
        {"tenant": "defaultu", "key_uid": "u" * 31},
    ],
)
def test_an_envelope_of_another_place_does_not_open(other: dict[str, object]) -> None:
    envelope = VAULT.seal(owner(), material())
    assert refusal(VAULT, owner(**other), envelope) is Reason.KEY_CORRUPT


def test_another_vault_says_which_key_is_missing() -> None:
    envelope = VAULT.seal(owner(), material())
    with pytest.raises(KetgateError, match=VAULT.kek_id) as caught:
        new_vault().open(owner(), envelope)
    assert caught.value.reason is Reason.KEY_STORE_SEALED


def test_another_secret_with_the_same_id_opens_nothing() -> None:
    other = Vault(Kek(VAULT.kek_id, bytearray(b"another secret".ljust(32))))
    assert refusal(other, owner(), VAULT.seal(owner(), material())) is Reason.KEY_CORRUPT


def test_a_key_is_sealed_as_its_owners_algorithm() -> None:
    with pytest.raises(ValueError, match="expected ML_DSA_65, given ML_DSA_44"):
        VAULT.seal(owner(algorithm="ML_DSA_44"), material())


def test_secrets_and_keys_are_not_taken_for_each_other() -> None:
    whose = wrapping_owner("default", "w" * 32, "RSA_OAEP_SHA256_AES_KWP")
    envelope = VAULT.seal_secret(whose, b"secret")
    assert VAULT.open_secret(whose, envelope) == b"secret"
    assert refusal(VAULT, whose, envelope) is Reason.KEY_CORRUPT
    with pytest.raises(KetgateError, match="holds a private key"):
        VAULT.open_secret(owner(), VAULT.seal(owner(), material()))


def test_what_is_resealed_is_the_same() -> None:
    after = new_vault()
    envelope = after.reseal(owner(), VAULT.seal(owner(), material()), VAULT)
    assert after.open(owner(), envelope) == material()
    with pytest.raises(KetgateError):
        VAULT.open(owner(), envelope)


def test_codes_are_of_one_vault_and_one_content() -> None:
    mac = VAULT.mac(b"row")
    assert VAULT.matches(mac, b"row")
    assert not VAULT.matches(mac, b"rows")
    assert not VAULT.matches(b"", b"row")
    assert not new_vault().matches(mac, b"row")


def test_a_closed_vault_does_nothing() -> None:
    """What a thread that was left behind made with the overwritten key, of zeros, would have been stored: a row that
    nobody can read again, with a private key that everybody can."""
    vault = new_vault()
    envelope, mac = vault.seal(owner(), material()), vault.mac(b"row")
    vault.close()
    work: list[Callable[[], object]] = [
        lambda: vault.seal(owner(), material()),
        lambda: vault.seal_secret(owner(), b"s"),
        lambda: vault.open(owner(), envelope),
        lambda: vault.mac(b"row"),
        lambda: vault.matches(mac, b"row"),
        lambda: new_vault().reseal(owner(), envelope, vault),
    ]
    for one in work:
        with pytest.raises(StoreUnavailable, match="the server is stopping"):
            one()


def test_nothing_shows_what_it_holds() -> None:
    secret = bytearray(b"a secret of thirty-two bytes ...")
    vault = Vault(Kek("0" * 32, secret))
    shown = repr(vault) + repr(vault.__dict__) + repr(material()) + str(owner())
    try:
        vault.open(owner(), vault.seal(owner(version=2), material()))
    except KetgateError:
        shown += traceback.format_exc()
    assert "a secret of" not in shown
    assert "ssss" not in shown


def test_a_key_of_another_length_is_none() -> None:
    with pytest.raises(ValueError, match="expected 32 bytes with an id of 16, given 31 and 16"):
        Kek("0" * 32, bytearray(31))
    with pytest.raises(ValueError, match="given 32 and 15"):
        Kek("0" * 30, bytearray(32))
