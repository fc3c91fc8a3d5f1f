"""A bounded number of worker processes, each of one group: what shares its imports.

A call takes an idle worker of its group, or starts one; where there are as many as may be, the one
of another group that was idle for longest makes room. A worker does one call at a time, so one that
must be killed harms no other call. The last idle one of a group is kept long, others briefly.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ketgate_server.errors import KetgateError, Reason
from ketgate_server.quantum.base import Stopped, Task
from ketgate_server.quantum.workers.faults import lost
from ketgate_server.quantum.workers.order import Order, OrderTask, Subject
from ketgate_server.quantum.workers.process import Unbegun, WorkerProcess

WAITING_MAX = 256
"""Calls that wait for a worker; more are refused."""
RETRY_AFTER_S = 1.0
CLOSE_TIMEOUT_S = 5.0
FOREIGN = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
"""Variables of this Python that would mislead another."""


@dataclass(frozen=True)
class WorkerSettings:
    """How many workers there are, and what they may take."""

    workers_max: int = field(default_factory=lambda: max(4, os.cpu_count() or 1))
    """Processes at once; each holds 100 to 400 MB, its framework's."""
    idle_s: float = 1_800.0
    """The last idle worker of a group ends after so long."""
    spare_idle_s: float = 30.0
    """Any other idle worker ends after so long."""
    nice: int = 19
    """How much less important than the server they are to the system's scheduler."""
    memory_bytes_max: int = 0
    """Of a worker; 0: as the machine has it."""
    retained_bytes_max: int = 1 << 30
    """A worker that holds more after a call is replaced."""
    threads: int = 1
    """Of the libraries in a worker that are told by the environment."""
    pythons: Mapping[str, str] = field(default_factory=dict)
    """Path of the Python by group, where that is not this one. It needs NumPy, and what the group
    imports."""


