"""The loops of `ketgate load`: what they hold up, what they count, and that they end."""

import threading
import time
from collections.abc import Callable

import pytest
from ketgate._load.arrivals import plan
from ketgate._load.assignment import Assignment
from ketgate._load.loops import ClosedLoop, OpenLoop
from ketgate._load.scenarios import SCENARIOS, Shot
from ketgate._load.tally import NOT_SENT, Tally

pytest.importorskip("hdrh", reason="HdrHistogram is not installed: pip install 'ketgate[load]'")


class Sender:
    """Takes shots, and answers when the test says."""

    def __init__(self, scenario: str, *, answers: bool = True) -> None:
        self.tally = Tally()
        self.operations = [operation for _, operation in SCENARIOS[scenario].shares]
        self.due: list[int] = []
        self.unanswered: list[Callable[[], None]] = []
        self.in_flight_max = 0
        self._answers = answers

    def measured(self, due_ns: int) -> bool:
        return due_ns > 0

    def begin(self, shot: Shot, due_ns: int, done: Callable[[], None]) -> None:
        self.due.append(due_ns)
        self.unanswered.append(done)
        self.in_flight_max = max(self.in_flight_max, len(self.unanswered))
        if self._answers:
            self.unanswered.pop()()

    def finish(self, shot: Shot, due_ns: int) -> None:
        self.due.append(due_ns)


def assignment(scenario: str = "info", **changes: object) -> Assignment:
    settings: dict[str, object] = {
        "address": "", "ca_certificates": None, "token": None, "insecure": True,
        "scenario": scenario, "seed": 1, "worker": 0, "workers": 1, "rate": 2_000.0,
        "arrivals": "uniform", "loops": 0, "warm_up_s": 0.0, "duration_s": 0.05,
        "timeout_s": 0.01, "in_flight_max": 10, "calls_max": 1_000, "connections": 1,
    }  # fmt: skip
    return Assignment(**(settings | changes))  # type: ignore[arg-type]


def test_latency_runs_from_when_a_call_was_due() -> None:
    """A server that stalls must not hide the calls that it keeps from being sent."""
    told = assignment(duration_s=0.02, in_flight_max=2)
    sender = Sender("info", answers=False)
    release = threading.Timer(0.1, lambda: [done() for done in sender.unanswered])
    start_ns = time.monotonic_ns()
    release.start()
    OpenLoop(told, sender).run(start_ns, threading.Event())
    release.join()
    expected = (start_ns + plan("uniform", 2_000.0, 0.02, seed=1)).tolist()
    assert sender.due == expected[: len(sender.due)]
    assert len(sender.due) > 2
    assert sender.tally.held >= 1
    # It was the server that was late, not the client.
    assert sender.tally.late.percentile_ms(50.0) < 50.0


def test_calls_in_flight_are_bounded_and_the_rest_is_counted() -> None:
    sender = Sender("info", answers=False)
    OpenLoop(assignment(in_flight_max=3), sender).run(time.monotonic_ns(), threading.Event())
    assert sender.in_flight_max == len(sender.due) == 3
    assert sender.tally.sent == 3
    assert sender.tally.failures[NOT_SENT] == 100 - 3
    assert "in flight" in sender.tally.examples[NOT_SENT]


def test_every_planned_call_is_sent_once() -> None:
    sender = Sender("info")
    start_ns = time.monotonic_ns()
    OpenLoop(assignment(), sender).run(start_ns, threading.Event())
    assert sender.due == (start_ns + plan("uniform", 2_000.0, 0.05, seed=1)).tolist()
    assert sender.tally.sent == 100
    assert not sender.tally.failures


def test_streams_are_read_to_their_end() -> None:
    sender = Sender("stream")
    OpenLoop(assignment("stream"), sender).run(time.monotonic_ns(), threading.Event())
    assert len(sender.due) == 100


@pytest.mark.parametrize("loop", [OpenLoop, ClosedLoop])
def test_stop_ends_a_loop(loop: Callable[..., OpenLoop | ClosedLoop]) -> None:
    stop = threading.Event()
    stop.set()
    sender = Sender("info")
    told = assignment(duration_s=3_600.0, loops=2, rate=1.0)
    loop(told, sender).run(time.monotonic_ns(), stop)
    assert not sender.due
    assert not sender.tally.failures


def test_a_closed_loop_is_bounded_in_calls() -> None:
    sender = Sender("mix")
    told = assignment("mix", loops=4, rate=0.0, calls_max=40, duration_s=3_600.0)
    ClosedLoop(told, sender).run(time.monotonic_ns(), threading.Event())
    assert len(sender.due) == sender.tally.sent == 40


def test_a_closed_loop_is_bounded_in_time() -> None:
    sender = Sender("info")
    told = assignment(loops=1, rate=0.0, calls_max=10**9, duration_s=0.02)
    start_ns = time.monotonic_ns()
    ClosedLoop(told, sender).run(start_ns, threading.Event())
    assert sender.due
    assert max(sender.due) < start_ns + 20_000_000
