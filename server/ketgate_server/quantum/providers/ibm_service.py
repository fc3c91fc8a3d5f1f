"""The two services of qiskit-ibm-runtime that a provider can have: IBM Quantum Platform, and the
SDK's local testing mode, whose jobs live in this process."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from ketgate_server.quantum.base import ProviderJobStatus, ProviderState
from ketgate_server.quantum.providers.errors import (
    CredentialsRefused,
    JobFailed,
    Unreachable,
    plain,
)
from ketgate_server.quantum.providers.ibm_faults import HARMLESS, NAME
from ketgate_server.quantum.providers.settings import IbmSettings

_STATUS = {
    "DONE": ProviderJobStatus.SUCCEEDED,
    "ERROR": ProviderJobStatus.FAILED,
    "CANCELLED": ProviderJobStatus.CANCELLED,
    "RUNNING": ProviderJobStatus.RUNNING,
}
"""Others count as queued."""
ERROR_STATUS_RETRIED = (502, 503, 504)


@dataclass(frozen=True)
class Usage:
    """What a job took, in seconds, as far as it is told."""

    device_s: float | None = None
    queued_s: float | None = None


class Service(Protocol):
    """What the provider asks."""

    @property
    def region(self) -> str: ...

    def devices(self, wanted: Sequence[str]) -> Sequence[Any]:
        """Back ends of Qiskit. wanted: their names; empty: all."""

    def device(self, name: str) -> Any: ...

    def plan(self) -> str:
        """Name of the instance's plan; empty where that is not known."""

    def submit(
        self, device: Any, circuits: Sequence[Any], shots: int, seed: int, tag: str
    ) -> str: ...

    def find(self, tag: str) -> str | None: ...

    def state(self, job: str) -> ProviderState: ...

    def result(self, job: str) -> Any:
        """qiskit PrimitiveResult."""

    def circuits(self, job: str) -> Sequence[Any]:
        """Of Qiskit, as they were submitted: compiled."""

    def usage(self, job: str) -> Usage: ...

    def cancel(self, job: str) -> None: ...


