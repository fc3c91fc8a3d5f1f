"""What other servers of a shared store destroyed, entered in this one's journal while it runs: whichever server is
asked to go on with an older copy of the store then knows of it, but for the last minute."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from ketgate_server.signing import rollback
from ketgate_server.signing.keys import rows
from ketgate_server.signing.keys.journal import Journal
from ketgate_server.store.base import Store

INTERVAL_S = 60.0
"""Each look reads all that was ever destroyed."""

_log = logging.getLogger(__name__)


class Overheard:
    """One thread uses it."""

    def __init__(
        self, store: Store, journal: Journal, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._journal = journal
        self._now_s = now_s
        self._looked_s = now_s()  # the start entered all that there was
        self._newest = -1

    def look(self) -> None:
        """Where keys changed since, and not more often than once INTERVAL_S. Raises StoreUnavailable."""
        now_s = self._now_s()
        if now_s - self._looked_s < INTERVAL_S:
            return
        with self._store.read() as reader:
            newest = rows.newest_change(reader)
        self._looked_s = now_s
        if newest == self._newest:
            return
        try:
            self._journal.add(*rollback.untold(self._store, self._journal))
        except OSError as error:
            _log.error("what other servers destroyed cannot be entered in the journal: %s", error)
            return
        self._newest = newest
