"""When a call that failed is worth trying again: the server was busy, stopping, or not to be
reached.
"""

import random
import time
from dataclasses import dataclass

from ketgate._errors import (
    Cancelled,
    DeadlineExceeded,
    InternalError,
    KetgateError,
    RateExceeded,
    ServerBusy,
    Unavailable,
)


@dataclass(frozen=True)
class Retry:
    """How often, and how patiently, a call is tried again. Every call of this client may be
    repeated without harm.
    """

    attempts_max: int = 5
    """Attempts in all; 1: never again. A server that is away is no refusal: reads, and requests with
    an id of their own, are then sent again for `total_s_max`, however often that is, once this
    client was answered by it.
    """
    delay_s_initial: float = 0.1
    """Before the second attempt, about; doubled each time."""
    delay_s_max: float = 5.0
    """Longest wait between two attempts, unless the server asks for more."""
    total_s_max: float = 30.0
    """No attempt begins later than this after the first."""

    def __post_init__(self) -> None:
        if (
            self.attempts_max < 1
            or min(self.delay_s_initial, self.delay_s_max, self.total_s_max) < 0
        ):
            raise ValueError(
                "retry: expected attempts_max of at least 1, and delays that are not negative"
            )

    def delay_s(
        self, error: KetgateError, attempt: int, elapsed_s: float, *, outlast: bool = False
    ) -> float | None:
        """Seconds to wait after the given attempt (from 1) failed; None: give up. outlast: the call
        is to outlast a restart of the server, which takes longer than `attempts_max` attempts.
        """
        if not isinstance(error, (ServerBusy, Unavailable)):
            return None
        if isinstance(error, Unavailable) and not error.passes:
            return None
        if isinstance(error, RateExceeded) and error.retry_after_s is None:
            return None
        if attempt >= self.attempts_max and not (
            outlast and self.attempts_max > 1 and _is_away(error)
        ):
            return None
        wait = self.wait_s(error, attempt)
        return wait if elapsed_s + wait <= self.total_s_max else None

    def wait_s(self, error: KetgateError, attempt: int) -> float:
        """Seconds to wait after the given attempt (from 1) failed, where there is to be another.

        Half the wait is chance, so that clients that were refused together do not come back
        together. It never undercuts what the server asked for.
        """
        wait = min(self.delay_s_max, self.delay_s_initial * 2.0 ** min(attempt - 1, 30))
        asked = getattr(error, "retry_after_s", None) or 0.0
        return float(max(wait * random.uniform(0.5, 1.0), asked))  # noqa: S311 - spreads load only


NEVER = Retry(attempts_max=1)


def _is_away(error: KetgateError) -> bool:
    """Whether there was no server to answer, or one that goes: what a restart looks like. Anything
    else that makes a server unavailable it says itself.
    """
    return isinstance(error, Unavailable) and error.reason in ("", "DRAINING")


class Attempts:
    """The attempts of one call, as both clients count them."""

    def __init__(self, retry: Retry, *, outlast: bool = False, met: bool = True) -> None:
        """outlast: see `Retry.delay_s`; it takes a server that was met before, or says that it
        drains.
        """
        self._retry = retry
        self._outlast = outlast
        self._met = met
        self._begin_s = time.monotonic()
        self._count = 0
        self._drain: Unavailable | None = None

    def after(self, error: KetgateError) -> float:
        """Seconds to wait before the next attempt. Raises what the call is to end with when there
        is none: that nothing helps, enough was tried, or something has come of it already.
        """
        self._count += 1
        if isinstance(error, Unavailable) and error.reason == "DRAINING":
            self._drain = error
        elapsed_s = time.monotonic() - self._begin_s
        outlast = self._outlast and (self._met or self._drain is not None)
        delay_s = (
            None
            if error.best
            else self._retry.delay_s(error, self._count, elapsed_s, outlast=outlast)
        )
        if delay_s is None:
            raise self._last(error)
        return delay_s

    def _last(self, error: KetgateError) -> KetgateError:
        """The error itself; where a drain was told of and the server is gone since, the drain."""
        if self._drain is None or error.best or not isinstance(error, Unavailable) or error.reason:
            return error
        drain = self._drain
        return Unavailable(
            f"{drain.message}, and it has not come back: {error.message}",
            reason=drain.reason,
            request_id=drain.request_id,
            code=drain.code,
        )


class Patience:
    """How long something that goes on for hours, a watch or a wait, is taken up again after it was
    cut: for `total_s_max` since it was last heard of, however often that takes. Never where
    `attempts_max` is 1.
    """

    def __init__(self, retry: Retry) -> None:
        self._retry = retry
        self._count = 0
        self._lost_s = 0.0

    def heard(self) -> None:
        """There was a sign of life."""
        self._count = 0

    def after(self, error: KetgateError) -> float:
        """Seconds to wait before it is taken up again; raises the error where that cannot help or
        has been tried for long enough.
        """
        if not _is_a_cut(error) or self._retry.attempts_max == 1:
            raise error
        now_s = time.monotonic()
        if not self._count:
            self._lost_s = now_s
        self._count += 1
        wait = self._retry.wait_s(error, self._count)
        if now_s + wait > self._lost_s + self._retry.total_s_max:
            raise error
        return wait


def _is_a_cut(error: KetgateError) -> bool:
    """Whether the call ended for a reason that has nothing to do with what it asked."""
    if isinstance(error, Unavailable):
        return error.passes
    if isinstance(error, InternalError):
        return not error.request_id  # a stream that the transport reset: no server said so
    return (
        isinstance(error, (ServerBusy, DeadlineExceeded, Cancelled))
        or error.reason == "WATCH_TOO_SLOW"
    ) and not error.reason.startswith("JOB_")
