"""`client.audit` of ketgate.aio: the same log, the same pins, the same suspicion."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import ketgate
import pytest
from ketgate import _audit, _audit_aio
from ketgate._audit_export import verify_export
from ketgate._audit_pins import Pins
from ketgate._tree_head import AuditTampered
from ketgate_server.rpc.call import Service
from ketgate_server.store.base import Store

from tests.unit.audit.conftest import append

from .test_client import LoopClient

R = TypeVar("R")


class AioClient(LoopClient):
    """What the asynchronous Audit sees of a client."""

    async def _call(self, method: Any, request: Any) -> Any:
        await asyncio.sleep(0)
        return super()._call(method, request)


@pytest.fixture
def client(
    service: Service, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AioClient:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    append(store, 600)
    return AioClient(service)


def awaited(client: AioClient, use: Callable[[_audit_aio.Audit], Awaitable[R]]) -> R:
    async def run() -> R:
        return await use(_audit_aio.Audit(client))  # type: ignore[arg-type]

    return asyncio.run(run())


def test_it_has_what_the_synchronous_one_has() -> None:
    def methods(kind: type) -> dict[str, list[str]]:
        found = {name: value for name, value in vars(kind).items() if not name.startswith("_")}
        return {name: list(inspect.signature(value).parameters) for name, value in found.items()}

    assert methods(_audit_aio.Audit) == methods(_audit.Audit)
    assert methods(_audit.Audit)["head"] == ["self", "accept"]
    assert inspect.signature(_audit.Audit.verify).return_annotation is ketgate.VerifiedLog


def test_entries_and_proofs(client: AioClient) -> None:
    async def read(audit: _audit_aio.Audit) -> list[int]:
        return [entry.index async for entry in audit.entries(590)]

    assert awaited(client, read) == list(range(590, 600))
    proof = awaited(client, lambda audit: audit.prove(7))
    assert proof.entry.resource == "things/7"
    assert awaited(client, lambda audit: audit.redact(7, "erasure")).redacted
    assert awaited(client, lambda audit: audit.verify()).redacted == 1


def test_the_pins_are_shared_with_the_synchronous_client(
    client: AioClient, service: Service, store: Store
) -> None:
    head = awaited(client, lambda audit: audit.head())
    pin = Pins().log(head.log_id)
    assert pin is not None
    assert pin.key_id == head.key_id
    append(store, 10)
    synchronous = _audit.Audit(LoopClient(service))  # type: ignore[arg-type]
    assert synchronous.verify().compared == (600,)


def test_an_export_is_whole_or_not_there(client: AioClient, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    awaited(client, lambda audit: audit.export(path))
    assert verify_export(path).head.size == 600
    path.unlink()

    def cut(name: str, answer: Any) -> Any:
        if name == "ListEntries":
            raise asyncio.CancelledError
        return answer

    client.change = cut
    with pytest.raises(asyncio.CancelledError):
        awaited(client, lambda audit: audit.export(path))
    assert [found.name for found in tmp_path.glob("*log.jsonl*")] == []


def test_a_changed_entry_is_noticed(client: AioClient) -> None:
    def change(name: str, answer: Any) -> Any:
        if name == "ListEntries":
            answer.entries[3].payload += b"x"
        return answer

    client.change = change
    with pytest.raises(AuditTampered, match="entry 3"):
        awaited(client, lambda audit: audit.verify())
