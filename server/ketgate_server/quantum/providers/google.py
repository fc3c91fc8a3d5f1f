"""Google's Quantum Engine as a provider.

Programs and jobs there have names that the caller gives: the tag is the program's. A submission that
arrives twice is refused as existing, and found by its name.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Sequence
from http import HTTPStatus
from importlib import metadata
from typing import Any

from ketgate_server.quantum.base import (
    Description,
    ProviderJobStatus,
    ProviderResult,
    ProviderState,
    RunOptions,
)
from ketgate_server.quantum.circuit import Circuit
from ketgate_server.quantum.providers import suitable
from ketgate_server.quantum.providers.errors import JobFailed, Refused, plain
from ketgate_server.quantum.providers.google_circuit import compiled, ours, outcome
from ketgate_server.quantum.providers.google_device import describe
from ketgate_server.quantum.providers.google_faults import NAME, status_of, translated
from ketgate_server.quantum.providers.settings import GoogleSettings

JOB = "run"
"""The one job of a program."""

_STATUS = {
    "READY": ProviderJobStatus.QUEUED,
    "RUNNING": ProviderJobStatus.RUNNING,
    "CANCELLING": ProviderJobStatus.RUNNING,
    "CANCELLED": ProviderJobStatus.CANCELLED,
    "SUCCESS": ProviderJobStatus.SUCCEEDED,
    "FAILURE": ProviderJobStatus.FAILED,
}


log = logging.getLogger("ketgate.quantum")


class GoogleProvider:
    """Implements base.Provider. Pickles as its settings; connects when first asked."""

    name = NAME
    isolated = True
    repeatable = True
    """A submission under a tag that was used gives the job of that tag."""

    def __init__(self, settings: GoogleSettings) -> None:
        self._settings = settings
        self._opened: Any = None
        self._descriptions: dict[str, Description] = {}
        self._lock = threading.Lock()

    def __getstate__(self) -> GoogleSettings:
        return self._settings

    def __setstate__(self, settings: GoogleSettings) -> None:
        self.__init__(settings)  # type: ignore[misc]

    def backends(self) -> Sequence[Description]:
        version = "cirq-google " + metadata.version("cirq-google")
        wanted = self._settings.processors
        with translated(NAME):
            told = [
                describe(
                    processor,
                    version=version,
                    virtual=self._settings.virtual,
                    now_us=time.time_ns() // 1000,
                )
                for processor in self._engine().list_processors()
                if not wanted or processor.processor_id in wanted
            ]
        self._descriptions = {one.name: one for one in told}
        return sorted(told, key=lambda one: one.name)

    def check(self, backend: str, circuit: Circuit, options: RunOptions) -> None:
        if backend not in self._descriptions:
            self.backends()
        if backend not in self._descriptions:
            raise Refused(NAME, backend, "there is no such processor, or none for this project")
        suitable.check(self._descriptions[backend], circuit, options)

    def submit(
        self, backend: str, circuits: Sequence[Circuit], options: RunOptions, tag: str
    ) -> str:
        processor = self._processor(backend)
        with translated(backend):
            device = processor.get_device()
        programs = [compiled(backend, circuit, device) for circuit in circuits]
        with translated(backend, tag=tag):
            try:
                processor.run_sweep(
                    programs[0] if len(programs) == 1 else programs,
                    program_id=tag,
                    job_id=JOB,
                    repetitions=options.shots,
                    device_config_name=self._settings.device_config,
                    run_name=self._settings.run_name,
                )
            except Exception as error:
                if status_of(error) != HTTPStatus.CONFLICT:
                    raise
        return tag

    def find(self, backend: str, tag: str) -> str | None:
        with translated(backend):
            try:
                self._job(tag).execution_status()
            except KeyError:  # of the virtual engine
                return None
            except Exception as error:
                if status_of(error) != HTTPStatus.NOT_FOUND:
                    raise
                return None
        return tag

    def poll(self, backend: str, provider_job: str) -> ProviderState:
        with translated(backend, job=provider_job):
            job = self._known(provider_job)
            name = job.execution_status().name
            status = _STATUS.get(name, ProviderJobStatus.QUEUED)
            if status is ProviderJobStatus.FAILED:
                return ProviderState(status, message=plain(": ".join(job.failure() or ())))
        if self._settings.virtual and status is ProviderJobStatus.QUEUED:
            status = ProviderJobStatus.SUCCEEDED  # it computes when its results are asked for
        return ProviderState(status)

    def fetch(
        self, backend: str, provider_job: str, circuits: Sequence[Circuit], options: RunOptions
    ) -> ProviderResult:
        with translated(backend, job=provider_job):
            job = self._known(provider_job)
            alone = len(circuits) == 1
            results = list(job.results() if alone else (b[0] for b in job.batched_results()))
        if len(results) != len(circuits):
            words = f"it has results of {len(results)} circuits instead of {len(circuits)}"
            raise JobFailed(NAME, provider_job, words)
        outcomes = []
        there = self._compiled(backend, job, circuits)
        for circuit, result, ran in zip(circuits, results, there, strict=True):
            outcomes.append(outcome(circuit, result.measurements, options))
            outcomes[-1].compiled = ran
        return ProviderResult(outcomes)

    def _compiled(
        self, backend: str, job: Any, circuits: Sequence[Circuit]
    ) -> Sequence[Circuit] | Sequence[None]:
        """What ran. A result is not lost because that is not told, or holds what we have no word for."""
        try:
            grid = self._processor(backend).get_device().metadata.qubit_set
            there = job.program().get_circuits()
            found = [
                ours(theirs, grid, circuit.num_bits)
                for theirs, circuit in zip(there, circuits, strict=True)
            ]
        except Exception as error:
            log.warning("the compiled circuits of %s are not known", job, exc_info=error)
            return [None] * len(circuits)
        return found

    def cancel(self, backend: str, provider_job: str) -> None:
        with translated(backend, job=provider_job):
            self._known(provider_job).cancel()

    def _processor(self, backend: str) -> Any:
        name = backend.removeprefix("google/")
        wanted = self._settings.processors
        if name == backend or (wanted and name not in wanted):
            raise Refused(NAME, backend, "it is no processor that this server may use")
        with translated(backend):
            try:
                return self._engine().get_processor(name)
            except KeyError as error:
                raise Refused(NAME, backend, "there is no such processor") from error

    def _job(self, tag: str) -> Any:
        return self._engine().get_program(tag).get_job(JOB)

    def _known(self, tag: str) -> Any:
        try:
            return self._job(tag)
        except KeyError as error:  # of the virtual engine
            raise JobFailed(NAME, tag, "it ended with the process that had it") from error

    def _engine(self) -> Any:
        with self._lock:
            if self._opened is None:
                self._opened = self._open()
            return self._opened

    def _open(self) -> Any:
        import cirq_google

        if self._settings.virtual:
            return cirq_google.engine.create_noiseless_virtual_engine_from_latest_templates()
        from cirq_google.engine.engine import EngineContext

        timeout_s = self._settings.read_timeout_s
        # Not over a stream: its jobs end with the process that has it.
        context = EngineContext(
            client=_client(timeout_s), timeout=round(timeout_s), enable_streaming=False
        )
        return cirq_google.Engine(self._settings.project, context=context)


def _client(timeout_s: float) -> Any:
    """A client of the engine that does not wait without end, and leaves repeats to the job engine:
    its own would sleep between them, for up to an hour, with a worker."""
    from cirq_google.engine.engine_client import EngineClient

    class BoundClient(EngineClient):  # type: ignore[misc]
        async def _run_retry_async(self, ask: Any, request: Any) -> Any:
            async def bounded(request: Any) -> Any:
                return await asyncio.wait_for(ask(request), timeout_s)

            return await super()._run_retry_async(bounded, request)

    return BoundClient(max_retry_delay_seconds=0, verbose=False)
