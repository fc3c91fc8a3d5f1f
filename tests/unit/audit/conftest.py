"""Entries in a store, and calls to the audit's service without an edge."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ketgate.audit.v1 import audit_service_pb2 as pb
from ketgate_server.audit import log
from ketgate_server.audit.log import Fact
from ketgate_server.audit.sequencer import Sequencer
from ketgate_server.audit.service import create_service
from ketgate_server.audit.signer import open_signer
from ketgate_server.rpc.call import Identity, Service
from ketgate_server.store.base import Store


@dataclass
class FakeCall:
    """A call as a service sees it."""

    identity: Identity
    method: str = ""
    request_id: str = "call-1"
    metadata: dict[str, str] = field(default_factory=dict)
    arrival_s: float = 0.0
    cancelled: bool = False

    def remaining_s(self) -> float:
        return float("inf")

    def on_cancel(self, callback: Callable[[], None]) -> None:
        pass

    def set_trailer(self, key: str, value: str) -> None:
        pass


class Caller:
    """Calls methods of a service as somebody."""

    def __init__(self, service: Service, identity: Identity) -> None:
        self._service = service
        self._identity = identity

    def __call__(self, name: str, request: Any) -> Any:
        method = self._service.methods[name]
        assert isinstance(request, method.request_type)
        assert method.unary is not None
        return method.unary(FakeCall(self._identity, f"/{self._service.name}/{name}"), request)


def fact(i: int, tenant: str = "default", **more: Any) -> Fact:
    return Fact("alice", tenant, "test.done", resource=f"things/{i}", **more)


def append(store: Store, count: int, tenant: str = "default", first: int = 0) -> int:
    """Entries, in one operation; the index of the first."""
    facts = [fact(first + i, tenant) for i in range(count)]
    return store.run(lambda tx: log.record_many(tx, facts))


def payload(entry: pb.AuditEntry) -> pb.AuditPayload:
    return pb.AuditPayload.FromString(entry.payload)


def said(store: Store, start: int = 0) -> list[tuple[str, str, Mapping[str, str]]]:
    """Action, outcome and facts of each entry that is stored."""
    with store.read() as reader:
        rows = reader.rows(
            "SELECT payload FROM audit_entries WHERE idx >= ? ORDER BY idx", (start,)
        )
    entries = [pb.AuditPayload.FromString(row[0]) for row in rows]
    return [(entry.action, entry.outcome, dict(entry.facts)) for entry in entries]


@pytest.fixture
def sequencer(store: Store) -> Sequencer:
    return Sequencer(store, "one", batch=100)


@pytest.fixture
def service(store: Store, sequencer: Sequencer, tmp_path: Path) -> Service:
    return create_service(store, sequencer, open_signer(tmp_path / "audit.pem"))


@pytest.fixture
def admin(service: Service) -> Caller:
    return Caller(service, Identity("root", "default", frozenset({"admin"})))


@pytest.fixture
def reader(service: Service) -> Caller:
    """Of the tenant "default"."""
    return Caller(service, Identity("auditor", "default", frozenset({"audit.reader"})))
