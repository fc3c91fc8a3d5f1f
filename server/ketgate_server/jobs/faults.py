"""Whose error ended an attempt: the caller's, a provider's or ours. It decides whether another try
may help."""

import logging

from google.protobuf.message import Message

from ketgate_server.errors import CATALOGUE, KetgateError, Reason
from ketgate_server.jobs.base import Ending, Fault, Outcome

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
