"""A key that lies in a token is destroyed there when its version is."""

import logging
from typing import Any

import pytest
from ketgate_server.signing.keys.record import VersionState
from ketgate_server.signing.keys.states import Act
from ketgate_server.signing.keys.timers import BACKOFF_US, Timers
from ketgate_server.signing.keys.token_keys import destroy_in_token
from ketgate_server.signing.provider import (
    Abilities,
    Form,
    KeyInvalid,
    Material,
    OperationFailed,
    Providers,
)
from ketgate_server.signing.providers.cryptography_provider import CryptographyProvider

from .conftest import MINUTE_US, Bench


class FakeToken:
    """A provider whose keys lie in it."""

    name = "pkcs11"
    version = "1"

    def __init__(self) -> None:
        self.keys: dict[bytes, bytes] = {}
        self.there = True

    def abilities(self) -> dict[str, Abilities]:
        return {"ED25519": Abilities(forms=frozenset({Form.TOKEN}), rank=-1)}

    def generate(self, algorithm: Any) -> Material:
        key_id = len(self.keys).to_bytes(16, "big")
        public = CryptographyProvider().generate(algorithm)
        self.keys[key_id] = CryptographyProvider().public_key(public)
        return Material(algorithm, Form.TOKEN, key_id, self.keys[key_id])

    def public_key(self, material: Material) -> bytes:
        return material.public

    def open_private(self, material: Material) -> Any:
        raise KeyInvalid("not here")

    def open_public(self, algorithm: Any, public_key: bytes) -> Any:
        raise KeyInvalid("not here")

    def destroy(self, material: Material) -> None:
        if not self.there:
            raise OperationFailed("the token is lost")
        self.keys.pop(material.content, None)


@pytest.fixture
def token(bench: Bench) -> FakeToken:
    token = FakeToken()
    bench.keys.providers = Providers([token, CryptographyProvider()])
    bench.create("inside", provider="pkcs11", destroy_delay_us=MINUTE_US)
    bench.create("outside", destroy_delay_us=MINUTE_US)
    return token


@pytest.fixture
def timers(bench: Bench) -> Timers:
    return Timers(bench.keys, lambda due: destroy_in_token(bench.keys, due))


def test_both_go_when_the_time_has_come(bench: Bench, token: FakeToken, timers: Timers) -> None:
    for name in ("inside", "outside"):
        bench.act(Act.DESTROY, 1, name)
    timers.run_once()
    assert len(token.keys) == 1
    bench.time.pass_us(MINUTE_US)
    timers.run_once()
    assert token.keys == {}
    for name in ("inside", "outside"):
        assert bench.version(1, name).state is VersionState.DESTROYED


def test_a_token_that_is_lost_delays_it(bench: Bench, token: FakeToken, timers: Timers) -> None:
    bench.act(Act.DESTROY, 1, "inside")
    bench.time.pass_us(MINUTE_US)
    token.there = False
    timers.run_once()
    assert bench.version(1, "inside").state is VersionState.DESTROY_SCHEDULED
    token.there = True
    bench.time.pass_us(BACKOFF_US)
    timers.run_once()
    assert token.keys == {}
    assert bench.version(1, "inside").state is VersionState.DESTROYED


def test_a_token_that_was_given_up_does_not(
    bench: Bench, token: FakeToken, timers: Timers, caplog: pytest.LogCaptureFixture
) -> None:
    bench.act(Act.DESTROY, 1, "inside")
    bench.time.pass_us(MINUTE_US)
    bench.keys.providers = Providers([CryptographyProvider()])
    with caplog.at_level(logging.WARNING):
        timers.run_once()
    assert bench.version(1, "inside").state is VersionState.DESTROYED
    assert "is left in a token that is not set any more" in caplog.text
    assert next(iter(token.keys)).hex() in caplog.text
