"""What tests of keys share: a key store on SQLite and PostgreSQL, whose time the test moves."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ketgate_server.rpc.call import Identity
from ketgate_server.signing.algorithms import ALGORITHMS
from ketgate_server.signing.kek.kek import Kek
from ketgate_server.signing.kek.vault import Vault
from ketgate_server.signing.keys.asker import Asker
from ketgate_server.signing.keys.record import KeyRecord, VersionRecord
from ketgate_server.signing.keys.states import Act
from ketgate_server.signing.keys.store import KeyStore, NewKey
from ketgate_server.signing.provider import Providers
from ketgate_server.signing.providers.cryptography_provider import CryptographyProvider
from ketgate_server.store.base import Store
from ketgate_server.store.database import open_store

LIMITS = {"signing.keys_max": 5, "signing.versions_max": 6}
MINUTE_US = 60_000_000
EMMA = Identity("emma", "red", frozenset({"signing.admin", "signing.user"}))


class FakeTime:
    """A source of microseconds that a test moves."""

    def __init__(self) -> None:
        self.us = 1_800_000_000_000_000

    def __call__(self) -> int:
        return self.us

    def pass_us(self, us: int) -> None:
        self.us += us


def new_vault(kek_id: str = "ab" * 16, byte: int = 7) -> Vault:
    return Vault(Kek(kek_id, bytearray([byte] * 32)))


class Bench:
    """A key store, and short ways to use it."""

    def __init__(self, store: Store, time: FakeTime, limits: dict[str, int] | None = None) -> None:
        self.store = store
        self.time = time
        self.keys = KeyStore(
            store, new_vault(), Providers([CryptographyProvider()]), limits or LIMITS
        )
        self._calls = itertools.count()

    def asker(
        self,
        method: str = "/Change",
        request_id: str = "",
        digest: bytes = b"digest",
        identity: Identity = EMMA,
    ) -> Asker:
        return Asker(identity, f"call-{next(self._calls)}", method, request_id, digest)

    def create(
        self, key_id: str = "a", algorithm: str = "ED25519", **options: Any
    ) -> tuple[KeyRecord, VersionRecord]:
        asker = options.pop("asker", None) or self.asker("/Create")
        made = self.keys.create(asker, NewKey(key_id, ALGORITHMS[algorithm], **options))
        assert made.value is not None
        return made.value

    def rotate(self, key_id: str = "a") -> tuple[KeyRecord, VersionRecord]:
        made = self.keys.rotate(self.asker("/Rotate"), key_id).value
        assert made is not None
        return made

    def act(self, what: Act, number: int, key_id: str = "a") -> tuple[KeyRecord, VersionRecord]:
        made = self.keys.act(self.asker(f"/{what.name}"), key_id, number, what).value
        assert made is not None
        return made

    def key(self, key_id: str = "a") -> KeyRecord:
        found = self.keys.get("red", key_id)
        assert found is not None
        return found

    def version(self, number: int, key_id: str = "a") -> VersionRecord:
        found = self.keys.version("red", key_id, number)
        assert found is not None
        return found


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def bench(time: FakeTime, store_url: str | None, tmp_path: Path) -> Iterator[Bench]:
    store = open_store(tmp_path / "keys", store_url, clock=time)
    yield Bench(store, time)
    store.close()
