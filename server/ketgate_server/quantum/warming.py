"""Starts workers before they are needed: a framework takes seconds to import, and the first run on
it would wait for that.

One after the other, while no call is under way in a worker, and only as far as the pool has room:
nothing that somebody waits for becomes slower by it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ketgate_server.errors import KetgateError
from ketgate_server.quantum.task import RunTask
from ketgate_server.quantum.workers.pool import Workers

GRACE_S = 0.5
"""After the call that began it, for that to take its worker."""
QUIET_S_MAX = 60.0
"""For the workers to be done; then the next is started beside them."""
START_S_MAX = 300.0

log = logging.getLogger("ketgate.quantum")


@dataclass(frozen=True)
class Start:
    """A group of workers, and a call that makes one ready."""

    group: str
    call: Callable[[RunTask], object]
    is_installed: Callable[[], bool] = lambda: True


class Warming:
    """Begins once; every method may be called from any thread."""

    def __init__(self, workers: Workers, starts: Sequence[Start]) -> None:
        self._workers = workers
        self._starts = starts
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        if self._thread is not None:
            return
        with self._lock:
            if self._thread is None and not self._stop.is_set():
                self._thread = threading.Thread(target=self._warm, name="warming", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Start nothing more."""
        self._stop.set()

    def join(self, timeout_s: float) -> bool:
        """Whether it is over by then."""
        if self._thread is not None:
            self._thread.join(timeout_s)
        return self._thread is not None and not self._thread.is_alive()

    def _warm(self) -> None:
        for start in self._starts:
            if self._stop.wait(GRACE_S):
                return
            self._workers.wait_until_quiet(QUIET_S_MAX)
            if self._stop.is_set() or not self._workers.has_room:
                return
            if self._workers.count(start.group) or not start.is_installed():
                continue
            task = RunTask(time.monotonic() + START_S_MAX)
            try:
                start.call(task)
            except KetgateError as error:  # the first run tells it again, to who asked
                log.info("no worker of %s was started: %s", start.group, error.message)
            except Exception as error:
                log.info("no worker of %s was started: %r", start.group, error)
            finally:
                task.finish()
