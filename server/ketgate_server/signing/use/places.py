"""How much of what lasts long one token may have under way, so that none holds all of it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ketgate_server.errors import KetgateError, Reason

RETRY_AFTER_S = 1.0


class Places:
    """The places of each caller. Threads share it."""

    def __init__(self, what: str, limit: str, own: int, all_of_them: int) -> None:
        """what: has them, in a refusal. limit: its name. own: of one caller; never above half of all_of_them."""
        self._what = what
        self._limit = limit
        self._most = max(1, min(own, all_of_them // 2))
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()

    @contextmanager
    def take(self, caller: str) -> Iterator[None]:
        """Have one meanwhile. caller: name of the token. Raises KetgateError SERVER_BUSY."""
        with self._lock:
            if self._taken[caller] >= self._most:
                raise KetgateError(
                    Reason.SERVER_BUSY,
                    f"the token {caller!r} has {self._most} {self._what} under way, the most of one token; try again "
                    "when one is over",
                    limit=self._limit,
                    retry_after_s=RETRY_AFTER_S,
                )
            self._taken[caller] += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken[caller] -= 1
                if not self._taken[caller]:
                    del self._taken[caller]


def stream_places(limits: Mapping[str, int]) -> Places:
    """A stream may last an hour."""
    name = "signing.caller_streams_max"
    return Places("streams", name, limits[name], limits["rpc.streams_max"])


def batch_places(limits: Mapping[str, int]) -> Places:
    """A batch may take ten minutes, and those that wait are behind it."""
    name = "signing.caller_batches_max"
    there = limits["signing.batches_max"] + limits["signing.batches_queued_max"]
    return Places("batches", name, limits[name], there)
