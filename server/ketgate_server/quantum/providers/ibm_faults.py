"""What qiskit-ibm-runtime raises, as our faults. It hides causes behind other errors; they are read
from the whole chain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from ketgate_server.quantum.base import Unsuitable
from ketgate_server.quantum.providers.errors import (
    CredentialsRefused,
    JobFailed,
    ProviderFault,
    Refused,
    Throttled,
    Undecided,
    Unreachable,
    plain,
)

NAME = "ibm"
HARMLESS = "ketgate_harmless"
"""Set on an error of a question that is no submission."""

_CREDENTIALS = {
    "AccountNotFoundError",
    "InvalidAccountError",
    "IBMNotAuthorizedError",
    "CloudResourceNameResolutionError",
}
_REFUSED = {"QiskitBackendNotFoundError", "IBMInputValueError", "RuntimeProgramNotFound"}
_OVER = {"RuntimeJobNotFound", "RuntimeInvalidStateError", "RuntimeJobFailureError"}


@contextmanager
def translated(
    backend: str, *, tag: str = "", job: str = "", secrets: Iterable[str] = ()
) -> Iterator[None]:
    """tag: of the submission that is asked for inside, if it is one. job: that is asked about."""
    try:
        yield
    except (ProviderFault, Unsuitable):
        raise
    except Exception as error:
        chain = list(_chain(error))
        fault = _fault(chain, backend, tag, job, plain(error, secrets))
        if fault is None:
            raise
        raise fault from error


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _fault(
    chain: list[BaseException], backend: str, tag: str, job: str, words: str
) -> ProviderFault | None:
    names = {type(error).__name__ for error in chain}
    status = next((s for s in map(_status, chain) if s), 0)
    sent = bool(tag) and not any(getattr(error, HARMLESS, False) for error in chain)
    unanswered = not status and any(_is_of_the_wire(error) for error in chain)
    if unanswered or status >= 500:
        # Before the names: it calls an account invalid whose instances it could not ask for.
        if sent and not any(_is_unconnected(error) for error in chain):
            return Undecided(NAME, tag, words)
        return Unreachable(NAME, words)
    if names & _CREDENTIALS or status in (401, 403):
        return CredentialsRefused(NAME, words)
    if status == 429:
        return Throttled(NAME, words, next(filter(None, map(_retry_after, chain)), None))
    if job and (names & _OVER or status in (404, 409)):
        return JobFailed(NAME, job, words)
    if names & _REFUSED or status:
        return Refused(NAME, backend, words)
    return Undecided(NAME, tag, words) if sent else None


def _status(error: BaseException) -> int:
    status = getattr(error, "status_code", None)
    if status is None:
        status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) and status > 0 else 0


def _retry_after(error: BaseException) -> float | None:
    headers: Any = getattr(getattr(error, "response", None), "headers", None) or {}
    told = str(headers.get("Retry-After", ""))
    return float(told) if told.isdigit() else None


def _is_of_the_wire(error: BaseException) -> bool:
    return type(error).__module__.split(".")[0] in ("requests", "urllib3")


def _is_unconnected(error: BaseException) -> bool:
    """Whether there was no connection, so that nothing was sent."""
    return type(error).__name__ in ("NewConnectionError", "ConnectTimeout", "ConnectTimeoutError")
