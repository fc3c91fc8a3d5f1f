"""What was redacted is in no file of SQLite any more."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ketgate.audit.v1 import audit_service_pb2 as pb
from ketgate_server.audit import log
from ketgate_server.audit.recorder import Recorder
from ketgate_server.audit.sequencer import Sequencer
from ketgate_server.audit.service import create_service
from ketgate_server.audit.signer import open_signer
from ketgate_server.audit.start import Background
from ketgate_server.rpc.call import Identity
from ketgate_server.store.base import Store, Transaction
from ketgate_server.store.database import open_store
from ketgate_server.store.erasure import Traces, cut_log, erasing

from tests.unit.audit.conftest import Caller, fact

SIZE = 300
LARGE, SMALL = 7, 200
"""Entries of interest: one lies on pages of its own, the other among others."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    """With words in every entry that are found nowhere else."""
    opened = open_store(folder)
    facts = [
        fact(i, facts={"word": word(i) * (1000 if i == LARGE else 1)}, salt=salt(i))
        for i in range(SIZE)
    ]
    opened.run(lambda tx: log.record_many(tx, facts))
    yield opened
    opened.close()


@pytest.fixture
def traces(store: Store) -> Traces:
    made = Traces(store)
    assert made.clear()
    return made


@pytest.fixture
def redact(store: Store, traces: Traces, tmp_path: Path) -> Callable[[int], None]:
    sequencer = Sequencer(store, "one")
    service = create_service(store, sequencer, open_signer(tmp_path / "audit.pem"), traces=traces)
    admin = Caller(service, Identity("root", "default", frozenset({"admin"})))

    def redact(index: int) -> None:
        admin("RedactEntry", pb.RedactEntryRequest(index=index, reason="asked for"))

    return redact


def word(index: int) -> str:
    return f"-person-{index:04}-"


def salt(index: int) -> bytes:
    return f"<{index:030}>".encode()  # none is a part of another and the byte beside it


def found(folder: Path, index: int) -> bool:
    """Whether anything of what the entry said is in a file."""
    content = b"".join((folder / name).read_bytes() for name in os.listdir(folder))
    return word(index).encode() in content or salt(index) in content


def test_an_entry_leaves_the_files_and_its_neighbours_stay(
    folder: Path, redact: Callable[[int], None]
) -> None:
    for index in (LARGE, SMALL):
        assert found(folder, index)
        redact(index)
        assert not found(folder, index)
    assert all(found(folder, i) for i in range(SIZE) if i not in (LARGE, SMALL))


def test_while_somebody_reads_it_is_put_off(
    store: Store, folder: Path, traces: Traces, redact: Callable[[int], None]
) -> None:
    background = Background(Recorder(store, "one"), Sequencer(store, "one"), traces)
    with store.read() as reader:
        reader.row("SELECT COUNT(*) FROM audit_entries")
        redact(SMALL)
        assert found(folder, SMALL)
    background.run_once()
    assert not found(folder, SMALL)


def test_what_a_former_process_left_is_cleared_by_the_next(
    store: Store, folder: Path, redact: Callable[[int], None]
) -> None:
    with store.read() as reader:
        reader.row("SELECT COUNT(*) FROM audit_entries")
        redact(SMALL)
    assert found(folder, SMALL)
    assert Traces(store).clear()
    assert not found(folder, SMALL)


def test_the_log_is_cut_only_where_something_was_erased(
    store: Store, traces: Traces, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuts = []

    def cut(given: Store) -> bool:
        cuts.append(given)
        return cut_log(given)

    monkeypatch.setattr("ketgate_server.store.erasure.cut_log", cut)
    assert traces.clear()
    assert not cuts
    traces.leave()
    assert traces.clear()
    assert traces.clear()
    assert len(cuts) == 1


def test_rows_that_were_moved_leave_no_copies(folder: Path, store: Store) -> None:
    """Whatever SQLite was built to do, and after something was erased: what is moved later, as pages
    fill, is to be found once."""
    later = [fact(i, facts={"word": word(i)}, salt=salt(i)) for i in range(SIZE, 2 * SIZE)]

    def operation(tx: Transaction) -> None:
        with erasing(store, tx):
            tx.execute("UPDATE audit_entries SET salt = NULL, payload = NULL WHERE idx = 0")
        log.record_many(tx, later)

    store.run(operation)
    assert cut_log(store)
    content = (folder / "ketgate.db").read_bytes()
    assert [i for i in range(1, 2 * SIZE) if content.count(salt(i)) != 1] == []
