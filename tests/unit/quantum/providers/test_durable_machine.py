"""Any faults, in any order, at any time: never two submissions, and nothing is left running."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from ketgate_server.jobs.faults import Stopped
from ketgate_server.quantum.base import ProviderJobStatus
from ketgate_server.quantum.providers import durable
from ketgate_server.quantum.providers.errors import JobFailed, ProviderFault

from .model import FINAL, NOT_TAKEN, Engine, ModelProvider

ASKING = ["throttled", "unreachable", "credentials", "worker", "crash"]
SUBMITTING = ["throttled", "unreachable", "lost", "worker", "bug", "crash"]
SUBMITTING += [f"after:{fault}" for fault in SUBMITTING if fault not in NOT_TAKEN]


class Job(RuleBasedStateMachine):
    """One job, from its first turn to its end."""

    end: object = None

    @initialize(
        lag=st.floats(0.0, 0.99),
        repeatable=st.booleans(),
        faults=st.lists(st.sampled_from(SUBMITTING), min_size=1, max_size=4),
        cancelled=st.booleans(),
    )
    def begin(self, lag: float, repeatable: bool, faults: list[str], cancelled: bool) -> None:
        self.cancelled = cancelled
        lag_s = lag * (durable.SETTLE_S if repeatable else durable.LISTED_S)
        self.provider = ModelProvider(
            lag_us=int(lag_s * 1e6), repeatable=repeatable, faults={"submit": faults}
        )
        self.engine = Engine(self.provider)

    @rule(
        question=st.sampled_from(["find", "poll", "fetch", "cancel"]), fault=st.sampled_from(ASKING)
    )
    def fault_of_question(self, question: str, fault: str) -> None:
        self.provider.faults.setdefault(question, []).append(fault)

    @rule(where=st.sampled_from(["before", "after", "reserved"]))
    def crash_at_checkpoint(self, where: str) -> None:
        self.engine.crash_at = where

    @precondition(lambda self: self.cancelled)
    @rule()
    def cancel(self) -> None:
        self.engine.stopped = True

    @precondition(lambda self: self.cancelled)
    @rule()
    def cancel_amid_checkpoint(self) -> None:
        self.engine.stop_amid = True

    @precondition(lambda self: self.provider.jobs)
    @rule(
        status=st.sampled_from(
            [ProviderJobStatus.RUNNING, ProviderJobStatus.SUCCEEDED, ProviderJobStatus.FAILED]
        )
    )
    def move(self, status: ProviderJobStatus) -> None:
        job = self.provider.jobs["job-0"]
        if job.status not in FINAL:
            job.status = status

    @precondition(lambda self: self.end is None)
    @rule()
    def turn(self) -> None:
        self.end = self.engine.step()

    @precondition(lambda self: self.end is None)
    @rule(count=st.integers(1, 20))
    def turns(self, count: int) -> None:
        for _ in range(count):
            if self.end is None:
                self.end = self.engine.step()

    @invariant()
    def never_submitted_twice(self) -> None:
        if hasattr(self, "provider"):
            assert len(self.provider.jobs) <= 1

    @invariant()
    def what_is_there_is_reserved(self) -> None:
        """And what was given up for good is not, unless nobody can tell that it was not taken."""
        if not hasattr(self, "provider"):
            return
        if self.provider.jobs:
            assert self.engine.reserved
        elif isinstance(self.end, Stopped):
            assert not self.engine.reserved

    @invariant()
    def the_end_is_true(self) -> None:
        if self.end is None:
            return
        statuses = [job.status for job in self.provider.jobs.values()]
        if isinstance(self.end, durable.Finished):
            assert statuses == [ProviderJobStatus.SUCCEEDED]
        elif isinstance(self.end, Stopped):
            assert all(status in FINAL for status in statuses)
        elif isinstance(self.end, JobFailed):
            assert statuses == [ProviderJobStatus.FAILED]
        else:
            assert isinstance(self.end, ProviderFault)
            assert not statuses

    def teardown(self) -> None:
        """Left in peace, every job that the provider finishes is finished."""
        if not hasattr(self, "provider") or self.end is not None:
            return
        self.provider.faults.clear()
        for _ in range(400):
            if self.end is None:
                self.end = self.engine.step()
            self.the_end_is_true()
            self.never_submitted_twice()
            self.what_is_there_is_reserved()
            for job in self.provider.jobs.values():
                if job.status not in FINAL:
                    job.status = ProviderJobStatus.SUCCEEDED
        assert self.end is not None


Job.TestCase.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)
TestJob = Job.TestCase
