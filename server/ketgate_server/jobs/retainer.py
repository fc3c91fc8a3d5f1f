"""The thread that removes what was kept long enough, a small piece at a time."""

import logging
import threading

from ketgate_server.jobs.policy import Retention
from ketgate_server.jobs.store import JobStore
from ketgate_server.store.base import StoreUnavailable

INTERVAL_S = 60.0
PIECE_INTERVAL_S = 0.05
"""Between two pieces, so that a large clean-up is not felt."""
CLOSE_S = 5.0
"""How long the end of the server waits for a piece that is under way."""

_log = logging.getLogger(__name__)


class Retainer:
    """start(), then close(); stop() before it where there is other work meanwhile."""

    def __init__(self, jobs: JobStore, retention: Retention) -> None:
        self._jobs = jobs
        self._retention = retention
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retention", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing more. Returns at once."""
        self._stop.set()

    def close(self, limit_s: float = CLOSE_S) -> None:
        """Stop. A piece that takes longer is left: its transaction commits whole or not at all."""
        self.stop()
        self._thread.join(limit_s)
        if self._thread.is_alive():
            _log.warning("what is old was still being removed %g s after the end began", limit_s)

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
