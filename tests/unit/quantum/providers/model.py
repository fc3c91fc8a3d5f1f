"""A provider and an engine as models: time, faults and crashes are the test's."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ketgate_server.errors import KetgateError, Reason
from ketgate_server.jobs.faults import ProviderError, Stopped, Submitted
from ketgate_server.quantum.base import (
    CircuitOutcome,
    Description,
    ProviderJobStatus,
    ProviderResult,
    ProviderState,
    RunOptions,
    Unsuitable,
)
from ketgate_server.quantum.circuit import Circuit, Gate, Measure
from ketgate_server.quantum.providers import durable
from ketgate_server.quantum.providers.errors import (
    CredentialsRefused,
    Refused,
    Throttled,
    Undecided,
    Unreachable,
)

BELL = Circuit(2, 2, (Gate("h", (0,)), Gate("cx", (0, 1)), Measure(0, 0), Measure(1, 1)))
WORK = durable.Work("model/device", [BELL], RunOptions(shots=100, seed=1))
FINAL = (ProviderJobStatus.SUCCEEDED, ProviderJobStatus.FAILED, ProviderJobStatus.CANCELLED)


class Crash(BaseException):
    """The server dies at this point."""


FAULTS = {
    "throttled": lambda: Throttled("model", "slow down", 7.0),
    "unreachable": lambda: Unreachable("model", "connection refused"),
    "credentials": lambda: CredentialsRefused("model", "the token expired"),
    "refused": lambda: Refused("model", "model/device", "too many qubits"),
    "unsuitable": lambda: Unsuitable("model/device", "the gate 'x'", "it lacks it"),
    "lost": lambda: Undecided("model", "?", "the answer was lost"),
    "worker": lambda: KetgateError(Reason.INTERNAL, "the worker died"),
    "bug": lambda: TypeError("a fault of an SDK"),
    "crash": Crash,
}
NOT_TAKEN = {"throttled", "unreachable", "credentials", "refused", "unsuitable"}
"""Faults that come instead of the work being taken."""


@dataclass
class Job:
    """At the provider."""

    tag: str
    visible_us: int
    status: ProviderJobStatus = ProviderJobStatus.QUEUED


@dataclass
class ModelProvider:
    """Implements base.Provider. faults: for the next questions, by method; of submit also
    "after:FAULT": it took the work first."""

    name: str = "model"
    isolated: bool = False
    now_us: int = 0
    lag_us: int = 0
    """Before what was taken is shown in a search."""
    repeatable: bool = False
    jobs: dict[str, Job] = field(default_factory=dict)
    faults: dict[str, list[str]] = field(default_factory=dict)
    questions: list[str] = field(default_factory=list)
    cancels: bool = True
    poll_after_s: float | None = None

    def backends(self) -> Sequence[Description]:
        return []

    def check(self, backend: str, circuit: Circuit, options: RunOptions) -> None: ...

    def submit(
        self, backend: str, circuits: Sequence[Circuit], options: RunOptions, tag: str
    ) -> str:
        fault = self._next("submit")
        if fault in NOT_TAKEN:
            raise FAULTS[fault]()
        if fault and not fault.startswith("after:"):
            raise FAULTS[fault]()
        if self.repeatable and (known := self._tagged(tag)):
            job = known[0]
        else:
            job = f"job-{len(self.jobs)}"
            self.jobs[job] = Job(tag, self.now_us + self.lag_us)
        if fault:
            raise FAULTS[fault.removeprefix("after:")]()
        return job

    def find(self, backend: str, tag: str) -> str | None:
        self._ask("find")
        return next((j for j in self._tagged(tag) if self.jobs[j].visible_us <= self.now_us), None)

    def poll(self, backend: str, provider_job: str) -> ProviderState:
        self._ask("poll")
        status = self.jobs[provider_job].status
        words = "it broke" if status is ProviderJobStatus.FAILED else ""
        return ProviderState(status, message=words, poll_after_s=self.poll_after_s)

    def fetch(
        self, backend: str, provider_job: str, circuits: Sequence[Circuit], options: RunOptions
    ) -> ProviderResult:
        self._ask("fetch")
        return ProviderResult([CircuitOutcome(counts={0: 50, 3: 50}) for _ in circuits])

    def cancel(self, backend: str, provider_job: str) -> None:
        self._ask("cancel")
        job = self.jobs[provider_job]
        if self.cancels and job.status not in FINAL:
            job.status = ProviderJobStatus.CANCELLED

    def _tagged(self, tag: str) -> list[str]:
        return [name for name, job in self.jobs.items() if job.tag == tag]

    def _ask(self, question: str) -> None:
        fault = self._next(question)
        if fault:
            raise FAULTS[fault]()

    def _next(self, question: str) -> str:
        self.questions.append(question)
        queue = self.faults.get(question)
        return queue.pop(0) if queue else ""


@dataclass
class Engine:
    """What the job engine does for one job, as jobs.base.RunContext and around it."""

    provider: ModelProvider
    handle: bytes | None = None
    stopped: bool = False
    job_id: str = "0123456789abcdefghjkmnpqrs"
    crash_at: str = ""
    """ "before" or "after" the next checkpoint is on disk; or "reserved", before the next question."""
    reserved: bool = False
    broke: bool = False
    """Whether what is not reserved yet is beyond the cap."""
    stop_amid: bool = False
    """Told to stop while the next checkpoint is written."""
    delays: list[float] = field(default_factory=list)
    passing: list[ProviderError] = field(default_factory=list)

    def checkpoint(self, handle: bytes) -> None:
        where = self.crash_at
        if where != "reserved":
            self.crash_at = ""
        if where == "before":
            raise Crash
        if self.stopped and self.handle is None:
            raise Stopped
        self.handle = handle
        self.stopped, self.stop_amid = self.stopped or self.stop_amid, False
        if where == "after":
            raise Crash

    def reserve(self) -> None:
        if not self.reserved:
            if self.broke:
                raise KetgateError(Reason.CAP_EXCEEDED, "beyond the cap")
            self.reserved = True
        if self.crash_at == "reserved":
            self.crash_at = ""
            raise Crash

    def release(self) -> None:
        self.reserved = False

    def step(self) -> durable.Finished | Exception | None:
        """One turn: its result, what ended the job, or None where it goes on."""
        try:
            return durable.turn(self.provider, WORK, self, now_us=lambda: self.provider.now_us)
        except Submitted as again:
            self.handle = again.handle
            self.delays.append(again.poll_after_s)
            self._sleep(again.poll_after_s)
        except ProviderError as fault:
            self.passing.append(fault)
            self._sleep(fault.retry_after_s or 1.0)
        except Crash:
            self._sleep(15.0)  # the lease runs out
        except (Stopped, KetgateError) as end:
            if isinstance(end, KetgateError) and end.reason is Reason.INTERNAL:
                self._sleep(1.0)
                return None
            return end
        return None

    def _sleep(self, seconds: float) -> None:
        self.provider.now_us += round(seconds * 1e6)
