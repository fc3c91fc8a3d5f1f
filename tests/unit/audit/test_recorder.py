"""What the edge tells the log: all of it while it is little, and counted when it is a flood."""

from pathlib import Path
from typing import Any

import pytest
from ketgate_server.audit import log
from ketgate_server.audit import recorder as module
from ketgate_server.audit.recorder import Recorder, host_of
from ketgate_server.audit.remembered import Remembered
from ketgate_server.audit.sequencer import Sequencer
from ketgate_server.audit.signer import open_signer
from ketgate_server.audit.start import Audit, Background, start
from ketgate_server.store.base import Store, StoreUnavailable
from ketgate_server.store.erasure import Traces

from tests.unit.audit.conftest import append, said


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def recorder(store: Store, clock: Clock) -> Recorder:
    return Recorder(store, "server-1", clock)


def settle(store: Store) -> None:
    """Wait for what was submitted."""
    store.run(lambda tx: None)


def refuse(recorder: Recorder, actor: str = "alice", reason: str = "FIELD_INVALID") -> None:
    recorder.refused(actor=actor, tenant="default", method="/s/Create", reason=reason)


def test_a_flood_of_failed_logins_is_a_few_entries(
    store: Store, recorder: Recorder, clock: Clock
) -> None:
    for port in range(1000):
        recorder.login_failed(f"ipv4:192.0.2.1:{port}", "TOKEN_INVALID", "/s/Create")
    recorder.login_failed("ipv4:192.0.2.2:1", "TOKEN_MISSING")
    recorder.tick()
    settle(store)
    first = {"peer": "ipv4:192.0.2.1", "count": "1", "method": "/s/Create"}
    second = {"peer": "ipv4:192.0.2.2", "count": "1"}
    expected = [
        ("login.failed", "TOKEN_INVALID", first),
        ("login.failed", "TOKEN_MISSING", second),
    ]
    assert said(store) == expected
    clock.now_s += module.WINDOW_S
    recorder.tick()
    settle(store)
    rest = {"peer": "ipv4:192.0.2.1", "count": "999"}
    assert said(store) == [*expected, ("login.failed", "TOKEN_INVALID", rest)]
    clock.now_s += module.WINDOW_S
    recorder.tick()
    recorder.login_failed("ipv4:192.0.2.1:1", "TOKEN_INVALID")
    settle(store)
    again = {"peer": "ipv4:192.0.2.1", "count": "1"}
    assert said(store, 3) == [("login.failed", "TOKEN_INVALID", again)]


def test_a_flood_from_everywhere_is_bounded_too(
    store: Store, recorder: Recorder, clock: Clock
) -> None:
    peers = 3 * module.KINDS_MAX
    for number in range(peers):
        recorder.login_failed(f"ipv6:[2001:db8::{number:x}]:1", "TOKEN_INVALID")
    clock.now_s += module.WINDOW_S
    recorder.tick()
    settle(store)
    entries = said(store)
    assert len(entries) <= 2 * module.KINDS_MAX + 1
    assert entries[-1][2]["peer"] == "others"
    assert sum(int(facts["count"]) for _, _, facts in entries) == peers


