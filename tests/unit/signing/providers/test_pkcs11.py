"""Keys in a token: made there, used there by several threads, found again after the token was lost, and never
taken out. With SoftHSM."""

import ctypes
import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ketgate_server.signing.algorithms import ALGORITHMS
from ketgate_server.signing.provider import (
    Form,
    Input,
    KeyInvalid,
    Material,
    OperationFailed,
    Options,
    Providers,
    SigningKey,
)
from ketgate_server.signing.providers import pkcs11_token
from ketgate_server.signing.providers.cryptography_provider import CryptographyProvider
from ketgate_server.signing.providers.pkcs11_keys import KINDS, read_point
from ketgate_server.signing.providers.pkcs11_module import TokenUnusable, load_module
from ketgate_server.signing.providers.pkcs11_provider import Pkcs11Provider
from ketgate_server.signing.providers.pkcs11_token import Token, open_token
from ketgate_server.signing.providers.registry import ProviderMissing, load_providers
from ketgate_server.signing.settings import Pkcs11Settings, SigningSettings
from pydantic import SecretStr

from ....softhsm import PIN, SoftHsm

SIGNED = tuple(KINDS)


@pytest.fixture
def provider(token_settings: Pkcs11Settings) -> Pkcs11Provider:
    return Pkcs11Provider(open_token(token_settings))


def signing_key(provider: Pkcs11Provider, algorithm: str) -> SigningKey:
    key = provider.open_private(provider.generate(ALGORITHMS[algorithm]))
    assert hasattr(key, "sign_many")
    return key


def verifies(algorithm: str, public_key: bytes, signature: bytes, message: bytes) -> bool:
    """By another provider."""
    key: Any = CryptographyProvider().open_public(ALGORITHMS[algorithm], public_key)
    return bool(key.verify(signature, message, Options()))


@pytest.mark.parametrize("algorithm", SIGNED)
def test_a_key_is_made_and_signs_in_the_token(provider: Pkcs11Provider, algorithm: str) -> None:
    material = provider.generate(ALGORITHMS[algorithm])
    assert material.form is Form.TOKEN
    assert len(material.content) == 16
    assert provider.public_key(material) == material.public
    key: Any = provider.open_private(material)
    assert key.public_key == material.public
    signature = key.sign(b"message", Options())
    assert verifies(algorithm, material.public, signature, b"message")
    assert not verifies(algorithm, material.public, signature, b"another message")


@pytest.mark.parametrize("algorithm", ["ECDSA_P256_SHA256", "ECDSA_P384_SHA384"])
def test_digests_are_signed_as_they_are(provider: Pkcs11Provider, algorithm: str) -> None:
    key = signing_key(provider, algorithm)
    name = "sha256" if "256" in algorithm else "sha384"
    digest = hashlib.new(name, b"message").digest()
    signature = key.sign(digest, Options(Input.DIGEST))
    assert verifies(algorithm, key.public_key, signature, b"message")


@pytest.mark.parametrize("algorithm", SIGNED)
def test_batches_are_signed_on_several_threads(provider: Pkcs11Provider, algorithm: str) -> None:
    key = signing_key(provider, algorithm)
    messages = [f"message {i}".encode() for i in range(40)]
    made = key.sign_many(messages, [Options()] * 40, 4, lambda: False)
    for message, signature in zip(messages, made, strict=True):
        assert signature is not None
        assert verifies(algorithm, key.public_key, signature, message)
    assert key.sign_many(messages, [Options()] * 40, 4, lambda: True) == [None] * 40


def test_private_keys_cannot_be_taken_out(
    provider: Pkcs11Provider, token_settings: Pkcs11Settings
) -> None:
    import pkcs11

    material = provider.generate(ALGORITHMS["ECDSA_P256_SHA256"])

    def look(session: pkcs11_token.TokenSession) -> None:
        (key,) = session.session.get_objects(
            {
                pkcs11.Attribute.ID: material.content,
                pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY,
            }
        )
        assert key[pkcs11.Attribute.SENSITIVE]
        assert not key[pkcs11.Attribute.EXTRACTABLE]
        with pytest.raises(pkcs11.AttributeSensitive):
            key[pkcs11.Attribute.VALUE]

    open_token(token_settings).run(look)


def test_a_destroyed_key_is_gone(provider: Pkcs11Provider) -> None:
    material = provider.generate(ALGORITHMS["ECDSA_P256_SHA256"])
    provider.open_private(material)
    provider.destroy(material)
    provider.destroy(material)  # again, after a crash
    with pytest.raises(OperationFailed, match="does not have exactly one key"):
        provider.open_private(material)