class Workers:
    """The pool. Every method may be called from any thread."""

    def __init__(self, settings: WorkerSettings | None = None) -> None:
        self._settings = settings or WorkerSettings()
        self._changed = threading.Condition()
        self._all: set[WorkerProcess] = set()
        self._idle: dict[WorkerProcess, float] = {}
        """Since when, longest first."""
        self._ending: set[WorkerProcess] = set()
        self._waiting = 0
        self._closed = False
        self._reaper: threading.Thread | None = None

    def call(
        self,
        function: str,
        arguments: Sequence[Any] = (),
        task: Task | None = None,
        named: Mapping[str, Any] | None = None,
        *,
        group: str = "",
        subject: Subject | None = None,
    ) -> Any:
        """Call "module:function", or a method of a subject, in a worker; order.TASK among the
        arguments stands for the task there. Arguments and result are pickled.

        group: which worker; by default the module's name. Raises what the function raises
        (KetgateErrors as they are, others as INTERNAL), Stopped, and KetgateError: SERVER_BUSY,
        DRAINING, INTERNAL for a worker that died, BACKEND_UNAVAILABLE for one that cannot start.
        """
        task = task or OrderTask()
        if task.stopped:
            raise Stopped
        group = group or function.partition(":")[0].rpartition(".")[2]
        order = Order(function, tuple(arguments), dict(named or {}), subject)
        try:
            return self._take(group, task).perform(order, task)
        except Unbegun:  # it died while idle, or soon after its start: once may be chance
            pass
        try:
            return self._take(group, task).perform(order, task)
        except Unbegun as error:
            raise lost(group, str(error)) from None

    def idle(self, group: str) -> int:
        """Workers of a group that wait for a call."""
        with self._changed:
            return sum(worker.group == group for worker in self._idle)

    def count(self, group: str) -> int:
        """Workers of a group, whatever they do."""
        with self._changed:
            return sum(worker.group == group for worker in self._all)

    @property
    def has_room(self) -> bool:
        """Whether a worker could be started without the end of another."""
        with self._changed:
            return len(self._all) < self._settings.workers_max and not self._closed

    def wait_until_quiet(self, timeout_s: float) -> bool:
        """Wait until every worker is idle; whether that came."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._closed or len(self._idle) + len(self._ending) >= len(self._all),
                timeout_s,
            )

    def pids(self) -> list[int]:
        """Of the processes."""
        with self._changed:
            return [worker.pid for worker in self._all if worker.pid is not None]

    def close(self) -> None:
        """End every worker, whatever it does; calls under way raise."""
        with self._changed:
            self._closed = True
            workers = list(self._all)
            self._changed.notify_all()
        for worker in workers:
            worker.close()
        end_s = time.monotonic() + CLOSE_TIMEOUT_S
        for worker in workers:
            worker.join(max(0.0, end_s - time.monotonic()))

    def _take(self, group: str, task: Task) -> WorkerProcess:
        with self._changed:
            worker = self._free_one(group)
            if worker is not None:
                return worker
            if self._waiting >= WAITING_MAX:
                raise KetgateError(
                    Reason.SERVER_BUSY,
                    f"{self._waiting} calls wait for a worker process already",
                    retry_after_s=RETRY_AFTER_S,
                )
        task.on_stop(self._notify)  # outside of the lock: it may be called at once
        with self._changed:
            self._waiting += 1
            try:
                while (worker := self._free_one(group)) is None:
                    if task.stopped:
                        raise Stopped
                    self._changed.wait(min(task.remaining_s(), 60.0))
                return worker
            finally:
                self._waiting -= 1

    def _free_one(self, group: str) -> WorkerProcess | None:
        """A worker for a call: an idle one, a new one, or none yet."""
        if self._closed:
            raise KetgateError(
                Reason.DRAINING, "the server is stopping", retry_after_s=RETRY_AFTER_S
            )
        mine = [worker for worker in self._idle if worker.group == group and worker.alive]
        if mine:
            del self._idle[mine[-1]]  # the one used last: it is warm, and the others may end
            return mine[-1]
        if len(self._all) < self._settings.workers_max:
            worker = self._start(group)
            self._all.add(worker)
            return worker
        if self._idle and not self._ending:
            self._end(next(iter(self._idle)))
        return None  # there is room when it is gone

    def _start(self, group: str) -> WorkerProcess:
        settings = self._settings
        threads = str(settings.threads)
        environment = {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        python = settings.pythons.get(group)
        if python is None:
            environment = {**os.environ, **environment}
        else:
            known = {name: text for name, text in os.environ.items() if name not in FOREIGN}
            environment = {**known, **environment}
        if self._reaper is None:
            self._reaper = threading.Thread(target=self._reap, name="worker-reaper", daemon=True)
            self._reaper.start()
        return WorkerProcess(
            group,
            python or sys.executable,
            environment,
            settings.nice,
            settings.memory_bytes_max,
            self._freed,
        )

    def _freed(self, worker: WorkerProcess) -> None:
        """A call of it is over, or it is."""
        with self._changed:
            if not worker.alive:
                self._all.discard(worker)
                self._ending.discard(worker)
                self._idle.pop(worker, None)
            elif worker.retained_bytes > self._settings.retained_bytes_max or self._closed:
                self._end(worker)
            else:
                self._idle[worker] = time.monotonic()
            self._changed.notify_all()

    def _end(self, worker: WorkerProcess) -> None:
        """One that does nothing. Needs the lock."""
        self._idle.pop(worker, None)
        self._ending.add(worker)
        worker.close()

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _reap(self) -> None:
        """End what was idle for too long."""
        with self._changed:
            while not self._closed:
                now_s = time.monotonic()
                ends = self._idle_ends()
                for worker, end_s in ends.items():
                    if end_s <= now_s:
                        self._end(worker)
                following = min((end for end in ends.values() if end > now_s), default=None)
                self._changed.wait(None if following is None else following - now_s)

    def _idle_ends(self) -> dict[WorkerProcess, float]:
        """When each idle worker is to end; the one of a group that was used last is kept longer."""
        last = {worker.group: worker for worker in self._idle}
        return {
            worker: since_s
            + (
                self._settings.idle_s
                if last[worker.group] is worker
                else self._settings.spare_idle_s
            )
            for worker, since_s in self._idle.items()
        }
