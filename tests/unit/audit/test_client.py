"""`client.audit` against the service itself, by a call that no network is in: what is pinned, and what is
noticed when a server rewrites its log."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ketgate
import pytest
from ketgate._audit import Audit
from ketgate._audit_pins import HEADS_MAX, Pins, default_path
from ketgate._connect import Endpoint
from ketgate._errors import InvalidArgument, KetgateError
from ketgate._tree_head import AuditTampered
from ketgate.audit.v1 import audit_service_pb2 as pb
from ketgate_server import errors
from ketgate_server.audit.sequencer import Sequencer
from ketgate_server.audit.service import create_service
from ketgate_server.audit.signer import open_signer
from ketgate_server.rpc.call import Identity, Service
from ketgate_server.store.base import Store
from ketgate_server.store.database import open_store

from tests.unit.audit.conftest import Caller, append

Change = Callable[[str, Any], Any]
ENDPOINT = Endpoint("127.0.0.1:7443", insecure=True)


class LoopClient:
    """What Audit sees of a client. change: what becomes of each answer on its way."""

    def __init__(self, service: Service, endpoint: Endpoint = ENDPOINT) -> None:
        self.address = endpoint.address
        self._endpoint = endpoint
        self.caller = Caller(service, Identity("auditor", "default", frozenset({"admin"})))
        self.change: Change = lambda name, answer: answer

    def _call(self, method: Any, request: Any) -> Any:
        name = method.path.rpartition("/")[2]
        try:
            answer = self.caller(name, request)
        except errors.FieldError as error:
            raise InvalidArgument(error.message, field=error.field) from None
        copy = type(answer)()
        copy.CopyFrom(answer)
        return self.change(name, copy)


def of(service: Service, endpoint: Endpoint = ENDPOINT) -> tuple[Audit, LoopClient]:
    client = LoopClient(service, endpoint)
    return Audit(client), client  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def audit(service: Service, store: Store) -> Audit:
    append(store, 600)
    return of(service)[0]


@pytest.fixture
def open_other(tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """Opens stores beside the test's own."""
    opened: list[Store] = []

    def open_one() -> Store:
        opened.append(open_store(tmp_path / f"other-{len(opened)}"))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


def served(store: Store, tmp_path: Path) -> Service:
    """A server of this store, with the test's key."""
    return create_service(store, Sequencer(store, "one"), open_signer(tmp_path / "audit.pem"))


def rewrite(store: Store, other: Store, size: int) -> None:
    """Make another log that begins with the same entry."""
    columns = "idx, tenant, commitment, salt, payload"
    with store.read() as reader:
        first = reader.rows(f"SELECT {columns} FROM audit_entries WHERE idx = 0")
    append(other, size)
    other.run(lambda tx: tx.execute("DELETE FROM audit_entries WHERE idx = 0"))
    insert = f"INSERT INTO audit_entries ({columns}) VALUES (?, ?, ?, ?, ?)"
    other.run(lambda tx: tx.execute_many(insert, first))


def test_heads_are_pinned_and_compared(audit: Audit, store: Store) -> None:
    first = audit.head()
    assert (first.size, len(first.root)) == (600, 32)
    assert audit.head().root == first.root
    append(store, 50)
    assert audit.head().size == 650
    pin = Pins().log(first.log_id)
    assert pin is not None
    assert [seen.size for seen in pin.heads] == [600, 650]
    assert pin.key_id == first.key_id
    assert default_path().stat().st_mode & 0o777 == 0o600


def test_entries(audit: Audit) -> None:
    assert [entry.index for entry in audit.entries()] == list(range(600))
    assert [entry.index for entry in audit.entries(590, 593)] == [590, 591, 592]
    assert list(audit.entries(3, 3)) == []
    entry = next(audit.entries(7))
    assert (entry.actor, entry.tenant, entry.action) == ("alice", "default", "test.done")
    assert (entry.resource, entry.outcome, entry.redacted) == ("things/7", "OK", False)
    assert entry.time is not None
    with pytest.raises(InvalidArgument, match="start: expected 0 or more"):
        next(audit.entries(-1))
    with pytest.raises(InvalidArgument, match="start: expected an integer, given 'a'"):
        next(audit.entries("a"))  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="index: expected an integer, given 'a'"):
        audit.prove("a")  # type: ignore[arg-type]


