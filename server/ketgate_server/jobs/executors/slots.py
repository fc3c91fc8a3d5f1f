"""A bounded number of slots, each a thread with a worker of its own, made when first needed.

The thread only hands over and waits (or, in a thread worker, starts the threads of a race): it keeps
its priority, as one that is kept from the processor while it holds the interpreter would keep every
other thread waiting with it.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Protocol

from ketgate.jobs.v1 import job_pb2 as pb

from ketgate_server.errors import KetgateError, Reason
from ketgate_server.jobs.base import Claim, Ending, Fault, JobKind, Outcome
from ketgate_server.jobs.executors.attempt import Attempt, Surroundings, Work, perform
from ketgate_server.jobs.faults import failed, lost
from ketgate_server.jobs.kinds import Kinds

CLOSE_TIMEOUT_S = 2.0

log = logging.getLogger("ketgate.jobs")


class WorkerDied(Exception):  # noqa: N818 - a state of the worker
    """The worker is gone, with the attempt; the message says how it ended."""


class Worker(Protocol):
    """Runs one attempt at a time, and the next when that is over."""

    def run(self, kind: JobKind, attempt: Attempt) -> Ending:
        """Run an attempt to its end, and pass attempt.stop() on. Raises WorkerDied; the next run
        begins with a new worker."""

    def interrupt(self) -> None:
        """Let a run under way end with WorkerDied, if that is possible, and begin no other. From
        any thread."""

    def close(self) -> None:
        """Release everything. From the thread that runs, after the last run."""


class SlotExecutor:
    """Implements base.Executor over workers of one sort."""

    def __init__(
        self,
        slots: int,
        kinds: Kinds,
        surroundings: Surroundings,
        open_worker: Callable[[], Worker],
    ) -> None:
        self._kinds = kinds
        self._surroundings = surroundings
        self._open_worker = open_worker
        self._lock = threading.Lock()
        self._unmade = slots
        self._made: list[_Slot] = []
        self._free: list[_Slot] = []
        self._closed = False

    @property
    def room(self) -> int:
        with self._lock:
            return 0 if self._closed else self._unmade + len(self._free)

    def start(
        self,
        claim: Claim,
        *,
        remaining_s: float,
        progress: Callable[[pb.JobProgress], None],
        checkpoint: Callable[[bytes], None],
        end: Callable[[Ending], None],
    ) -> Attempt:
        """Raises RuntimeError without room, or when the system has no more threads."""
        reference = f"jobs/{claim.id}/attempts/{claim.attempt}"
        kind = self._kinds.get(claim.kind)
        entry = "" if kind is None else kind.entry
        work = Work(
            reference,
            claim.kind,
            entry,
            claim.tenant,
            claim.spec,
            remaining_s,
            job_id=claim.id,
            attempt=claim.attempt,
            handle=claim.handle,
            stopped=claim.stopped,
        )
        attempt = Attempt(work, self._surroundings, progress, checkpoint)
        if kind is None:
            end(_unknown(claim.kind))
        else:
            self._slot().take(kind, attempt, end)
        return attempt

    def close(self) -> None:
        with self._lock:
            self._closed = True
            made = list(self._made)
        for slot in made:
            slot.close()
        end_s = time.monotonic() + CLOSE_TIMEOUT_S
        for slot in made:
            slot.join(max(0.0, end_s - time.monotonic()))

    def _slot(self) -> "_Slot":
        """The one that was used last: its worker is warm, and the others' memory stays unused."""
        with self._lock:
            if self._closed:
                raise RuntimeError("the executor is closed")
            if self._free:
                return self._free.pop()
            if not self._unmade:
                raise RuntimeError("the executor has no room")
            slot = _Slot(self._open_worker(), self._back, name=f"attempts-{len(self._made)}")
            self._unmade -= 1
            self._made.append(slot)
            return slot

    def _back(self, slot: "_Slot") -> None:
        with self._lock:
            self._free.append(slot)


class _Slot:
    """A worker and the thread that serves it."""

    def __init__(self, worker: Worker, back: Callable[["_Slot"], None], *, name: str) -> None:
        self._worker = worker
        self._back = back
        self._orders: queue.SimpleQueue[_Order | None] = queue.SimpleQueue()
        self._current: Attempt | None = None
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def take(self, kind: JobKind, attempt: Attempt, end: Callable[[Ending], None]) -> None:
        self._current = attempt
        self._orders.put((kind, attempt, end))

    def close(self) -> None:
        self._orders.put(None)
        current = self._current
        if current is not None and current.handle is None:  # else it would cancel at its provider
            current.stop()
        self._worker.interrupt()

    def join(self, timeout_s: float) -> None:
        self._thread.join(timeout_s)

    def _serve(self) -> None:
        while (order := self._orders.get()) is not None:
            kind, attempt, end = order
            ending = self._run(kind, attempt)
            self._current = None
            reference = attempt.work.reference
            del order, attempt  # the spec is not to be held until the next one comes
            self._back(self)  # first, so that who hears of the end finds room
            try:
                end(ending)
            except Exception:
                log.exception("%s ended, and nobody took its end", reference)
            del ending, end
        self._worker.close()

    def _run(self, kind: JobKind, attempt: Attempt) -> Ending:
        reference = attempt.work.reference
        try:
            if stays(kind, attempt.work):
                return perform(kind.run, attempt)
            return self._worker.run(kind, attempt)
        except WorkerDied as death:
            return lost(reference, str(death))
        except Exception as error:  # it could not be handed over
            return failed(error, reference)
        finally:
            attempt.forget()


def stays(kind: JobKind, work: Work) -> bool:
    """Whether the work has to run in this server's own process."""
    if not hasattr(kind, "stays"):
        return False
    if work.handle is not None:  # whatever it is that holds its work, the server knows it
        return True
    return bool(kind.stays(getattr(pb.JobSpec.FromString(work.spec), work.kind)))


_Order = tuple[JobKind, Attempt, Callable[[Ending], None]]


def _unknown(kind: str) -> Ending:
    """A server of another version may know it: tried again."""
    error = KetgateError(Reason.INTERNAL, f"this server does not know the kind of job {kind!r}")
    return Ending(Outcome.FAILED, fault=Fault.SERVER, error=error)
