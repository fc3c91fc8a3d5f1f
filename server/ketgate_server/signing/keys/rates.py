"""How often a key may be used: a token bucket for each key, in this server process alone.

Several servers over one store each allow the rate, as an exact count would cost a write a use. A bucket that is
full is as good as none, so the oldest can be forgotten when there are too many: with it at most one burst.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from ketgate_server.errors import KetgateError, Reason
from ketgate_server.signing.keys.policy import capacity
from ketgate_server.signing.keys.record import KeyRecord

BUCKETS_MAX = 100_000


class Rates:
    """The buckets of a server. Threads share it."""

    def __init__(
        self, now_s: Callable[[], float] = time.monotonic, buckets_max: int = BUCKETS_MAX
    ) -> None:
        self._now_s = now_s
        self._buckets_max = buckets_max
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """By the key's uid: uses left, and when that was. The one used last stands last."""

    def take(self, key: KeyRecord, uses: int) -> None:
        """Count so many uses of a key. Raises RATE_EXCEEDED, and counts none, when they are too many."""
        rate = key.policy.uses_per_second
        if not rate:
            return
        most = capacity(key.policy)
        if uses > most:
            raise _refusal(key, uses, None)
        with self._lock:
            now_s = self._now_s()
            left, since_s = self._buckets.pop(key.uid, (most, now_s))
            left = min(most, left + (now_s - since_s) * rate)
            # What is missing by rounding alone is not missed: retry_after_s is then kept to the letter.
            short = uses - left if uses > left + 1e-6 else 0.0
            self._buckets[key.uid] = (left if short else max(0.0, left - uses), now_s)
            while len(self._buckets) > self._buckets_max:
                self._buckets.popitem(last=False)
        if short:
            raise _refusal(key, uses, short / rate)


def _refusal(key: KeyRecord, uses: int, retry_after_s: float | None) -> KetgateError:
    rate, most = key.policy.uses_per_second, int(capacity(key.policy))
    text = f"the policy of {key.name} allows {rate:g} uses a second, and {most} at once"
    if retry_after_s is None:
        text += f"; {uses} at once are never allowed: send smaller batches"
    else:
        text += f"; try again in {retry_after_s:.3g} s"
    return KetgateError(
        Reason.RATE_EXCEEDED,
        text,
        retry_after_s=retry_after_s,
        metadata={
            "key": key.name,
            "rule": "uses_per_second",
            "uses_per_second": f"{rate:g}",
            "burst": str(most),
            "uses": str(uses),
        },
    )
