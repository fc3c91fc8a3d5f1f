"""Amazon Braket as a provider: tasks by AwsQuantumTask, everything else by the SDK's boto3 client.

A submission carries the tag as its client token, so that Braket makes one task of it however often it
arrives, and as a tag of the task, by which it is found. Several circuits are one program set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
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
from ketgate_server.quantum.providers.braket_circuit import convert
from ketgate_server.quantum.providers.braket_faults import NAME, translated
from ketgate_server.quantum.providers.braket_regions import Regions
from ketgate_server.quantum.providers.braket_results import device_s, entries, outcome
from ketgate_server.quantum.providers.errors import JobFailed, Undecided
from ketgate_server.quantum.providers.prices import BRAKET_SIMULATOR_S_MIN, cost_cents
from ketgate_server.quantum.providers.settings import BraketSettings

TAG_KEY = "ketgate"
SEARCH_DAYS = 14
"""A task is looked for among those that were created since."""
SEARCH_PAGES_MAX = 100

_STATUS = {
    "CREATED": ProviderJobStatus.QUEUED,
    "QUEUED": ProviderJobStatus.QUEUED,
    "RUNNING": ProviderJobStatus.RUNNING,
    "CANCELLING": ProviderJobStatus.RUNNING,
    "COMPLETED": ProviderJobStatus.SUCCEEDED,
    "FAILED": ProviderJobStatus.FAILED,
    "CANCELLED": ProviderJobStatus.CANCELLED,
}


@dataclass(frozen=True)
class _Tokened:
    """What AwsQuantumTask.create uses of an AwsSession, with our client token: by itself it draws a
    new one for each call."""

    session: Any
    token: str

    def create_quantum_task(self, **wanted: Any) -> str:
        arn: str = self.session.create_quantum_task(clientToken=self.token, **wanted)
        return arn


class BraketProvider:
    """Implements base.Provider. Pickles as its settings; connects when first asked."""

    name = NAME
    isolated = True
    repeatable = True
    """A submission under a tag that was used gives the task of that tag."""

    def __init__(self, settings: BraketSettings) -> None:
        self._settings = settings
        self._regions = Regions(settings)

    def __getstate__(self) -> BraketSettings:
        return self._settings

    def __setstate__(self, settings: BraketSettings) -> None:
        self.__init__(settings)  # type: ignore[misc]

    def backends(self) -> Sequence[Description]:
        return self._regions.ask()

    def check(self, backend: str, circuit: Circuit, options: RunOptions) -> None:
        suitable.check(self._regions.device(backend).description, circuit, options)

    def submit(
        self, backend: str, circuits: Sequence[Circuit], options: RunOptions, tag: str
    ) -> str:
        from braket.aws import AwsQuantumTask, AwsSession
        from braket.program_sets import ProgramSet

        device = self._regions.device(backend)
        converted = [convert(backend, circuit, device.gates) for circuit in circuits]
        program = converted[0]
        shots = options.shots * len(circuits)
        if len(circuits) > 1:
            program = ProgramSet(converted, shots_per_executable=options.shots)
        region = device.description.region
        # No repeats by boto3: where the last of several was refused, an earlier one may have been
        # taken, and only its own answer would tell.
        session = self._regions.session(region, tries=1)
        folder = AwsSession.S3DestinationFolder(
            self._regions.bucket(region), f"{self._settings.prefix.strip('/')}/{tag}"
        )
        with translated(backend, tag=tag):
            task = AwsQuantumTask.create(
                _Tokened(session, tag),
                device.arn,
                program,
                folder,
                shots,
                tags={TAG_KEY: tag},
                quiet=True,
            )
        return str(task.id)

    def find(self, backend: str, tag: str) -> str | None:
        device = self._regions.device(backend)
        since = datetime.now(UTC) - timedelta(days=SEARCH_DAYS)
        filters = [
            {"name": "deviceArn", "operator": "EQUAL", "values": [device.arn]},
            {"name": "createdAt", "operator": "GTE", "values": [since.isoformat()]},
        ]
        client = self._regions.session(device.description.region).braket_client
        found: list[tuple[str, str]] = []
        with translated(backend):
            pages = client.get_paginator("search_quantum_tasks").paginate(filters=filters)
            for number, page in enumerate(pages):
                if number == SEARCH_PAGES_MAX:
                    raise Undecided(NAME, tag, "it has too many tasks to look through")
                found += [
                    (task["createdAt"].isoformat(), task["quantumTaskArn"])
                    for task in page["quantumTasks"]
                    if task.get("tags", {}).get(TAG_KEY) == tag
                ]
        return min(found)[1] if found else None

    def poll(self, backend: str, provider_job: str) -> ProviderState:
        client = self._session_of(backend, provider_job).braket_client
        with translated(backend, job=provider_job):
            task = client.get_quantum_task(
                quantumTaskArn=provider_job, additionalAttributeNames=["QueueInfo"]
            )
        position = str(task.get("queueInfo", {}).get("position", "")).lstrip(">")
        return ProviderState(
            _STATUS.get(task["status"], ProviderJobStatus.RUNNING),
            queue_position=int(position) if position.isdigit() else None,
            message=task.get("failureReason", ""),
        )

    def fetch(
        self, backend: str, provider_job: str, circuits: Sequence[Circuit], options: RunOptions
    ) -> ProviderResult:
        from braket.aws import AwsQuantumTask

        session = self._session_of(backend, provider_job)
        with translated(backend, job=provider_job):
            result = AwsQuantumTask(provider_job, session, quiet=True).result()
        if result is None:
            raise JobFailed(NAME, provider_job, "it has no result")
        read = entries(result)
        if len(read) != len(circuits):
            words = f"it has results of {len(read)} circuits instead of {len(circuits)}"
            raise JobFailed(NAME, provider_job, words)
        outcomes = [
            outcome(circuit, entry, options) for circuit, entry in zip(circuits, read, strict=True)
        ]
        run_s = device_s(result)
        price = self._regions.device(backend).description.price
        billed_s = max(run_s or 0.0, BRAKET_SIMULATOR_S_MIN)
        shots = options.shots * len(circuits)
        cost = cost_cents(price, tasks=1, shots=shots, device_s=billed_s)
        return ProviderResult(outcomes, cost_minor_units=cost, device_s=run_s)

    def cancel(self, backend: str, provider_job: str) -> None:
        client = self._session_of(backend, provider_job).braket_client
        with translated(backend, job=provider_job):
            client.cancel_quantum_task(quantumTaskArn=provider_job)

    def _session_of(self, backend: str, arn: str) -> Any:
        parts = arn.split(":")
        if len(parts) < 6 or parts[3] not in self._settings.regions:
            raise JobFailed(NAME, arn, f"it is no task of a region of {backend!r}")
        return self._regions.session(parts[3])
