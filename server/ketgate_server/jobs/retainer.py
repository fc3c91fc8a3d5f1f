"""The thread that removes what was kept long enough, a small piece at a time."""

import logging
import threading

from ketgate_server.jobs.policy import Retention
from ketgate_server.jobs.store import JobStore
from ketgate_server.store.base import StoreUnavailable

INTERVAL_S = 60.0
PIECE_INTERVAL_S = 0.05
"""Between two pieces, so that a large clean-up is not felt."""

_log = logging.getLogger(__name__)


class Retainer:
    """start(), then close()."""

    def __init__(self, jobs: JobStore, retention: Retention) -> None:
        self._jobs = jobs
        self._retention = retention
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retention", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def run_once(self) -> None:
        """Remove what there is to remove, as long as the store has room for it."""
        while self._jobs.store.has_room and self._jobs.retain(self._retention):
            if self._stop.wait(PIECE_INTERVAL_S):
                return

    def _run(self) -> None:
        while not self._stop.wait(INTERVAL_S):
            try:
                self.run_once()
            except StoreUnavailable as error:
                _log.warning("what is old is removed later: %s", error)
            except Exception:
                _log.exception("what is old could not be removed")
