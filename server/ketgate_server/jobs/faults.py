"""Whose error ended an attempt: the caller's, a provider's or ours. It decides whether another try
may help."""

import logging
import math

from google.protobuf.message import Message
from ketgate.jobs.v1.job_pb2 import JobProgress

from ketgate_server.errors import CATALOGUE, KetgateError, Reason
from ketgate_server.jobs.base import Ending, Fault, Outcome

HANDLE_BYTES_MAX = 64 << 10
"""Of a handle: it is kept in the store, and travels with every turn."""

POLL_AFTER_S_MIN = 0.01
POLL_AFTER_S_MAX = 7 * 86_400.0

log = logging.getLogger("ketgate.jobs")


class ProviderError(KetgateError):
    """A provider outside this server failed or refused. Tried again, not before retry_after_s."""


class Stopped(Exception):  # noqa: N818 - not an error
    """Raised by a run that was told to stop, and did: with the best so far, if there is anything.

    A run that returns has finished anyway, stopped or not.
    """

    def __init__(self, best: Message | None = None, *, late: bool = False) -> None:
        """late: it stopped by itself, as the job's deadline came."""
        super().__init__("told to stop")
        self.best = best
        self.late = late


class Submitted(Exception):  # noqa: N818 - not an error
    """Raised by a run to end its turn: the work goes on at a provider, and no worker is held until it
    is asked after."""

    def __init__(
        self, handle: bytes, poll_after_s: float, progress: JobProgress | None = None
    ) -> None:
        """handle: what run needs to find its work again; the next turn gets it. poll_after_s: when
        that is to be. progress: how far the work is; an event only where it tells something new.

        Raises ValueError for a handle above HANDLE_BYTES_MAX and a delay that is no number.
        """
        super().__init__("at the provider")
        if math.isnan(poll_after_s):
            raise ValueError("poll_after_s: expected seconds, given nan")
        self.handle = checked_handle(handle)
        self.poll_after_s = min(max(poll_after_s, POLL_AFTER_S_MIN), POLL_AFTER_S_MAX)
        self.progress = progress


def checked_handle(handle: bytes) -> bytes:
    """The handle. Raises ValueError when it is too large."""
    if len(handle) > HANDLE_BYTES_MAX:
        raise ValueError(
            f"handle: expected at most {HANDLE_BYTES_MAX} bytes, given {len(handle)}; "
            "keep what finds the work, and not the work"
        )
    return bytes(handle)


def classify(error: BaseException, reference: str) -> tuple[Fault, KetgateError]:
    """Whose fault it is, and what the caller is told. Of a fault of ours that is the reference
    alone, under which the log has the cause."""
    if isinstance(error, ProviderError):
        return Fault.PROVIDER, error
    if isinstance(error, KetgateError):
        passes = CATALOGUE[error.reason].retryable or error.reason is Reason.INTERNAL
        return (Fault.SERVER if passes else Fault.CALLER), error
    if isinstance(error, MemoryError):
        # Not the caller's: beside less work, or on a larger server, it may well fit.
        message = "the server has not enough memory for this job now"
        return Fault.SERVER, KetgateError(Reason.LIMIT_EXCEEDED, message, limit="memory")
    return Fault.SERVER, internal(reference)


def failed(error: BaseException, reference: str) -> Ending:
    """The end of an attempt that raised; what is not the caller's goes to the log."""
    fault, told = classify(error, reference)
    if fault is not Fault.CALLER:
        log.error("%s failed", reference, exc_info=error)
    return Ending(Outcome.FAILED, fault=fault, error=told)


def internal(reference: str) -> KetgateError:
    return KetgateError(
        Reason.INTERNAL, f"a fault in the server; its log has the cause under {reference}"
    )


def lost(reference: str, why: str) -> Ending:
    """The end of an attempt whose worker died."""
    log.error("%s lost its worker: %s", reference, why)
    return Ending(
        Outcome.LOST, error=KetgateError(Reason.WORKER_LOST, f"the worker was lost: {why}")
    )
