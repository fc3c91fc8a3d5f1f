"""The thread that does what is due by its time, and catches up with what was due while no server ran.

Needs no lease: see due. What fails for one key is tried again later, and the others do not wait for it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable
from functools import partial

from ketgate_server.errors import KetgateError
from ketgate_server.signing.keys import due
from ketgate_server.signing.keys.due import Destruction, NotDue
from ketgate_server.signing.keys.store import KeyStore
from ketgate_server.store.base import StoreUnavailable
from ketgate_server.store.erasure import cut_log

INTERVAL_S = 1.0
CLOSE_S = 5.0
"""How long the end of the server waits for what is under way."""
BACKOFF_US = 60_000_000
BACKOFF_US_MAX = 3_600_000_000

_log = logging.getLogger(__name__)


def _nobody(_: Destruction) -> None:
    return None


class Timers:
    """start(), then close()."""

    def __init__(
        self,
        keys: KeyStore,
        before_destruction: Callable[[Destruction], None] = _nobody,
        look: Callable[[], bool] = lambda: True,
    ) -> None:
        """before_destruction: is told of a version just before it is destroyed, perhaps more than
        once; its time has come by then, so it cannot be restored any more. look: is asked each time
        whether anything may be done."""
        self._keys = keys
        self._look = look
        self._before_destruction = before_destruction
        self._failures: dict[Hashable, tuple[int, int]] = {}
        """When to try again, and how long was waited."""
        self._log_holds_keys = True
        """Whether SQLite's WAL may hold private keys that were destroyed: also from before the start."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="signing-timers", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self, limit_s: float = CLOSE_S) -> None:
        """Stop. What takes longer is left: a transaction commits whole or not at all."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(limit_s)

    def run_once(self) -> None:
        """Do all that is due now. Raises StoreUnavailable."""
        keys = self._keys
        if not self._look():
            return
        for version in due.destructions(keys):
            if self._try(version, partial(self._destroy, version)):
                self._log_holds_keys = True
        for name in due.rotations(keys):
            self._try(name, partial(due.rotate, keys, *name))
        for name in due.expirations(keys):
            self._try(("change", *name), partial(due.expire, keys, *name))
        if due.drop_wrapping_keys(keys):
            self._log_holds_keys = True
        if self._log_holds_keys:
            self._log_holds_keys = not cut_log(keys.store)

    def _destroy(self, version: Destruction) -> None:
        due.confirm(self._keys, version)
        self._before_destruction(version)
        due.destroy(self._keys, version)

    def _try(self, what: Hashable, effect: Callable[[], None]) -> bool:
        """Whether it was done. Raises StoreUnavailable."""
        now_us = self._keys.store.now_us()
        if self._stop.is_set() or self._failures.get(what, (0, 0))[0] > now_us:
            return False
        try:
            effect()
        except NotDue:
            self._failures.pop(what, None)
            return False
        except StoreUnavailable:
            raise
        except Exception as error:
            wait_us = min(2 * self._failures.get(what, (0, BACKOFF_US // 2))[1], BACKOFF_US_MAX)
            self._failures[what] = (now_us + wait_us, wait_us)
            _log.error(
                "%s was due and failed; it is tried again in %d s: %s",
                what,
                wait_us // 1_000_000,
                error,
                exc_info=not isinstance(error, KetgateError),
            )
            return False
        self._failures.pop(what, None)
        return True

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.run_once()
            except StoreUnavailable as error:
                _log.warning("what is due for keys is done later: %s", error)
            except Exception:
                _log.exception("what is due for keys could not be done")
            self._stop.wait(INTERVAL_S)