def test_pages_follow_each_other(audit: Audit, store: Store) -> None:
    append(store, 2000)
    assert [entry.index for entry in audit.entries(100, 2500)] == list(range(100, 2500))


def test_the_whole_log_is_verified(audit: Audit, store: Store) -> None:
    audit.head()
    append(store, 300)
    audit.redact(450, "erasure")
    found = audit.verify()
    assert (found.head.size, found.redacted, found.withheld) == (901, 1, 0)
    assert found.compared == (600,)
    entry = next(audit.entries(450))
    assert (entry.redacted, entry.actor, entry.time) == (True, "", None)


def test_an_entry_is_proved(audit: Audit) -> None:
    for index in (0, 255, 256, 599):
        proof = audit.prove(index)
        assert proof.entry.index == index
        assert len(proof.hashes) in (6, 10)
    with pytest.raises(InvalidArgument, match="expected 0 to 599, given 600"):
        audit.prove(600)


@pytest.mark.parametrize("size", [599, 600, 601, 1000])
def test_history_that_was_rewritten_with_the_key_is_noticed(
    audit: Audit, store: Store, open_other: Callable[[], Store], tmp_path: Path, size: int
) -> None:
    before = audit.head()
    other = open_other()
    rewrite(store, other, size)
    again, client = of(served(other, tmp_path))
    with pytest.raises(AuditTampered, match="rewritten") as caught:
        again.head()
    assert "600" in str(caught.value)
    assert "--accept" in caught.value.remedy
    with pytest.raises(AuditTampered):  # and the pin is as it was
        again.head()
    accepted = again.head(accept=True)
    assert (accepted.log_id, accepted.size) == (before.log_id, size)
    assert again.head().size == size
    assert client.address in json.dumps(json.loads(default_path().read_text()))


def test_a_log_that_was_cut_is_noticed(audit: Audit, store: Store, service: Service) -> None:
    audit.head()
    store.run(lambda tx: tx.execute("DELETE FROM audit_entries WHERE idx >= 500"))
    store.run(lambda tx: tx.execute("DELETE FROM audit_nodes"))
    store.run(lambda tx: tx.execute("DELETE FROM leases"))
    with pytest.raises(AuditTampered, match=r"has shrunk .* its 500 entries .* the 600"):
        audit.head()


def test_another_log_is_noticed(
    audit: Audit, open_other: Callable[[], Store], tmp_path: Path
) -> None:
    before = audit.head()
    other = open_other()
    append(other, 700)
    service = served(other, tmp_path)
    with pytest.raises(AuditTampered, match=f"another than before: .* was {before.log_id}"):
        of(service)[0].head()
    elsewhere = Endpoint("127.0.0.1:7444", insecure=True)
    assert of(service, elsewhere)[0].head().size == 700


def test_another_key_is_noticed(
    audit: Audit, store: Store, sequencer: Sequencer, tmp_path: Path
) -> None:
    audit.head()
    service = create_service(store, sequencer, open_signer(tmp_path / "new.pem"))
    again, _ = of(service)
    with pytest.raises(AuditTampered, match="signed by another key than before"):
        again.head()
    again.head(accept=True)
    assert again.verify().head.size == 600


def test_a_slower_call_that_is_overtaken_is_no_alarm(
    audit: Audit, store: Store, service: Service
) -> None:
    """Two calls at once: the one with the smaller head may be the last to compare."""
    slow, client = of(service)

    def overtaken(name: str, answer: Any) -> Any:
        if name == "GetSignedTreeHead":
            client.change = lambda name, answer: answer
            append(store, 10)
            assert audit.head().size == 610
        return answer

    client.change = overtaken
    assert slow.head().size == 600
    assert audit.head().size == 610