def test_a_key_of_another_public_key_is_told(provider: Pkcs11Provider) -> None:
    first, second = (provider.generate(ALGORITHMS["ED25519"]) for _ in range(2))
    mixed = Material(first.algorithm, Form.TOKEN, first.content, second.public)
    with pytest.raises(KeyInvalid, match="another key of this identifier"):
        provider.open_private(mixed)


@pytest.mark.parametrize(
    "material",
    [
        Material(ALGORITHMS["ED25519"], Form.SEED, b"s" * 32, b"p" * 32),
        Material(ALGORITHMS["ED25519"], Form.TOKEN, b"short", b"p" * 32),
        Material(ALGORITHMS["ED25519"], Form.TOKEN, b"i" * 16),
    ],
)
def test_what_names_no_key_is_refused(provider: Pkcs11Provider, material: Material) -> None:
    with pytest.raises(KeyInvalid, match="identifier of a key in a token"):
        provider.open_private(material)


def test_others_verify_and_are_asked_first(provider: Pkcs11Provider) -> None:
    both = Providers((provider, CryptographyProvider()))
    algorithm = ALGORITHMS["ECDSA_P256_SHA256"]
    found = both.to_generate(algorithm)
    assert found is not None
    assert found.name == "cryptography"
    verifier = both.to_verify(algorithm, Options())
    assert verifier is not None
    assert verifier.name == "cryptography"
    signer = both.to_sign(provider.generate(algorithm), Options())
    assert signer is provider
    with pytest.raises(KeyInvalid, match="not opened in a token"):
        provider.open_public(algorithm, b"")


def log_out(token: Token) -> None:
    token._main.close()


def close_all_sessions(token: Token) -> None:
    slot = ctypes.c_ulong(token._token.slot.slot_id)
    assert ctypes.CDLL(str(token.module.path)).C_CloseAllSessions(slot) == 0


@pytest.mark.parametrize("lose", [log_out, close_all_sessions])
def test_a_lost_token_is_logged_in_to_again(
    softhsm: SoftHsm, monkeypatch: pytest.MonkeyPatch, lose: Callable[[Token], None]
) -> None:
    monkeypatch.setattr(pkcs11_token, "LOGIN_INTERVAL_S", 0.0)
    token = Token(load_module(softhsm.module), "lost", lambda: PIN)
    try:
        key = signing_key(Pkcs11Provider(token), "ECDSA_P256_SHA256")
        for _ in range(3):
            lose(token)
            made = key.sign_many([b"m"] * 8, [Options()] * 8, 4, lambda: False)
            assert all(s and verifies("ECDSA_P256_SHA256", key.public_key, s, b"m") for s in made)
    finally:
        close_all_sessions(token)


@pytest.mark.parametrize("lose", [log_out, close_all_sessions])
def test_a_key_is_destroyed_after_the_login_was_lost(
    softhsm: SoftHsm, monkeypatch: pytest.MonkeyPatch, lose: Callable[[Token], None]
) -> None:
    """Without a login a token hides private keys, and what was not found was taken for destroyed."""
    monkeypatch.setattr(pkcs11_token, "LOGIN_INTERVAL_S", 0.0)
    token = Token(load_module(softhsm.module), "lost", lambda: PIN)
    provider = Pkcs11Provider(token)
    try:
        material = provider.generate(ALGORITHMS["ECDSA_P256_SHA256"])
        lose(token)
        provider.destroy(material)
        provider.generate(ALGORITHMS["ECDSA_P256_SHA256"])  # logs in, where that was not done
        with pytest.raises(OperationFailed, match="does not have exactly one key"):
            provider.open_private(material)
    finally:
        close_all_sessions(token)


