"""Holds this server's attempts: claims what is ready, starts it, keeps its lease, passes on that it is
to stop, and writes how far it is and how it ended.

`Dispatcher.step` is one thread's work without a clock or a wait of its own, so that a simulation can
drive it; dispatcher_thread.py runs it. While the store is unavailable nothing is lost: endings wait
here, and an attempt whose lease ran out meanwhile is stale by its fence.
"""

import logging
import math
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ketgate.jobs.v1 import job_pb2 as pb

from ketgate_server.errors import KetgateError, Reason
from ketgate_server.jobs.base import Claim, Ending, Executor, Outcome
from ketgate_server.jobs.faults import Stopped, failed
from ketgate_server.jobs.held import Held, Stop
from ketgate_server.store.base import StoreUnavailable

SECOND_US = 1_000_000
DEADLINE_SLACK_S = 0.001
"""Clocks differ: who stops at a deadline does so just after it."""

log = logging.getLogger("ketgate.jobs")


class Queue(Protocol):
    """The part of JobStore that a dispatcher needs. Each raises StoreUnavailable."""

    def now_us(self) -> int: ...
    def version(self) -> int:
        """Rises with everything that a server may have to act on."""

    def claim(self, worker: str, count: int, lease_us: int) -> Sequence[Claim]: ...
    def renew(self, worker: str, fences: Sequence[int], lease_us: int) -> Mapping[int, str]:
        """For each fence that needs it "stop" or "lost"."""

    def signs(self, fences: Sequence[int]) -> Mapping[int, str]:
        """As renew, without a write."""

    def progress(self, fence: int, seq: int, progress: pb.JobProgress) -> None: ...
    def checkpoint(self, claim: Claim, handle: bytes, lease_us: int) -> bool: ...
    def finish_many(self, endings: Sequence[tuple[Claim, Ending]]) -> Sequence[bool]: ...
    def tick(self) -> int | None:
        """Do what is due; when next, in the store's clock."""


@dataclass(frozen=True)
class DispatcherSettings:
    """Times in seconds."""

    worker: str
    """Names this server to all others of the store; a new one for each start."""
    lease_s: float = 15.0
    """Without a sign of life for so long an attempt is lost. It is given every third of it."""
    look_s: float = 0.05
    """Least time between two looks for attempts that are to stop and for what is due; taken only
    after a change."""
    progress_s: float = 0.2
    """Least time between two reports of an attempt that are written; the newest is."""
    poll_s: float = math.inf
    """How often to look for changes by other servers; infinite where there are none."""
    pause_s: float = 0.1
    """First wait after the store was unavailable; doubled each time, up to pause_s_max."""
    pause_s_max: float = 5.0


