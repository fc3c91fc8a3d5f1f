"""What cirq-google raises, as our faults. Its EngineException carries the HTTP status."""

from __future__ import annotations

from collections.abc import Iterator
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

NAME = "google"


@contextmanager
def translated(backend: str, *, tag: str = "", job: str = "") -> Iterator[None]:
    """tag: of the submission that is asked for inside, if it is one. job: that is asked about."""
    try:
        yield
    except (ProviderFault, Unsuitable):
        raise
    except Exception as error:
        fault = _fault(error, backend, tag, job)
        if fault is None:
            raise
        raise fault from error


def status_of(error: BaseException) -> int:
    """HTTP status of an error of the engine; 0: it has none."""
    code: Any = getattr(error, "code", None)
    return int(code) if isinstance(code, int) else 0


def _fault(error: Exception, backend: str, tag: str, job: str) -> ProviderFault | None:
    words = plain(error)
    status, name = status_of(error), type(error).__name__
    if type(error).__module__.startswith("google.auth") or status in (401, 403):
        return CredentialsRefused(NAME, words)
    if status == 429:
        return Throttled(NAME, words)
    if job and status == 404:
        return JobFailed(NAME, job, words)
    if 400 <= status < 500:
        return Refused(NAME, backend, words)
    # TimeoutError is how the client tells that it tried long enough; an EngineException without a
    # status is of a fault that gRPC could not name.
    unnamed = name in ("EngineException", "RetryError") and not status
    if status >= 500 or unnamed or isinstance(error, TimeoutError | ConnectionError):
        return Undecided(NAME, tag, words) if tag else Unreachable(NAME, words)
    return Undecided(NAME, tag, words) if tag else None