class FullStore:
    """Takes nothing for a while."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.full = False

    def submit(self, operation: Any) -> None:
        if self.full:
            raise StoreUnavailable("the queue is full")
        self.store.submit(operation)


def test_what_the_store_does_not_take_is_counted_and_told_later(store: Store, clock: Clock) -> None:
    full = FullStore(store)
    recorder = Recorder(full, "server-1", clock)  # type: ignore[arg-type]
    full.full = True
    for _ in range(3):
        recorder.login_failed("ipv4:192.0.2.1:1", "TOKEN_INVALID")
        refuse(recorder)
    clock.now_s += module.WINDOW_S
    with pytest.raises(StoreUnavailable):
        recorder.tick()
    full.full = False
    clock.now_s += module.WINDOW_S
    recorder.tick()
    settle(store)
    assert said(store) == [
        ("login.failed", "TOKEN_INVALID", {"peer": "ipv4:192.0.2.1", "count": "3"}),
        ("/s/Create", "FIELD_INVALID", {"count": "3"}),
    ]


def test_refusals_are_entries_until_they_are_a_flood(
    store: Store, recorder: Recorder, clock: Clock
) -> None:
    for _ in range(25):
        refuse(recorder)
    refuse(recorder, actor="bob")
    refuse(recorder, reason="QUOTA_EXCEEDED")
    clock.now_s += module.WINDOW_S
    recorder.tick()
    settle(store)
    one_by_one = module.REFUSALS_WRITTEN_MAX
    outcomes = [outcome for _, outcome, _ in said(store)]
    assert outcomes == ["FIELD_INVALID"] * (one_by_one + 1) + ["QUOTA_EXCEEDED", "FIELD_INVALID"]
    assert said(store)[-1][2] == {"count": str(25 - one_by_one)}


def test_what_was_counted_is_written_at_the_end(store: Store, recorder: Recorder) -> None:
    for _ in range(11):
        refuse(recorder)
    recorder.server_stopped()
    entries = said(store)
    assert len(entries) == 12
    assert entries[-2] == ("/s/Create", "FIELD_INVALID", {"count": "1"})
    assert entries[-1] == ("server.stopped", "OK", {"server": "server-1"})


@pytest.mark.parametrize(
    ("peer", "host"),
    [
        ("ipv4:192.0.2.1:4711", "ipv4:192.0.2.1"),
        ("ipv6:%5B::1%5D:5", "ipv6:%5B::1%5D"),
        ("unix:", "unix:"),
        ("unix:/run/x.sock", "unix:/run/x.sock"),
        ("x" * 500, "x" * 199 + "…"),
    ],
)
def test_hosts(peer: str, host: str) -> None:
    assert host_of(peer) == host


SETTINGS: dict[str, Any] = {"listen": "127.0.0.1:7443", "limits": {"rpc.calls_max": 256}}


def started(store: Store, folder: Path, settings: dict[str, Any]) -> Audit:
    store.run(log.create(log.new_salt()))
    signer = open_signer(folder / "audit.pem")
    return start(
        store,
        folder,
        server="server-1",
        version="1",
        settings=settings,
        signer=signer,
        reopen=lambda _: None,
    )


def begin(store: Store, folder: Path, settings: dict[str, Any]) -> None:
    started(store, folder, settings).close()


def test_a_server_s_life(store: Store, tmp_path: Path) -> None:
    begin(store, tmp_path, SETTINGS)
    actions = [action for action, _, _ in said(store)]
    assert actions == ["log.created", "server.started", "server.stopped"]
    began = said(store)[1][2]
    assert (began["server"], began["version"]) == ("server-1", "1")
    assert len(began["settings_sha256"]) == 64
    begin(store, tmp_path, SETTINGS)
    assert [action for action, _, _ in said(store, 3)] == ["server.started", "server.stopped"]


def test_changed_settings_are_an_entry(store: Store, tmp_path: Path) -> None:
    begin(store, tmp_path, SETTINGS)
    begin(store, tmp_path, SETTINGS | {"limits": {"rpc.calls_max": 8}, "threads": 2})
    [_, changed, _] = said(store, 3)
    assert changed == (
        "settings.changed",
        "OK",
        {"limits.rpc.calls_max": "256 -> 8", "threads": "None -> 2"},
    )


def test_what_was_told_may_be_lost(tmp_path: Path) -> None:
    remembered = Remembered(tmp_path, SETTINGS)
    remembered.told()
    assert Remembered(tmp_path, SETTINGS | {"threads": 9}).changes() != []
    for damage in (b"", b"{}", b"[]", b"\xff", b'{"settings": 1}'):
        (tmp_path / "audit-told.json").write_bytes(damage)
        assert Remembered(tmp_path, SETTINGS | {"threads": 9}).changes() == []


def test_the_background_adds_what_was_recorded(store: Store, tmp_path: Path) -> None:
    audit = started(store, tmp_path, SETTINGS)
    audit.background.run_once()
    assert audit.sequencer.catch_up(0.0) == 2
    audit.close()


def test_faults_of_the_background_are_logged_when_new(
    store: Store, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    append(store, 3)
    store.run(lambda tx: tx.execute("DELETE FROM audit_entries WHERE idx = 1"))
    background = Background(recorder, Sequencer(store, "one"), Traces(store))
    for _ in range(3):
        background.run_once()
    faults = [r.getMessage() for r in caplog.records]
    assert faults == ["the audit cannot go on: the audit log lacks its entry 1"]
