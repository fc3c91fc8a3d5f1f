"""A provider outside, and a kind that has its work done there as kinds are told to: it keeps its intent
before it asks, and finds what it asked for by a tag. The provider takes its time, breaks down, and
its answers are lost; what it was asked it does, even if who asked has died meanwhile."""

from collections.abc import Callable
from typing import Any

from ketgate.jobs.v1 import job_pb2 as pb
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.jobs.base import Claim, Ending, Fault, Outcome
from ketgate_server.jobs.faults import ProviderError, Stopped

from .database import Database
from .world import MS, SECOND, World

INTENT = b"intent"
TRIP_US_MAX = 20 * MS
"""Of a question: shorter than any wait for another attempt."""


class Work:
    """What the provider was asked for."""

    def __init__(self, end_us: float) -> None:
        self.end_us = end_us
        self.cancelled = False


class Provider:
    def __init__(self, world: World, database: Database) -> None:
        self._world = world
        self._database = database
        self.works: dict[str, Work] = {}
        """By tag, which is the job's id."""

    def submit(self, tag: str) -> None:
        self._ask(lambda: self._begin(tag))

    def find(self, tag: str) -> Work | None:
        """What there is of this tag."""
        if self._world.chance(self._database.faults.bad_attempt / 2):
            self._world.sleep(self._world.between(0, 4 * SECOND))  # beyond a lease
        found: Work | None = self._ask(lambda: self.works.get(tag))
        return found

    def cancel(self, tag: str) -> None:
        self._ask(lambda: self._cancel(tag))

    def is_running(self, tag: str) -> bool:
        work = self.works.get(tag)
        return work is not None and not work.cancelled and work.end_us > self._world.now_us

    def _begin(self, tag: str) -> None:
        if tag in self.works:
            self._world.broken(f"{tag} was submitted twice")
        self.works[tag] = Work(self._world.now_us + self._world.between(0, 12 * SECOND))
        self._world.log(f"{tag[-6:]} is at the provider")

    def _cancel(self, tag: str) -> None:
        row = self._database.row(
            "SELECT state, deadline_us, end_time_us FROM jobs WHERE id = ?", (tag,)
        )
        if row is not None:
            state, deadline_us, end_time_us = row
            now_us = self._database.transaction._clock.now_us()
            late = deadline_us is not None and deadline_us <= now_us + SECOND
            if state != 4 and not late and end_time_us is None:
                self._world.broken(f"{tag}: nobody wanted it cancelled at the provider")
        if self._world.chance(0.7):  # else it thinks about it
            self.works[tag].cancelled = True

    def _ask(self, do: Callable[[], Any]) -> Any:
        """A question, from a task that may die while it waits for the answer."""
        world, faults = self._world, self._database.faults

        def register(resume: Callable[[Any], None]) -> None:
            def arrive() -> None:
                answer = do()
                lost = world.chance(faults.drop)
                back_us = world.between(0, TRIP_US_MAX)
                world.later(back_us, lambda: resume(("lost", None) if lost else ("", answer)))

            if world.chance(faults.bad_attempt / 2):
                world.later(world.between(0, TRIP_US_MAX), lambda: resume(("down", None)))
            else:
                world.later(world.between(0, TRIP_US_MAX), arrive)

        trouble, answer = world.wait(register)
        if trouble:
            raise ProviderError(Reason.PROVIDER_FAILED, f"the provider: {trouble}")
        return answer


class Turn:
    """Implements base.Running: one turn of a job whose work is there."""

    def __init__(
        self,
        world: World,
        provider: Provider,
        claim: Claim,
        checkpoint: Callable[[bytes], None],
        end: Callable[[Ending], None],
    ) -> None:
        self._world, self._provider, self._claim = world, provider, claim
        self._checkpoint, self._end = checkpoint, end
        self._stopped = claim.stopped

    def stop(self) -> None:
        self._stopped = True

    def run(self) -> None:
        self._world.sleep(self._world.between(0, 5 * MS))
        try:
            ending = self._take()
        except Stopped:
            ending = Ending(Outcome.STOPPED)
        except KetgateError as error:
            fault = Fault.PROVIDER if isinstance(error, ProviderError) else Fault.SERVER
            ending = Ending(Outcome.FAILED, fault=fault, error=error)
        if self._world.chance(self._provider._database.faults.bad_attempt / 10):
            ending = Ending(Outcome.LOST)
        self._end(ending)

    def _take(self) -> Ending:
        tag = self._claim.id
        if self._claim.handle is None:
            if self._stopped:
                raise Stopped
            self._checkpoint(INTENT)
            self._provider.submit(tag)
            return self._later(b"asked")
        work = self._provider.find(tag)
        if work is None or work.cancelled:
            if self._stopped:
                raise Stopped
            assert work is None, "it was cancelled at the provider, and not here"
            assert self._claim.handle == INTENT, "what was taken there is gone"
            self._checkpoint(INTENT)
            self._provider.submit(tag)
            return self._later(b"asked")
        if work.end_us <= self._world.now_us:
            return Ending(Outcome.SUCCEEDED, f"provider {tag}".encode())
        if self._stopped:
            self._provider.cancel(tag)
        return self._later(b"asked")

    def _later(self, handle: bytes) -> Ending:
        after_s = self._world.between(0.01, 3.0)
        progress = pb.JobProgress(work=self._world.now_us // SECOND)
        return Ending(Outcome.SUBMITTED, handle=handle, poll_after_s=after_s, progress=progress)