class Dispatcher:
    """Step it from one thread; changed() and what an executor calls may come from any."""

    def __init__(
        self,
        queue: Queue,
        executor: Executor,
        settings: DispatcherSettings,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        """wake: called, from any thread, when step should be called soon."""
        self._queue = queue
        self._executor = executor
        self._settings = settings
        self._wake = wake
        self._lease_us = round(settings.lease_s * SECOND_US)
        self._held: dict[int, Held] = {}
        self._ended: deque[tuple[Held, Ending]] = deque()
        self._to_store: list[tuple[Held, Ending]] = []
        self._changed = True
        self._may_be_ready = True
        self._may_be_due = True
        self._looked_s = self._renewed_s = self._polled_s = -math.inf
        self._due_s = math.inf
        self._version = -1
        self._pause_s = 0.0
        self._paused_until_s = -math.inf
        self._drain_s: tuple[float, float] | None = None
        self.ended: Counter[Outcome] = Counter()
        """Turns of attempts by how they ended, as their executor told."""

    @property
    def held(self) -> int:
        """Attempts that this server holds."""
        return len(self._held)

    def changed(self, revision: int = 0) -> None:  # noqa: ARG002 - as JobStore.on_change has it
        """Something in the store changed."""
        self._changed = True
        self._wake()

    def drain(self, stop_s: float, end_s: float) -> None:
        """Claim nothing more, tell what runs at stop_s to stop, and give back at end_s what still
        does. Times of step's clock. It is over when held is 0."""
        self._drain_s = (stop_s, end_s)
        self._wake()

    def step(self, now_s: float) -> float:
        """Do what there is to do. Returns when to be called next, if wake is not called before:
        infinity for never. now_s: seconds of any clock that does not go back."""
        self._collect()
        if not self._stop_by_clock(now_s) and now_s < self._paused_until_s:
            return min(self._paused_until_s, self._stop_s(now_s))
        if self._changed:  # what sets it did so after its commit, so what follows sees that
            self._changed = False
            self._may_be_ready = self._may_be_due = True
        try:
            self._poll(now_s)
            self._store_endings(now_s)
            self._claim(now_s)
            self._keep(now_s)
            self._tell_progress(now_s)
        except StoreUnavailable as error:
            return self._pause(now_s, error)
        self._pause_s = 0.0
        return self._next_s(now_s)

    def _collect(self) -> None:
        """What ended since."""
        while self._ended:
            held, ending = self._ended.popleft()
            self.ended[ending.outcome] += 1
            if self._held.get(held.claim.fence) is not held:
                continue  # it was given back
            if held.stopped_for is Stop.LOST:
                del self._held[held.claim.fence]
                continue
            if held.stopped_for is Stop.DRAIN and ending.outcome is Outcome.STOPPED:
                ending = Ending(Outcome.GIVEN_BACK)
            self._to_store.append((held, ending))

    def _poll(self, now_s: float) -> None:
        """Other servers' changes, as nobody tells of them."""
        if now_s < self._polled_s + self._settings.poll_s:
            return
        version, self._polled_s = self._queue.version(), now_s
        if version != self._version:
            self._version = version
            self._may_be_ready = self._may_be_due = True

    def _store_endings(self, now_s: float) -> None:
        if not self._to_store:
            return
        for held, ending in self._to_store:
            self._write_progress(held, now_s)
            if ending.progress is not None:
                self._complete(ending.progress, held, now_s)
        try:
            self._finish(self._to_store)
        except StoreUnavailable:
            raise
        except Exception:
            log.exception("%d ends could not be written together", len(self._to_store))
            while self._to_store:  # one that cannot be written does not keep the others
                self._finish_alone(*self._to_store[-1])
                self._to_store.pop()
        self._to_store.clear()
        self._may_be_ready = True  # they made room

    def _finish(self, ends: Sequence[tuple[Held, Ending]]) -> None:
        self._queue.finish_many([(held.claim, ending) for held, ending in ends])
        for held, _ in ends:
            self._held.pop(held.claim.fence, None)

    def _finish_alone(self, held: Held, ending: Ending) -> None:
        try:
            self._finish([(held, ending)])
        except StoreUnavailable:
            raise
        except Exception as error:
            told = failed(error, held.reference)
            try:
                self._finish([(held, told)])
            except StoreUnavailable:
                raise
            except Exception:
                log.exception("%s: its end cannot be written; its lease runs out", held.reference)
                self._held.pop(held.claim.fence, None)

    def _claim(self, now_s: float) -> None:
        while self._may_be_ready and self._drain_s is None and (room := self._executor.room) > 0:
            claims = self._queue.claim(self._settings.worker, room, self._lease_us)
            self._may_be_ready = len(claims) == room
            if claims and not self._held:
                self._renewed_s = now_s
            store_us = self._queue.now_us() if claims else 0
            for claim in claims:
                self._start(claim, store_us, now_s)

    def _start(self, claim: Claim, store_us: int, now_s: float) -> None:
        remaining_s = math.inf
        if claim.deadline_us is not None:
            remaining_s = (claim.deadline_us - store_us) / SECOND_US
        past_s = 0.0 if claim.began_us is None else (store_us - claim.began_us) / SECOND_US
        held = Held(claim, now_s - past_s, now_s + remaining_s + DEADLINE_SLACK_S)
        self._held[claim.fence] = held

        def progress(progress: pb.JobProgress) -> None:
            known = bool(held.news)
            held.news.append(progress)
            if not known:
                self._wake()

        def checkpoint(handle: bytes) -> None:
            held.outside = True
            try:
                kept = self._queue.checkpoint(claim, handle, self._lease_us)
            except StoreUnavailable as error:
                message = f"{held.reference} cannot keep its handle: the store is unavailable"
                raise KetgateError(Reason.STORE_UNAVAILABLE, message) from error
            if not kept:
                raise Stopped

        def end(ending: Ending) -> None:
            self._ended.append((held, ending))
            self._wake()

        try:
            held.running = self._executor.start(
                claim, remaining_s=remaining_s, progress=progress, checkpoint=checkpoint, end=end
            )
        except Exception as error:
            end(failed(error, held.reference))

    def _keep(self, now_s: float) -> None:
        """Renew leases, hear of what is to stop, and do what is due."""
        look = self._may_be_due and now_s >= self._looked_s + self._settings.look_s
        beat = now_s >= self._renewed_s + self._settings.lease_s / 3
        if self._held and (look or beat):
            fences = [f for f, held in self._held.items() if held.stopped_for is not Stop.LOST]
            if beat:
                signs = self._queue.renew(self._settings.worker, fences, self._lease_us)
                self._renewed_s = now_s
            else:
                signs = self._queue.signs(fences)
            for fence, sign in signs.items():
                self._held[fence].stop(Stop.LOST if sign == "lost" else Stop.ASKED)
        if look or now_s >= self._due_s:
            due_us = self._queue.tick()
            self._due_s = math.inf
            if due_us is not None:
                self._due_s = now_s + max(0.0, (due_us - self._queue.now_us()) / SECOND_US)
        if look:
            self._looked_s, self._may_be_due = now_s, False

    def _stop_by_clock(self, now_s: float) -> bool:
        """Stop what is too late, whether or not the store can be reached, and what a drain ends.
        Whether it just gave back the last."""
        for held in self._held.values():
            if now_s >= held.deadline_s:
                held.stop(Stop.ASKED)
        if self._drain_s is None or now_s < self._drain_s[0]:
            return False
        for held in self._held.values():
            held.stop(Stop.DRAIN)
        if now_s < self._drain_s[1] or not self._held:
            return False
        waiting = {held.claim.fence for held, _ in self._to_store}
        for fence, held in self._held.items():
            # Who is amid a talk with a provider may go on for a moment: nobody else is to begin one
            # before its lease has run out.
            if fence not in waiting and held.stopped_for is not Stop.LOST and not held.outside:
                self._to_store.append((held, Ending(Outcome.GIVEN_BACK)))
        self._held.clear()  # it is over, even if the store cannot hear of it: the leases run out
        return True

    def _stop_s(self, now_s: float) -> float:
        """When _stop_by_clock next has something to do."""
        times = [held.deadline_s for held in self._held.values() if held.stopped_for < Stop.ASKED]
        if self._drain_s is not None and self._held:
            times.append(self._drain_s[0] if now_s < self._drain_s[0] else self._drain_s[1])
        return min(times, default=math.inf)

    def _tell_progress(self, now_s: float) -> None:
        for held in self._held.values():
            if held.news and now_s >= held.told_s + self._settings.progress_s:
                self._write_progress(held, now_s)

    def _write_progress(self, held: Held, now_s: float) -> None:
        if not held.news or held.stopped_for is Stop.LOST:
            return
        newest = held.news.popleft()
        self._complete(newest, held, now_s)
        self._queue.progress(held.claim.fence, held.claim.seq, newest)
        held.told_s = now_s

    def _complete(self, progress: pb.JobProgress, held: Held, now_s: float) -> None:
        progress.time.FromMicroseconds(self._queue.now_us())
        progress.attempt = held.claim.attempt
        progress.elapsed.FromMicroseconds(round((now_s - held.started_s) * SECOND_US))

    def _pause(self, now_s: float, error: StoreUnavailable) -> float:
        first = self._pause_s == 0.0
        settings = self._settings
        self._pause_s = settings.pause_s if first else min(2 * self._pause_s, settings.pause_s_max)
        self._paused_until_s = now_s + self._pause_s
        self._may_be_ready = self._may_be_due = True
        if first:
            log.error("the store is unavailable; jobs wait: %s", error)
        return min(self._paused_until_s, self._stop_s(now_s))

    def _next_s(self, now_s: float) -> float:
        if self._ended or self._changed:
            return now_s
        times = [self._stop_s(now_s), self._due_s, self._polled_s + self._settings.poll_s]
        if self._may_be_due:
            times.append(self._looked_s + self._settings.look_s)
        if self._held:
            times.append(self._renewed_s + self._settings.lease_s / 3)
        newsworthy = (
            held for held in self._held.values() if held.news and held.stopped_for is not Stop.LOST
        )
        times += [held.told_s + self._settings.progress_s for held in newsworthy]
        return max(now_s, min(times))
