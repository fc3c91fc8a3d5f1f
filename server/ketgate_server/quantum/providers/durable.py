"""The turns of a job at a provider: submitted once, asked after ever more slowly, fetched, cancelled.

Never two submissions: the intent is on disk before the provider is asked, under a tag that is unique
for ever, and an unanswered question is followed by a search for the tag, not by a second question.
Only when the tag is still not there SETTLE_S after the question, or LISTED_S where only a list can be
searched for it, is the work sent again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ketgate_server.errors import KetgateError, Reason
from ketgate_server.jobs.faults import ProviderError, Stopped, Submitted
from ketgate_server.quantum.base import (
    Provider,
    ProviderJobStatus,
    ProviderResult,
    ProviderState,
    RunOptions,
    Unsuitable,
)
from ketgate_server.quantum.circuit import Circuit
from ketgate_server.quantum.providers.errors import (
    WORDS_MAX,
    CredentialsRefused,
    JobFailed,
    NeverAnswered,
    ProviderFault,
    Refused,
    Throttled,
    Undecided,
    Unreachable,
)
from ketgate_server.quantum.providers.handle import Handle, Stage

TAG_PREFIX = "ketgate-"

SETTLE_S = 360.0
"""A provider shows in its searches what it took by then. Above the time that a submission may take at
all, compilation included (isolated_provider.SUBMIT_S), so that one whose server lost the job meanwhile
cannot still be on its way."""

LISTED_S = 3600.0
"""As SETTLE_S, of a provider that would make a second job of a second submission: all that tells of the
first is a list, which may show it late."""

POLL_S_MIN = 2.0
POLL_S_MAX = 60.0
POLL_GROWTH = 1.5

CREDENTIALS_S_MAX = 86_400.0
"""Work that is at the provider is not given up for so long while our credentials are refused."""

CREDENTIALS_POLL_S = 60.0

ASKED_MAX = 3
"""Questions to take the work that went unanswered, with nothing there afterwards: then a person looks."""

log = logging.getLogger("ketgate.quantum")


@dataclass(frozen=True)
class Work:
    """What is to run."""

    backend: str
    circuits: Sequence[Circuit]
    options: RunOptions


@dataclass(frozen=True)
class Finished:
    """What came of it."""

    result: ProviderResult
    provider_job: str
    tag: str
    submitted_us: int


class Turn(Protocol):
    """What of jobs.base.RunContext a turn sees."""

    job_id: str
    handle: bytes | None

    @property
    def stopped(self) -> bool: ...

    def checkpoint(self, handle: bytes) -> None: ...

    def reserve(self) -> None:
        """The provider is about to be asked to take the work, with the intent on disk. Raises a
        KetgateError where it may not be. Called again for each question; the first one counts."""

    def release(self) -> None:
        """The provider has nothing of it: what was reserved is free."""


def turn(
    provider: Provider,
    work: Work,
    context: Turn,
    *,
    now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
) -> Finished:
    """Do what there is to do now, and return the result when it is there.

    Raises jobs.faults.Submitted while it is not, Stopped when it is cancelled, ProviderError for
    faults that may pass, and a KetgateError for those that will not.
    """
    return _Turn(provider, work, context, now_us).take()


class _Turn:
    def __init__(
        self, provider: Provider, work: Work, context: Turn, now_us: Callable[[], int]
    ) -> None:
        self._provider = provider
        self._work = work
        self._context = context
        self._now_us = now_us
        self._repeatable = bool(getattr(provider, "repeatable", False))
        self._settle_s = SETTLE_S if self._repeatable else LISTED_S
        self._handle = (
            Handle(Stage.FREE, provider.name, work.backend, TAG_PREFIX + context.job_id)
            if context.handle is None
            else Handle.unpack(context.handle)
        )

    def take(self) -> Finished:
        if self._handle.stage is Stage.ASKED:
            self._look()
        if self._handle.stage is not Stage.THERE:
            self._submit()
        return self._follow()

    def _submit(self) -> None:
        """FREE to THERE; or from ASKED, at a provider that makes one job of all that it is asked under
        a tag. A refusal then says nothing of what was asked before."""
        before = self._handle
        is_free = before.stage is Stage.FREE
        if is_free and self._context.stopped:
            self._context.release()
            raise Stopped
        if is_free and before.asked >= ASKED_MAX:
            raise NeverAnswered(before.provider, before.tag, before.asked, before.words)
        asked = before.to(stage=Stage.ASKED, asked_us=self._now_us(), asked=before.asked + 1)
        self._keep(asked)
        if self._context.stopped:  # told so while that was written: nothing was asked
            if is_free:
                self._context.release()
                raise Stopped
            raise self._again(before, POLL_S_MIN)
        # After the intent: whatever dies from here on, a turn follows that gives back what nobody took.
        self._context.reserve()
        work = self._work
        try:
            job = self._provider.submit(work.backend, work.circuits, work.options, asked.tag)
        except Throttled as fault:
            if is_free:
                self._context.release()
            unasked = before if is_free else asked.to(asked=before.asked)
            raise self._again(unasked, fault.retry_after_s) from fault
        except Unreachable as fault:
            if is_free:
                self._context.release()
                self._keep(before)
            raise self._passing(fault) from fault
        except Exception as fault:
            if is_free and isinstance(fault, CredentialsRefused | Refused | Unsuitable):
                self._context.release()
                raise  # it said no: nothing is there
            # A worker that died, an answer that was lost, a fault of the SDK amid it: all of these
            # may have come after the provider took it.
            log.warning("no answer to the submission of %s", asked.tag, exc_info=fault)
            words = fault.message if isinstance(fault, KetgateError) else type(fault).__name__
            raise self._again(asked.to(words=words[:WORDS_MAX]), POLL_S_MIN) from fault
        self._arrived(job)

    def _look(self) -> None:
        """ASKED to THERE, or to FREE; it stays where it may be asked again at once."""
        handle = self._handle
        try:
            job = self._provider.find(handle.backend, handle.tag)
        except Undecided:
            raise
        except ProviderFault as fault:
            raise self._unanswered(fault) from fault
        except KetgateError as fault:  # of the worker that should have asked
            raise self._passing(fault) from fault
        if job is not None:
            self._arrived(job)
            return
        wait_s = self._settle_s - (self._now_us() - handle.asked_us) / 1e6
        if wait_s <= 0:
            self._handle = handle.to(stage=Stage.FREE)
        elif self._context.stopped or not self._repeatable or handle.asked >= ASKED_MAX:
            raise self._again(handle, min(wait_s, _slower(handle.delay_s)))

    def _follow(self) -> Finished:
        """THERE to the end."""
        handle, work = self._handle, self._work
        try:
            state = self._provider.poll(handle.backend, handle.job)
            if state.status is ProviderJobStatus.SUCCEEDED:
                result = self._provider.fetch(
                    handle.backend, handle.job, work.circuits, work.options
                )
                return Finished(result, handle.job, handle.tag, handle.submitted_us)
        except (JobFailed, Refused) as fault:
            raise self._ended(str(fault)) from fault
        except ProviderFault as fault:
            raise self._unanswered(fault) from fault
        if state.status is ProviderJobStatus.FAILED:
            raise self._ended(state.message or "it does not say why")
        if state.status is ProviderJobStatus.CANCELLED:
            raise self._ended(f"it was cancelled there: {state.message or 'by its owner'}")
        if self._context.stopped:
            self._cancel()
        raise self._wait(state)

    def _cancel(self) -> None:
        """Asked again in every turn until the provider says that it is over: cancelling twice does
        no harm, and a lost question does."""
        try:
            self._provider.cancel(self._handle.backend, self._handle.job)
        except (JobFailed, Refused):
            pass  # it is over, or cannot be cancelled any more: the next turn sees which
        except ProviderFault as fault:
            raise self._unanswered(fault) from fault

    def _wait(self, state: ProviderState) -> Submitted:
        handle = self._handle.to(refused_since_us=0)
        moved = state.status.value != handle.status
        if self._context.stopped:
            delay_s = POLL_S_MIN
        elif state.poll_after_s is not None:
            delay_s = min(max(state.poll_after_s, POLL_S_MIN), POLL_S_MAX)
        elif moved:
            delay_s = POLL_S_MIN
        else:
            delay_s = _slower(handle.delay_s)
        return self._again(handle.to(status=state.status.value), delay_s)

    def _arrived(self, job: str) -> None:
        self._keep(
            self._handle.to(
                stage=Stage.THERE, job=job, submitted_us=self._now_us(), delay_s=0.0, status=""
            )
        )

    def _unanswered(self, fault: ProviderFault) -> Exception:
        """A question that changes nothing was not answered."""
        handle = self._handle
        if isinstance(fault, Throttled):
            return self._again(handle, fault.retry_after_s)  # an answer: it lives
        if isinstance(fault, CredentialsRefused):
            now_us = self._now_us()
            since_us = handle.refused_since_us or now_us
            if now_us - since_us >= CREDENTIALS_S_MAX * 1e6:
                return self._passing(fault)
            return self._again(handle.to(refused_since_us=since_us), CREDENTIALS_POLL_S)
        return self._passing(fault)

    def _passing(self, fault: KetgateError) -> ProviderError:
        """For the engine, which counts those in a row and gives up in the end: with these words."""
        handle, reason, known = self._handle, fault.reason, ""
        if handle.stage is Stage.ASKED:
            reason = Reason.SUBMISSION_UNDECIDED
            known = f"; whether it took the work tagged {handle.tag!r} cannot be told"
        elif handle.stage is Stage.THERE:
            known = f"; its job is {handle.job!r}"
        return ProviderError(
            reason,
            fault.message + known,
            retry_after_s=fault.retry_after_s,
            metadata=fault.metadata | {"tag": handle.tag, "provider_job": handle.job},
        )

    def _ended(self, words: str) -> Exception:
        """Over at the provider, without a result."""
        if self._context.stopped:
            return Stopped()
        return JobFailed(self._handle.provider, self._handle.job, words)

    def _keep(self, handle: Handle) -> None:
        self._context.checkpoint(handle.pack())
        self._handle = handle

    def _again(self, handle: Handle, delay_s: float) -> Submitted:
        return Submitted(handle.to(delay_s=delay_s).pack(), delay_s)


def _slower(delay_s: float) -> float:
    return min(max(delay_s * POLL_GROWTH, POLL_S_MIN), POLL_S_MAX)