def test_a_token_that_stays_lost_is_not_asked_all_the_time(
    softhsm: SoftHsm, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(pkcs11_token.time, "monotonic", lambda: clock[0])
    pins = [PIN, "wrong wrong"]
    token = Token(load_module(softhsm.module), "lost", lambda: pins.pop(0))
    try:
        key = signing_key(Pkcs11Provider(token), "ECDSA_P256_SHA256")
        log_out(token)
        with pytest.raises(OperationFailed, match="refuses the PIN"):
            key.sign(b"m", Options())
        with pytest.raises(OperationFailed, match="tried again soon"):
            key.sign(b"m", Options())
        clock[0] += 10
        with pytest.raises(OperationFailed, match="refuses the PIN"):
            key.sign(b"m", Options())
        assert pins == []  # the wrong one was tried once
    finally:
        close_all_sessions(token)


def test_sessions_are_given_back(softhsm: SoftHsm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pkcs11_token, "SESSIONS_MAX", 2)
    token = Token(load_module(softhsm.module), "another", lambda: PIN)
    try:
        barrier = threading.Barrier(2, timeout=60)
        results: list[int] = []

        def operation(session: pkcs11_token.TokenSession) -> int:
            barrier.wait()
            return session.login

        def work() -> None:
            results.append(token.run(operation))

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert results == [0] * 6
        with pytest.raises(ZeroDivisionError):
            token.run(lambda _: 1 // 0)
        assert len(token._idle) == token._open == 2
    finally:
        close_all_sessions(token)


def refused(settings: Pkcs11Settings) -> str:
    with pytest.raises(TokenUnusable) as caught:
        open_token(settings)
    message = str(caught.value)
    assert PIN not in message
    assert "guess" not in message
    return message


def test_a_token_that_does_not_do_is_refused(softhsm: SoftHsm, tmp_path: Path) -> None:
    def given(label: str, module: Path = softhsm.module) -> Pkcs11Settings:
        return Pkcs11Settings(module=module, token_label=label, pin=SecretStr(PIN))

    assert "given 'nowhere', which no token" in refused(given("nowhere"))
    assert "there are: " in refused(given("nowhere"))
    assert "which several tokens" in refused(given("twin"))
    assert "there is no library" in refused(given("ketgate", tmp_path / "none.so"))
    no_library = tmp_path / "text.so"
    no_library.write_text("no library")
    assert "is no PKCS #11 library" in refused(given("ketgate", no_library))
    assert "set signing.pkcs11.module" in refused(Pkcs11Settings())


def test_a_wrong_pin_is_tried_once(softhsm: SoftHsm) -> None:
    pins = iter(["a wrong guess"])
    with pytest.raises(TokenUnusable, match="refuses the PIN") as caught:
        Token(load_module(softhsm.module), "locked", lambda: next(pins))
    assert "guess" not in str(caught.value)


def test_a_pin_file_is_checked(softhsm: SoftHsm, tmp_path: Path) -> None:
    path = tmp_path / "pin"
    settings = Pkcs11Settings(module=softhsm.module, token_label="locked", pin_file=path)
    assert "is not there" in refused(settings)
    path.write_text(PIN + "\n")
    path.chmod(0o644)
    assert "can be used by others (mode 0644)" in refused(settings)
    path.chmod(0o600)
    assert open_token(settings).label == "locked"
    close_all_sessions(open_token(settings))


class FakeToken:
    """A token that tells how many tries are left."""

    label = "ketgate"

    def __init__(self, flags: Any) -> None:
        self.flags = flags

    def open(self, **_: Any) -> None:
        raise AssertionError("the PIN was tried")


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        ("USER_PIN_FINAL_TRY", "one try left"),
        ("USER_PIN_LOCKED", "is locked after too many wrong PINs"),
    ],
)
def test_the_last_try_is_left_to_people(
    softhsm: SoftHsm, monkeypatch: pytest.MonkeyPatch, flag: str, expected: str
) -> None:
    import pkcs11

    fake = FakeToken(pkcs11.TokenFlag[flag])
    monkeypatch.setattr(Token, "_find", lambda _: fake)
    with pytest.raises(TokenUnusable, match=expected):
        Token(load_module(softhsm.module), "ketgate", lambda: PIN)


def test_a_point_in_either_form_is_read() -> None:
    kind = KINDS["ED25519"]
    assert read_point(b"\x04\x20" + b"p" * 32, kind) == b"p" * 32
    assert read_point(b"p" * 32, kind) == b"p" * 32
    for wrong in (b"", b"p" * 33, b"\x03\x20" + b"p" * 32):
        with pytest.raises(OperationFailed, match="no known form"):
            read_point(wrong, kind)


def test_the_registry_has_it_where_it_is_set(token_settings: Pkcs11Settings) -> None:
    settings = SigningSettings(pkcs11=token_settings)
    assert load_providers(settings).named("pkcs11") is not None
    assert load_providers(SigningSettings()).named("pkcs11") is None
    with pytest.raises(ProviderMissing, match="no token is set"):
        load_providers(SigningSettings(providers=("pkcs11",)))
    nowhere = token_settings.model_copy(update={"token_label": "nowhere"})
    with pytest.raises(ProviderMissing, match="which no token"):
        load_providers(SigningSettings(pkcs11=nowhere))