@contextmanager
def quiet() -> Iterator[None]:
    """Without the SDK's warnings to people at a keyboard: which account it took, that a class will
    have a successor, that the usage limit is reached (which the job then tells)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def opened(settings: IbmSettings) -> Service:
    return Local() if settings.channel == "local" else Cloud(settings)


class Cloud:
    """IBM Quantum Platform."""

    def __init__(self, settings: IbmSettings) -> None:
        from qiskit_ibm_runtime import QiskitRuntimeService

        _bound_sessions(settings)
        named = {
            "instance": settings.instance,
            "filename": settings.account_file and str(settings.account_file),
            "name": settings.account,
            "token": "" if settings.token_file is None else read_token(settings),
        }
        chosen: dict[str, Any] = {key: value for key, value in named.items() if value}
        if settings.url:
            chosen["url_resolver"] = lambda *_: settings.url
        with quiet():
            self._service = QiskitRuntimeService(channel=settings.channel, **chosen)
        self._settings = settings

    @property
    def region(self) -> str:
        """Of the instance, from its CRN: crn:version:cname:ctype:service:REGION:..."""
        parts = str(self._service.active_instance()).split(":")
        return parts[5] if len(parts) > 5 else ""

    def devices(self, wanted: Sequence[str]) -> Sequence[Any]:
        with quiet():
            found = [one for one in self._service.backends() if not wanted or one.name in wanted]
        if not found:
            self._ask_for_devices()
        for device in found:
            device.refresh()
        return found

    def device(self, name: str) -> Any:
        from qiskit.providers.exceptions import QiskitBackendNotFoundError

        try:
            with quiet():
                return self._service.backend(name)
        except QiskitBackendNotFoundError:
            if name in self._ask_for_devices():
                raise Unreachable(NAME, f"it did not tell of {name!r}") from None
            raise

    def _ask_for_devices(self) -> set[str]:
        """Names, or the fault. The SDK takes any fault of this question for an empty list."""
        return {one["name"] for one in self._service._active_api_client.list_backends()}

    def plan(self) -> str:
        here = self._service.active_instance()
        plans = (i["plan"] for i in self._service.instances() if i["crn"] == here)
        return str(next(plans, ""))

    def submit(
        self,
        device: Any,
        circuits: Sequence[Any],
        shots: int,
        seed: int,  # noqa: ARG002 - hardware has none
        tag: str,
    ) -> str:
        from qiskit_ibm_runtime import SamplerV2

        with quiet():
            sampler = SamplerV2(mode=device)
            sampler.options.environment.job_tags = [tag]
            sampler.options.max_execution_time = self._settings.execution_s_max
            return str(sampler.run(list(circuits), shots=shots).job_id())

    def find(self, tag: str) -> str | None:
        with quiet():
            jobs = self._service.jobs(limit=20, job_tags=[tag], descending=False)
        # The oldest, so that every search tells of the same one.
        return min(((job.creation_date, job.job_id()) for job in jobs), default=(None, None))[1]

    def state(self, job: str) -> ProviderState:
        with quiet():
            found = self._service.job(job)
            told = str(found.status())
            status = _STATUS.get(told, ProviderJobStatus.QUEUED)
            if status is ProviderJobStatus.FAILED:
                return ProviderState(status, message=plain(found.error_message()))
            if status is ProviderJobStatus.QUEUED:
                position = found.metrics().get("position_in_queue")
                return ProviderState(status, position if isinstance(position, int) else None)
        return ProviderState(status)

    def result(self, job: str) -> Any:
        with quiet():
            return self._service.job(job).result()

    def circuits(self, job: str) -> Sequence[Any]:
        with quiet():
            return _circuits(self._service.job(job))

    def usage(self, job: str) -> Usage:
        with quiet():
            told = self._service.job(job).metrics()
        used = told.get("usage") or {}
        seconds = used.get("qpu_charge_time_seconds", used.get("quantum_seconds"))
        times = told.get("timestamps") or {}
        return Usage(
            device_s=None if seconds is None else float(seconds),
            queued_s=_between_s(times.get("created"), times.get("running")),
        )

    def cancel(self, job: str) -> None:
        with quiet():
            self._service.job(job).cancel()


@dataclass
class Local:
    """The local testing mode: fake back ends, simulated by Aer. Its jobs end with this process."""

    region: str = "local"
    _jobs: dict[str, Any] = field(default_factory=dict)
    _tags: dict[str, str] = field(default_factory=dict)

    def devices(self, wanted: Sequence[str]) -> Sequence[Any]:
        with quiet():
            if wanted:
                return [self.device(name) for name in wanted]
            return list(self._service().backends())

    def device(self, name: str) -> Any:
        with quiet():
            return self._service().backend(name)

    def _service(self) -> Any:
        from qiskit_ibm_runtime import QiskitRuntimeService

        return QiskitRuntimeService(channel="local")

    def plan(self) -> str:
        return "open"

    def submit(self, device: Any, circuits: Sequence[Any], shots: int, seed: int, tag: str) -> str:
        from qiskit_ibm_runtime import SamplerV2

        with quiet():
            sampler = SamplerV2(mode=device)
            # Aer takes 31 bits, and 0 for none.
            sampler.options.simulator.seed_simulator = seed % 0x7FFFFFFF + 1
            job = sampler.run(list(circuits), shots=shots)
        self._jobs[job.job_id()], self._tags[tag] = job, job.job_id()
        return str(job.job_id())

    def find(self, tag: str) -> str | None:
        return self._tags.get(tag)

    def state(self, job: str) -> ProviderState:
        told = self._job(job).status()
        return ProviderState(_STATUS.get(getattr(told, "name", told), ProviderJobStatus.QUEUED))

    def result(self, job: str) -> Any:
        with quiet():
            return self._job(job).result()

    def circuits(self, job: str) -> Sequence[Any]:
        return _circuits(self._job(job))

    def usage(self, job: str) -> Usage:  # noqa: ARG002
        return Usage()

    def cancel(self, job: str) -> None:
        self._job(job).cancel()

    def _job(self, job: str) -> Any:
        if job not in self._jobs:
            raise JobFailed(NAME, job, "it ended with the process that had it")
        return self._jobs[job]


def _circuits(job: Any) -> Sequence[Any]:
    pubs = (job.inputs or {}).get("pubs", ())
    return [pub.circuit if hasattr(pub, "circuit") else pub[0] for pub in pubs]


def read_token(settings: IbmSettings) -> str:
    """The API key. Raises CredentialsRefused."""
    assert settings.token_file is not None
    try:
        token = settings.token_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = f"the file quantum.ibm.token_file cannot be read ({type(error).__name__})"
        raise CredentialsRefused(NAME, why) from error
    if not token or len(token.split()) != 1:
        raise CredentialsRefused(NAME, "the file quantum.ibm.token_file holds no API key")
    return token


def _bound_sessions(settings: IbmSettings) -> None:
    """Bound what the SDK's HTTP sessions do from now on, in this process.

    Theirs wait for an answer without end (900 s for a submission), and send a submission again up to
    five times after a server error, which may have come after it was taken.
    """
    from qiskit_ibm_runtime.api import client, session
    from requests.adapters import HTTPAdapter
    from urllib3.util.retry import Retry

    timeout = (settings.connect_timeout_s, settings.read_timeout_s)

    class BoundSession(session.RetrySession):  # type: ignore[misc]
        def _initialize_retry(self, *_: Any) -> None:
            again = Retry(
                total=1,
                allowed_methods=frozenset(["GET"]),
                status_forcelist=ERROR_STATUS_RETRIED,
                backoff_factor=0.2,
                respect_retry_after_header=False,  # the job engine waits, not a worker
                raise_on_status=False,
            )
            self.mount("http://", HTTPAdapter(max_retries=again))
            self.mount("https://", HTTPAdapter(max_retries=again))

        def request(self, method: str, url: str, bare: bool = False, **wanted: Any) -> Any:
            try:
                return super().request(method, url, bare, **wanted | {"timeout": timeout})
            except Exception as error:
                if method.upper() != "POST" or url != "/jobs":
                    setattr(error, HARMLESS, True)
                raise

    client.RetrySession = BoundSession


def _between_s(start: str | None, end: str | None) -> float | None:
    if not start or not end:
        return None
    first, last = (datetime.fromisoformat(one.replace("Z", "+00:00")) for one in (start, end))
    return max((last - first).total_seconds(), 0.0)
