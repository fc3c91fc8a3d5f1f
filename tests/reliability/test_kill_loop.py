"""Servers under load that are killed again and again; see kill_loop/. More of it:
python -m tests.reliability.kill_loop --rounds 100."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from ketgate.jobs.v1 import job_pb2 as pb

from tests.postgres import PostgresServer

from .kill_loop import model
from .kill_loop.fleet import Fleet
from .kill_loop.history import Acknowledged, History, Page, Seen
from .kill_loop.loop import run

ROUNDS = 3


@pytest.fixture(autouse=True)
def own_pins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    running = Fleet(tmp_path)
    yield running
    running.close()


@pytest.fixture
def shared_fleet(tmp_path: Path, postgres_server: PostgresServer) -> Iterator[Fleet]:
    running = Fleet(tmp_path, 3, postgres_server.new_database())
    yield running
    running.close()


def story(wrong: list[str]) -> str:
    return f"{len(wrong)} faults:\n" + "\n".join(wrong[:20])


@pytest.mark.timeout(300)
def test_a_server_that_is_killed_again_and_again(fleet: Fleet) -> None:
    history, wrong = run(fleet, seed=1, rounds=ROUNDS)
    assert not wrong, story(wrong)
    methods = {call.method for call in history.acknowledged}
    assert methods == {"CreateJob", "CancelJob", "DeleteJob"}
    assert history.heads
    assert history.pages


@pytest.mark.timeout(300)
def test_three_servers_over_one_database(shared_fleet: Fleet) -> None:
    history, wrong = run(shared_fleet, seed=2, rounds=ROUNDS - 1)
    assert not wrong, story(wrong)
    assert len(history.acknowledged) > 20


def event(revision: int, job: str, kind: int, state: int) -> pb.JobEvent:
    return pb.JobEvent(revision=revision, job=job, type=kind, state=state)


CREATED, CHANGED, DELETED = (
    pb.JOB_EVENT_TYPE_CREATED,
    pb.JOB_EVENT_TYPE_STATE_CHANGED,
    pb.JOB_EVENT_TYPE_DELETED,
)


def whole() -> History:
    """A history in which nothing is wrong: a job that succeeds, and one that is deleted."""
    history = History(plans={"jobs/a": "long", "jobs/b": "long"}, deletions={"jobs/b"})
    history.acknowledged = [
        Acknowledged("CreateJob", "red", "1", "jobs/a"),
        Acknowledged("CreateJob", "blue", "2", "jobs/b"),
        Acknowledged("CancelJob", "blue", "3", "jobs/b"),
        Acknowledged("DeleteJob", "blue", "4", "jobs/b"),
    ]
    history.events = {
        "red": [
            event(1, "jobs/a", CREATED, 1),
            event(3, "jobs/a", CHANGED, 3),
            event(5, "jobs/a", CHANGED, 5),
        ],
        "blue": [
            event(2, "jobs/b", CREATED, 1),
            event(4, "jobs/b", CHANGED, 7),
            event(6, "jobs/b", DELETED, 7),
        ],
    }
    history.seen = [Seen("jobs/a", 3, 3), Seen("jobs/b", 7, 4)]
    history.pages = [Page("red", 4, (Seen("jobs/a", 3, 3),)), Page("blue", 6, ())]
    return history


AUDIT = [
    ("/Jobs/CreateJob", "jobs/a", "OK"),
    ("/Jobs/CreateJob", "jobs/b", "OK"),
    ("/Jobs/CancelJob", "jobs/b", "OK"),
    ("/Jobs/DeleteJob", "jobs/b", "OK"),
    ("/Jobs/DeleteJob", "jobs/a", "JOB_UNFINISHED"),
]


def faults(
    history: History,
    audit: list[tuple[str, str, str]] = AUDIT,
    jobs: dict[str, pb.Job] | None = None,
) -> list[str]:
    lives, wrong = model.check_events(history)
    wrong += model.check_answers(history, lives)
    there = {"jobs/a": pb.Job(state=5, revision=5)} if jobs is None else jobs
    return wrong + model.check_end(history, lives, there, {}) + model.check_audit(history, audit)


def test_the_model_finds_what_is_wrong() -> None:
    assert faults(whole()) == []
    missed = whole()
    del missed.events["red"][1]
    assert any("missed revisions" in fault for fault in faults(missed))
    undead = whole()
    undead.events["red"].append(event(7, "jobs/a", CHANGED, 3))
    assert "jobs/a went from state 5 to 3" in faults(undead)
    lost = whole()
    lost.acknowledged.append(Acknowledged("CreateJob", "red", "5", "jobs/c"))
    assert any("in no event" in fault for fault in faults(lost))
    twice = whole()
    twice.events["red"].append(event(7, "jobs/d", CREATED, 1))
    assert any("nobody asked for" in fault for fault in faults(twice))
    stale = whole()
    stale.pages.append(Page("red", 5, (Seen("jobs/a", 3, 3),)))
    assert any("a list at 5" in fault for fault in faults(stale))
    lied = whole()
    lied.seen.append(Seen("jobs/a", 6, 5))
    assert any("an answer told" in fault for fault in faults(lied))
    assert any("jobs lost" in fault for fault in faults(whole(), jobs={}))
    assert any("the audit has 0" in fault for fault in faults(whole(), AUDIT[1:]))
    assert any("the audit has 2" in fault for fault in faults(whole(), [*AUDIT, AUDIT[2]]))
