"""The thread that runs a dispatcher: it sleeps until something happened or is due."""

import logging
import math
import threading
import time
from collections.abc import Callable

from ketgate_server.jobs.dispatcher import Dispatcher

FAULT_PAUSE_S = 1.0
STOP_MARGIN_S = 1.0
"""Before the end of a drain attempts are told to stop, so that what they did can still be written."""

log = logging.getLogger("ketgate.jobs")


class DispatcherThread:
    """start(), then drain() once."""

    def __init__(self, create: Callable[[Callable[[], None]], Dispatcher]) -> None:
        """create: of a dispatcher that calls what it is given to be stepped."""
        self._condition = threading.Condition()
        self._woken = True
        self._ending = False
        self.dispatcher = create(self._wake)
        self._thread = threading.Thread(target=self._run, name="dispatcher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def drain(self, limit_s: float) -> bool:
        """Claim nothing more; let what runs end, and give back after limit_s what does not. Returns
        whether all ended by themselves or when told."""
        now_s = time.monotonic()
        end_s = now_s + limit_s
        stop_s = end_s - min(STOP_MARGIN_S, limit_s / 2)
        self.dispatcher.drain(stop_s, end_s)
        with self._condition:
            self._ending = True
            self._woken = True
            self._condition.notify_all()
        self._thread.join(limit_s + STOP_MARGIN_S)
        return not self._thread.is_alive() and time.monotonic() < end_s

    def _wake(self) -> None:
        with self._condition:
            self._woken = True
            self._condition.notify_all()

    def _run(self) -> None:
        next_s = -math.inf
        while True:
            with self._condition:
                while not self._woken and (wait_s := next_s - time.monotonic()) > 0.0:
                    self._condition.wait(min(wait_s, threading.TIMEOUT_MAX))
                self._woken = False
                ending = self._ending
            try:
                next_s = self.dispatcher.step(time.monotonic())
            except Exception:
                log.exception("a step of the dispatcher failed")
                next_s = time.monotonic() + FAULT_PAUSE_S
            if ending and not self.dispatcher.held:
                return
