"""What tests of the use of keys share: keys of a real store, and the service over them, without a network."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from ketgate.audit.v1 import audit_service_pb2 as audit
from ketgate_server.admission import Admission
from ketgate_server.limits import LIMITS
from ketgate_server.rpc.call import Identity
from ketgate_server.signing.algorithms import ALGORITHMS
from ketgate_server.signing.kek.kek import Kek
from ketgate_server.signing.kek.vault import Vault
from ketgate_server.signing.keys.access import Access
from ketgate_server.signing.keys.asker import Asker
from ketgate_server.signing.keys.change import Change
from ketgate_server.signing.keys.record import KeyRecord, Policy, VersionRecord
from ketgate_server.signing.keys.states import Act
from ketgate_server.signing.keys.store import KeyStore, NewKey
from ketgate_server.signing.provider import Provider, Providers
from ketgate_server.signing.providers.cryptography_provider import CryptographyProvider
from ketgate_server.signing.use.batches import Batches
from ketgate_server.signing.use.certification import Certification
from ketgate_server.signing.use.current import CurrentKeys
from ketgate_server.signing.use.encryption import Encryption
from ketgate_server.signing.use.ring import Ring
from ketgate_server.signing.use.service import SigningServicer
from ketgate_server.signing.use.signatures import Signatures
from ketgate_server.signing.use.uses import UseLog
from ketgate_server.store.base import Store
from ketgate_server.store.database import open_store

EMMA = Identity("emma", "red", frozenset({"signing.admin", "signing.user"}))
OTTO = Identity("otto", "red", frozenset({"signing.user"}))
SERVICE = "/ketgate.signing.v1.SigningService/"


@dataclass
class FakeCall:
    """A call in progress."""

    method: str = SERVICE + "Sign"
    identity: Identity = EMMA
    request_id: str = "call"
    cancelled: bool = False
    metadata: dict[str, str] = field(default_factory=dict)

    def remaining_s(self) -> float:
        return float("inf")


class Desk:
    """A server's signing without its network."""

    def __init__(self, store: Store, *providers: Provider) -> None:
        self.store = store
        limits = {name: limit.value for name, limit in LIMITS.items()}
        limits["signing.batch_items_max"] = 50
        limits["signing.message_bytes_max"] = 1 << 20
        limits["signing.stream_bytes_max"] = 4 << 20
        found = Providers(providers or (CryptographyProvider(),))
        vault = Vault(Kek("ab" * 16, bytearray([7] * 32)))
        self.keys = KeyStore(store, vault, found, limits)
        self.ring = Ring(self.keys, vault, found, 100)
        self.current = CurrentKeys(self.keys, self.ring.forget)
        access, log = (
            Access(self.current, sleep=lambda _: None),
            UseLog(store, self.current.refresh),
        )
        self.signatures = Signatures(access, self.current, self.ring, log)
        batches = Batches(self.signatures, Admission(2, 2, "batches"), threads=2)
        encryption = Encryption(access, self.current, self.ring, log, self.signatures)
        certification = Certification(self.signatures, found)
        self.service = SigningServicer(self.signatures, batches, encryption, certification, limits)

    def create(
        self, key_id: str, algorithm: str = "ED25519", **options: Any
    ) -> tuple[KeyRecord, VersionRecord]:
        new = NewKey(key_id, ALGORITHMS[algorithm], **options)
        made = self.keys.create(Asker(EMMA, method="/Create"), new).value
        assert made is not None
        return made

    def rotate(self, key_id: str) -> None:
        self.keys.rotate(Asker(EMMA, method="/Rotate"), key_id)

    def act(self, key_id: str, number: int, what: Act) -> None:
        self.keys.act(Asker(EMMA, method="/Act"), key_id, number, what)

    def set_policy(self, key_id: str, policy: Policy) -> None:
        def operation(change: Change) -> KeyRecord:
            return change.put_key(replace(change.key(key_id), policy=policy))

        self.keys.change(Asker(EMMA, method="/SetPolicy"), operation)

    def entries(self, action: str) -> list[audit.AuditPayload]:
        with self.store.read() as reader:
            rows = reader.rows("SELECT payload FROM audit_entries ORDER BY idx")
        found = [audit.AuditPayload.FromString(row[0]) for row in rows]
        return [entry for entry in found if entry.action == SERVICE + action]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(tmp_path, None)
    yield store
    store.close()


@pytest.fixture
def desk(store: Store) -> Desk:
    return Desk(store)


@pytest.fixture
def call() -> FakeCall:
    return FakeCall()


def policy(**options: Any) -> Policy:
    return Policy(**options)
