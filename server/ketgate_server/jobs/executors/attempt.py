"""One attempt of a job, wherever it runs: what it is given, what it sees, how it ends."""

import importlib
import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from google.protobuf.message import Message
from ketgate.jobs.v1 import job_pb2 as pb

from ketgate_server.arrays import Arrays, using
from ketgate_server.artifacts.blobs import CACHE_MAX, known_blobs
from ketgate_server.artifacts.tenant_arrays import REFERENCED_MAX, WorkerArrays
from ketgate_server.jobs.base import Ending, Outcome
from ketgate_server.jobs.faults import Stopped, Submitted, checked_handle, failed
from ketgate_server.limits import LIMITS, Limit

NICE_LOWEST = 19

Entry = Callable[[Any, Any], Message]
"""``run(spec, context) -> result``."""


@dataclass(frozen=True)
class Surroundings:
    """What a server gives to all of its attempts."""

    threads: int = 1
    """Threads that an attempt may use."""
    limits: Mapping[str, Limit] = field(default_factory=lambda: LIMITS)
    artifacts_url: str = ""
    """Where the content of artifacts lies; empty: no spec refers to any."""


@dataclass(frozen=True)
class Work:
    """What a worker is given."""

    reference: str
    """Names the attempt in the log and in errors: jobs/ID/attempts/N."""
    kind: str
    entry: str
    """ "module:function"."""
    tenant: str
    spec: bytes
    """Of a JobSpec."""
    remaining_s: float = math.inf
    """Until the job's deadline, when it was handed over."""
    job_id: str = ""
    attempt: int = 1
    handle: bytes | None = None
    """Of its work at a provider."""
    stopped: bool = False
    """Whether it is to stop from the beginning."""


class Attempt:
    """Implements base.RunContext for the run, and base.Running for the dispatcher. Every method may
    be called from any thread."""

    def __init__(
        self,
        work: Work,
        surroundings: Surroundings,
        progress: Callable[[pb.JobProgress], None],
        checkpoint: Callable[[bytes], None],
    ) -> None:
        """checkpoint: keeps a handle, as RunContext.checkpoint says."""
        self.work = work
        self.tenant = work.tenant
        self.job_id = work.job_id
        self.attempt = work.attempt
        self.handle = work.handle
        self.threads = surroundings.threads
        self.limits = surroundings.limits
        self.surroundings = surroundings
        self._progress = progress
        self._checkpoint = checkpoint
        self._deadline_s = time.monotonic() + work.remaining_s
        self._lock = threading.Lock()
        self._stopped = work.stopped
        self._callbacks: list[Callable[[], None]] = []

    @property
    def stopped(self) -> bool:
        return self._stopped

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def on_stop(self, callback: Callable[[], None]) -> None:
        with self._lock:
            if not self._stopped:
                self._callbacks.append(callback)
                return
        callback()

    def checkpoint(self, handle: bytes) -> None:
        handle = checked_handle(handle)
        with self._lock:
            if self._stopped and self.handle is None:
                raise Stopped
            self.handle = handle
        self._checkpoint(handle)

    def forget(self) -> None:
        """It is over: let go of what its callbacks hold."""
        with self._lock:
            self._callbacks = []

    def remaining_s(self) -> float:
        return self._deadline_s - time.monotonic()

    def progress(self, progress: pb.JobProgress) -> None:
        self._progress(progress)


def perform(run: Entry, attempt: Attempt) -> Ending:
    """Run it in the calling thread; never raises."""
    work = attempt.work
    try:
        spec = getattr(pb.JobSpec.FromString(work.spec), work.kind)
        with using(_arrays(attempt.surroundings)):
            return Ending(Outcome.SUCCEEDED, result=_written(work.kind, run(spec, attempt)))
    except Submitted as turn:
        return Ending(
            Outcome.SUBMITTED,
            handle=turn.handle,
            poll_after_s=turn.poll_after_s,
            progress=turn.progress,
        )
    except Stopped as stop:
        best = None if stop.best is None else _written(work.kind, stop.best)
        return Ending(Outcome.LATE if stop.late else Outcome.STOPPED, result=best)
    except BaseException as error:  # a library that calls sys.exit() must not end a worker
        return failed(error, work.reference)
    finally:
        attempt.forget()


def perform_entry(attempt: Attempt, options: Mapping[str, Any]) -> Ending:  # noqa: ARG001
    """As perform, with the function that the work names, at the lowest priority. What a worker process
    does by default."""
    os.setpriority(os.PRIO_PROCESS, 0, NICE_LOWEST)
    try:
        run: Entry = resolve(attempt.work.entry)
    except Exception as error:
        return failed(error, attempt.work.reference)
    return perform(run, attempt)


def resolve(entry: str) -> Any:
    """The function of "module:function"; imports the module."""
    module, _, name = entry.partition(":")
    return getattr(importlib.import_module(module), name)


def _arrays(surroundings: Surroundings) -> Arrays:
    """What the spec may refer to."""
    limits = surroundings.limits
    blobs = partial(known_blobs, surroundings.artifacts_url, limits[CACHE_MAX].value)
    return WorkerArrays(blobs, limits[REFERENCED_MAX].value)


def _written(kind: str, result: Message) -> bytes:
    """Bytes of the JobResult; maps in order, as rpc.handler says."""
    return pb.JobResult(**{kind: result}).SerializeToString(deterministic=True)  # type: ignore[arg-type]