def changed_head(field: str) -> Change:
    def change(name: str, answer: Any) -> Any:
        if name == "GetSignedTreeHead":
            content = bytearray(getattr(answer.head, field))
            content[len(content) // 2] ^= 1
            setattr(answer.head, field, bytes(content))
        return answer

    return change


@pytest.mark.parametrize("field", ["tree_head", "signature", "public_key"])
def test_a_head_that_was_changed_on_its_way_is_noticed(
    audit: Audit, service: Service, field: str
) -> None:
    changed, client = of(service)
    client.change = changed_head(field)
    with pytest.raises(AuditTampered):
        changed.head()
    assert not default_path().exists()


def test_an_unknown_algorithm_is_said(audit: Audit, service: Service) -> None:
    changed, client = of(service)

    def change(name: str, answer: Any) -> Any:
        answer.head.algorithm = "FN-DSA-512"
        return answer

    client.change = change
    with pytest.raises(AuditTampered, match="'FN-DSA-512', which this client does not know"):
        changed.head()


def one(index: int, change: Callable[[pb.AuditEntry], None]) -> Change:
    def apply(name: str, answer: Any) -> Any:
        if name == "ListEntries":
            for entry in answer.entries:
                if entry.index == index:
                    change(entry)
        return answer

    return apply


def say(entry: pb.AuditEntry) -> None:
    said = pb.AuditPayload.FromString(entry.payload)
    said.actor = "mallory"
    entry.payload = said.SerializeToString()


def withhold(entry: pb.AuditEntry) -> None:
    entry.ClearField("payload")
    entry.ClearField("salt")
    entry.commitment = bytes(32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (one(300, say), "entry 300: what it says is not what the log committed to"),
        (one(300, lambda e: e.ClearField("salt")), "entry 300: what it says"),
        (one(300, lambda e: setattr(e, "commitment", b"short")), "entry 300: its commitment"),
        (one(300, lambda e: setattr(e, "redacted", True)), "entry 300: it is marked as redacted"),
        (one(300, lambda e: setattr(e, "index", 301)), "expected entry 300, found entry 301"),
        (one(300, lambda e: setattr(e, "index", 299)), "entry 299 was put in twice"),
        (one(300, withhold), "a commitment of the entries 0 to 599 was changed"),
        (one(0, withhold), "entry 0 is not the one that the log is named after"),
    ],
)
def test_an_entry_that_was_changed_is_named(
    audit: Audit, service: Service, change: Change, message: str
) -> None:
    changed, client = of(service)
    client.change = change
    with pytest.raises(AuditTampered, match=message):
        changed.verify()


def test_entries_that_are_left_out_are_named(audit: Audit, service: Service) -> None:
    changed, client = of(service)

    def shorter(name: str, answer: Any) -> Any:
        if name == "ListEntries":
            del answer.entries[590:]
            answer.next_page_token = ""
        return answer

    client.change = shorter
    with pytest.raises(AuditTampered, match="entries 590 to 599 are missing"):
        changed.verify()
    with pytest.raises(AuditTampered, match="entries 590 to 599 are missing"):
        changed.export(default_path().with_name("export.jsonl"))
    assert not list(default_path().parent.glob("*export*"))


def test_an_entry_that_cannot_be_proved_is_named(audit: Audit, service: Service) -> None:
    changed, client = of(service)

    def wrong(name: str, answer: Any) -> Any:
        if name == "GetInclusionProof":
            del answer.hashes[-1]
        return answer

    client.change = wrong
    with pytest.raises(AuditTampered, match="entry 17: the server cannot prove"):
        changed.prove(17)


def test_a_root_seen_before_tells_where_history_was_rewritten(
    audit: Audit, store: Store, service: Service
) -> None:
    """The change lies between two heads that were pinned, and the error says so."""
    for count in (1, 99, 50):
        append(store, count)
        audit.head()
    changed, client = of(service)
    client.change = one(650, withhold)
    with pytest.raises(AuditTampered, match="because of one or more of the entries 601 to 699"):
        changed.verify()


def test_pins_that_cannot_be_read_are_said(audit: Audit) -> None:
    path = default_path()
    path.parent.mkdir(parents=True)
    for damage in (b"", b"[]", b'{"format": "other"}', b"\xff"):
        path.write_bytes(damage)
        with pytest.raises(KetgateError, match="the pins of audit logs") as caught:
            audit.head()
        assert "XDG_STATE_HOME" in caught.value.remedy
        assert path.read_bytes() == damage


def test_so_many_heads_are_kept(audit: Audit, store: Store) -> None:
    for _ in range(HEADS_MAX + 4):
        append(store, 1)
        newest = audit.head()
    pin = Pins().log(newest.log_id)
    assert pin is not None
    assert len(pin.heads) == HEADS_MAX
    assert pin.heads[-1].size == newest.size


def test_tampering_is_an_error_of_the_package() -> None:
    error = ketgate.AuditTampered("entry 5 was changed")
    assert isinstance(error, ketgate.KetgateError)
    assert error.reason == "AUDIT_TAMPERED"
    assert "evidence" in error.remedy
