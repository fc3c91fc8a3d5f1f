"""A provider whose SDK runs in a worker process: implements base.Provider over another."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from ketgate_server.quantum.base import (
    Description,
    Provider,
    ProviderResult,
    ProviderState,
    RunOptions,
    Stopped,
)
from ketgate_server.quantum.circuit import Circuit
from ketgate_server.quantum.providers import suitable
from ketgate_server.quantum.providers.errors import Refused, Undecided, Unreachable
from ketgate_server.quantum.task import RunTask
from ketgate_server.quantum.workers.isolated import Remote
from ketgate_server.quantum.workers.pool import Workers

QUESTION_S = 60.0
"""For an answer, the start of the worker and the SDK's own retries included."""
SUBMIT_S = 300.0
"""As QUESTION_S; compilation comes before it."""


class Unanswered(Unreachable):
    """The worker did not answer in time."""

    def __init__(self, provider: str, words: str) -> None:
        super().__init__(provider, words)
        self.words = words


class IsolatedProvider:
    """Checks are made here, by what the provider told last; all else is asked there."""

    isolated = True

    def __init__(self, hosted: Provider, workers: Workers, refresh_timeout_s: float) -> None:
        self.name = hosted.name
        self.repeatable = bool(getattr(hosted, "repeatable", False))
        """Whether a submission with the same tag may be sent again."""
        self._remote = Remote(hosted, workers, hosted.name)
        self._refresh_timeout_s = refresh_timeout_s
        self._told: dict[str, Description] = {}

    def backends(self) -> Sequence[Description]:
        told: Sequence[Description] = self._ask("backends", (), self._refresh_timeout_s)
        self._told = {one.name: one for one in told}
        return told

    def check(self, backend: str, circuit: Circuit, options: RunOptions) -> None:
        description = self._told.get(backend)
        if description is None:
            raise Refused(self.name, backend, "it tells of no such device now")
        suitable.check(description, circuit, options)

    def submit(
        self, backend: str, circuits: Sequence[Circuit], options: RunOptions, tag: str
    ) -> str:
        try:
            job: str = self._ask("submit", (backend, circuits, options, tag), SUBMIT_S)
        except Unanswered as silence:
            # It may have been sent: that is more than being unreachable says.
            raise Undecided(self.name, tag, silence.words) from None
        return job

    def find(self, backend: str, tag: str) -> str | None:
        job: str | None = self._ask("find", (backend, tag))
        return job

    def poll(self, backend: str, provider_job: str) -> ProviderState:
        state: ProviderState = self._ask("poll", (backend, provider_job))
        return state

    def fetch(
        self, backend: str, provider_job: str, circuits: Sequence[Circuit], options: RunOptions
    ) -> ProviderResult:
        result: ProviderResult = self._ask("fetch", (backend, provider_job, circuits, options))
        return result

    def cancel(self, backend: str, provider_job: str) -> None:
        self._ask("cancel", (backend, provider_job))

    def _ask(self, method: str, arguments: Sequence[Any], timeout_s: float = QUESTION_S) -> Any:
        task = RunTask(time.monotonic() + timeout_s)
        try:
            return self._remote.call(method, arguments, task)
        except Stopped:
            raise Unanswered(self.name, f"no answer within {timeout_s:g} s") from None
        finally:
            task.finish()
