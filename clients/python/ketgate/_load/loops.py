"""When calls are sent: at planned times (open loop), or one after the other's answer (closed)."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from ketgate._load import arrivals
from ketgate._load.assignment import Assignment
from ketgate._load.scenarios import SCENARIOS, Operation, Shot, Shots
from ketgate._load.tally import NOT_SENT, Tally

STREAM_THREADS_MAX = 128
SLEEP_MAX_S = 0.1
DRAIN_EXTRA_S = 2.0
OVERTIME_NS = 500_000_000
"""After the end, overdue calls may still be sent for so long; then they count as not sent."""


class Sender(Protocol):
    """What loops need of a Target."""

    tally: Tally
    operations: Sequence[Operation]

    def measured(self, due_ns: int) -> bool:
        """Whether a call that was due then counts."""

    def begin(self, shot: Shot, due_ns: int, done: Callable[[], None]) -> None:
        """Send, and run done when the answer has come."""

    def finish(self, shot: Shot, due_ns: int) -> None:
        """Send, and wait for the answer or for the end of the stream."""


class OpenLoop:
    """Sends each call when it is due, however long those before it take. Latency runs from then."""

    def __init__(self, assignment: Assignment, sender: Sender) -> None:
        self._assignment = assignment
        self._sender = sender
        self._length_s = assignment.warm_up_s + assignment.duration_s
        self._plan = arrivals.plan(
            assignment.arrivals,
            assignment.rate,
            self._length_s,
            seed=assignment.seed,
            worker=assignment.worker,
            workers=assignment.workers,
        )
        shots = Shots(SCENARIOS[assignment.scenario], assignment.seed)
        self._shots = shots.draw((assignment.seed, assignment.worker))
        self._slots = Slots(assignment.in_flight_max)

    def run(self, start_ns: int, stop: threading.Event) -> None:
        """Return when the plan is done, or at stop, and the answers have come."""
        due = (start_ns + self._plan).tolist()
        last_ns = start_ns + int(self._length_s * 1e9) + OVERTIME_NS
        streams = ThreadPoolExecutor(min(STREAM_THREADS_MAX, self._assignment.in_flight_max))
        free_since_ns = 0
        for position, due_ns in enumerate(due):
            if not _sleep_until(due_ns, stop):
                break
            held = not self._slots.take()
            if held and self._slots.wait(last_ns, stop):
                free_since_ns = time.monotonic_ns()
            elif held or time.monotonic_ns() > last_ns:
                self._give_up(due[position:], holding=held, stop=stop)
                break
            if self._sender.measured(due_ns):
                # What the server held up is not the client's lateness, nor what that made late.
                late_ns = time.monotonic_ns() - max(due_ns, free_since_ns)
                self._sender.tally.sending(late_ns, held=held)
            self._send(next(self._shots), due_ns, streams)
        self._slots.drain(self._assignment.timeout_s + DRAIN_EXTRA_S)
        streams.shutdown(cancel_futures=True)

    def _send(self, shot: Shot, due_ns: int, streams: ThreadPoolExecutor) -> None:
        if not self._sender.operations[shot.operation].stream:
            self._sender.begin(shot, due_ns, self._slots.give_back)
            return
        # grpc's streams are read by a thread each; a call that waits for one is late, and tells.
        begun = streams.submit(self._sender.finish, shot, due_ns)
        begun.add_done_callback(lambda _: self._slots.give_back())

    def _give_up(self, due: Sequence[int], *, holding: bool, stop: threading.Event) -> None:
        """Count the calls that were due before the end and could not be sent."""
        if not holding:
            self._slots.give_back()
        tally = self._sender.tally
        count = sum(self._sender.measured(due_ns) for due_ns in due)
        if count and not stop.is_set():
            by_server = holding or tally.held
            why = "as many calls as allowed were in flight" if by_server else "the client is slower"
            tally.failed(NOT_SENT, f"due before the end, but {why}", count)


class ClosedLoop:
    """Loops that call again when they have their answer. Latency runs from the sending."""

    def __init__(self, assignment: Assignment, sender: Sender) -> None:
        self._assignment = assignment
        self._sender = sender
        self._shots = Shots(SCENARIOS[assignment.scenario], assignment.seed)

    def run(self, start_ns: int, stop: threading.Event) -> None:
        """Return when the time is over, or at stop, and the last answers have come."""
        with ThreadPoolExecutor(self._assignment.loops) as pool:
            numbers = range(self._assignment.loops)
            for ended in [pool.submit(self._loop, n, start_ns, stop) for n in numbers]:
                ended.result()

    def _loop(self, number: int, start_ns: int, stop: threading.Event) -> None:
        a = self._assignment
        end_ns = start_ns + int((a.warm_up_s + a.duration_s) * 1e9)
        shots = self._shots.draw((a.seed, a.worker, number))
        if not _sleep_until(start_ns, stop):
            return
        for _ in range(a.calls_max // a.loops):
            now_ns = time.monotonic_ns()
            if now_ns >= end_ns or stop.is_set():
                return
            if self._sender.measured(now_ns):
                self._sender.tally.sending(0, held=False)
            self._sender.finish(next(shots), now_ns)


class Slots:
    """So many calls may be in flight."""

    def __init__(self, count_max: int) -> None:
        self._count_max = count_max
        self._free = threading.Semaphore(count_max)

    def take(self) -> bool:
        """Whether there was one."""
        return self._free.acquire(blocking=False)

    def wait(self, until_ns: int, stop: threading.Event) -> bool:
        """Take one as soon as there is one; whether there was before until_ns and before stop."""
        while not stop.is_set():
            remaining_s = (until_ns - time.monotonic_ns()) / 1e9
            if remaining_s <= 0:
                return False
            if self._free.acquire(timeout=min(remaining_s, SLEEP_MAX_S)):
                return True
        return False

    def give_back(self) -> None:
        self._free.release()

    def drain(self, timeout_s: float) -> None:
        """Wait until none is in flight, or until the time is over."""
        until_s = time.monotonic() + timeout_s
        for _ in range(self._count_max):
            if not self._free.acquire(timeout=max(until_s - time.monotonic(), 0.001)):
                return


def _sleep_until(due_ns: int, stop: threading.Event) -> bool:
    """Whether that time came before stop."""
    while (remaining_s := (due_ns - time.monotonic_ns()) / 1e9) > 0:
        if stop.is_set():
            return False
        time.sleep(min(remaining_s, SLEEP_MAX_S))
    return not stop.is_set()
