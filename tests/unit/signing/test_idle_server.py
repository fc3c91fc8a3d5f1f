"""A server that nobody asks to use keys: what other servers of its store did holds for it too."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from ketgate.signing.v1 import signing_service_pb2 as pb
from ketgate_server.signing import rollback
from ketgate_server.signing.keys.journal import Journal
from ketgate_server.signing.keys.record import VersionState
from ketgate_server.signing.keys.states import Act
from ketgate_server.signing.metrics import SigningMetrics
from ketgate_server.signing.overheard import INTERVAL_S, Overheard
from ketgate_server.signing.start import Running

from ..audit.conftest import FakeCall
from .data_folder import EMMA, MINUTE_US, DataFolder

SIGN = "/ketgate.signing.v1.SigningService/Sign"


@pytest.fixture
def bench(store_url: str | None, tmp_path: Path) -> Iterator[DataFolder]:
    made = DataFolder(tmp_path / "data", store_url)
    made.create("a")
    yield made
    made.close()


@pytest.fixture
def running(bench: DataFolder) -> Iterator[Running]:
    made = Running(bench.settings, bench.store, SigningMetrics())
    yield made
    made.end()


def sign(running: Running) -> None:
    request = pb.SignRequest(key="keys/a", message=b"m")
    running.uses.sign(FakeCall(EMMA, SIGN), request)  # type: ignore[arg-type]


def test_a_key_that_another_server_destroyed_does_not_stay_open(
    bench: DataFolder, running: Running
) -> None:
    sign(running)
    assert running.ring.open_keys == 1
    bench.destroy()
    running.timers.run_once()
    assert running.ring.open_keys == 0


def test_nothing_is_destroyed_in_an_older_copy(bench: DataFolder, running: Running) -> None:
    older = dict(bench.rows("counters"))["signing"]
    bench.act(Act.DESTROY)
    running.timers.run_once()
    now = bench.copy()
    now["counters"] = [
        (name, older if name == "signing" else value) for name, value in now["counters"]
    ]
    bench.put_back(now)
    bench.now_us += 2 * MINUTE_US
    running.timers.run_once()
    assert bench.state() is VersionState.DESTROY_SCHEDULED
    assert running.watch.found is not None


def test_what_another_server_destroyed_is_told_to_this_ones_journal(
    bench: DataFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older copy of a shared store was accepted by a server that knew nothing of what others had destroyed since it
    started."""
    now_s = [0.0]
    journal = Journal(tmp_path / "of another server")
    overheard = Overheard(bench.store, journal, lambda: now_s[0])
    bench.destroy()
    overheard.look()
    assert list(journal) == []  # not all the time
    now_s[0] += INTERVAL_S
    overheard.look()
    assert list(journal) == list(bench.base.journal)
    [told] = journal
    assert (told.key_id, told.version) == ("a", 1)
    now_s[0] += INTERVAL_S
    with monkeypatch.context() as patch:  # nothing changed since: what is there is not read again
        patch.setattr(rollback, "untold", None)
        overheard.look()
    bench.create("b")
    bench.destroy("b")
    now_s[0] += INTERVAL_S
    overheard.look()
    assert [one.key_id for one in journal] == ["a", "b"]


def test_a_journal_that_cannot_be_written_is_tried_again(
    bench: DataFolder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now_s = [0.0]
    (tmp_path / "file").write_text("")
    journal = Journal(tmp_path / "file")
    overheard = Overheard(bench.store, journal, lambda: now_s[0])
    bench.destroy()
    for times in (1, 2):
        now_s[0] += INTERVAL_S
        overheard.look()
        assert caplog.text.count("cannot be entered in the journal") == times
