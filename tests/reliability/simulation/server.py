"""A server of a simulation: the real JobStore and the real Dispatcher, over an executor whose
attempts take their time, fail, vanish and do not listen."""

import math
from collections.abc import Callable
from typing import Any

from ketgate.jobs.v1 import job_pb2 as pb
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.jobs.base import Claim, Ending, Fault, Outcome
from ketgate_server.jobs.dispatcher import Dispatcher, DispatcherSettings
from ketgate_server.jobs.policy import Policy, Retention
from ketgate_server.jobs.store import JobStore
from ketgate_server.store.base import StoreUnavailable

from .database import CALM, Database, Faults, SimulatedStore
from .provider import Provider, Turn
from .world import MS, SECOND, Process, World

LEASE_S = 1.0
POLICY = Policy(
    unfinished_max=40,
    backoff_us=100 * MS,
    backoff_us_max=2 * SECOND,
    provider_cancel_us=5 * SECOND,
)
RETENTION = Retention(
    jobs_us=8 * SECOND, events_us=6 * SECOND, events_max=300, replies_us=4 * SECOND
)


class Server:
    """A process. When it has died, start another."""

    def __init__(self, world: World, database: Database, provider: Provider, name: str) -> None:
        self.world = world
        self.process: Process = world.process(name)
        self._database = database
        skew_us = world.between(-20 * MS, 20 * MS)
        self._clock_us = world.between(-SECOND, SECOND)
        self.jobs = JobStore(
            SimulatedStore(database, self.process, skew_us),
            POLICY,
            random_bytes=world.random.randbytes,
        )
        self._worker = world.process(f"{name}'s workers")
        self._awake = False
        self._resume: Callable[[Any], None] | None = None
        self.dispatcher = Dispatcher(
            self.jobs,
            SimulatedExecutor(world, self._worker, database.faults, provider),
            DispatcherSettings(worker=f"{name}/1", lease_s=LEASE_S, poll_s=0.2),
            wake=self._wake,
        )
        self.jobs.on_change(self.dispatcher.changed)
        self.process.spawn(self._dispatch)
        self.process.spawn(self._retain)

    def kill(self) -> None:
        """Die, with the workers. (They do not freeze with it: what they end then is stale.)"""
        self.process.kill()
        self._worker.kill()

    def _dispatch(self) -> None:
        while True:
            self._awake = False
            now_s = (self.world.now_us + self._clock_us) / SECOND
            next_s = self.dispatcher.step(now_s)
            if not self._awake:
                wait_us = min((next_s - now_s) * SECOND, 3600 * SECOND)
                self._sleep(wait_us)

    def _sleep(self, wait_us: float) -> None:
        def register(resume: Callable[[Any], None]) -> None:
            self._resume = resume
            self.world.later(wait_us + 1, lambda: resume(None))

        self.world.wait(register)

    def _wake(self) -> None:
        self._awake = True
        if self._resume is not None:
            resume, self._resume = self._resume, None
            resume(None)

    def _retain(self) -> None:
        while True:
            self.world.sleep(self.world.between(SECOND, 5 * SECOND))
            if self._database.faults is CALM:
                continue  # what is checked at the end should be there
            try:
                self.jobs.retain(RETENTION, limit=20)
            except StoreUnavailable:
                pass


class SimulatedExecutor:
    """Up to three attempts. Each result is the fence of its attempt, so that it tells whose it is.
    The work of every third job is at the provider."""

    def __init__(self, world: World, process: Process, faults: Faults, provider: Provider) -> None:
        self._world = world
        self._provider = provider
        self._process = process
        self._faults = faults
        self._running = 0

    @property
    def room(self) -> int:
        return 3 - self._running

    def start(
        self,
        claim: Claim,
        *,
        remaining_s: float,
        progress: Callable[[pb.JobProgress], None],
        checkpoint: Callable[[bytes], None],
        end: Callable[[Ending], None],
    ) -> "Attempt | Turn":
        self._running += 1

        def ended(ending: Ending) -> None:
            self._running -= 1
            end(ending)

        attempt: Attempt | Turn
        if claim.seq % 3 == 0:
            attempt = Turn(self._world, self._provider, claim, checkpoint, ended)
        else:
            attempt = Attempt(self._world, self._faults, claim, progress, ended)
        self._process.spawn(attempt.run)
        return attempt

    def close(self) -> None: ...


class Attempt:
    def __init__(
        self,
        world: World,
        faults: Faults,
        claim: Claim,
        progress: Callable[[pb.JobProgress], None],
        end: Callable[[Ending], None],
    ) -> None:
        self._world = world
        self._claim = claim
        self._progress = progress
        self._end = end
        self._bad = world.chance(faults.bad_attempt)
        self._stopped = False

    def stop(self) -> None:
        self._stopped = True

    def run(self) -> None:
        world = self._world
        deaf = self._bad and world.chance(0.3)
        left_us = math.exp(world.between(math.log(MS), math.log(8 * SECOND)))
        while left_us > 0:
            slice_us = min(left_us, world.between(10 * MS, 300 * MS))
            world.sleep(slice_us)
            left_us -= slice_us
            if self._stopped and not deaf:
                self._end(self._stop())
                return
            self._progress(pb.JobProgress(objective=left_us))
        self._end(self._fail() if self._bad and not deaf else self._succeed())

    def _succeed(self) -> Ending:
        return Ending(Outcome.SUCCEEDED, str(self._claim.fence).encode())

    def _stop(self) -> Ending:
        return Ending(Outcome.STOPPED, str(self._claim.fence).encode())

    def _fail(self) -> Ending:
        fault = self._world.random.choice([*Fault, None])
        if fault is None:
            return Ending(Outcome.LOST)
        return Ending(Outcome.FAILED, fault=fault, error=KetgateError(Reason.INTERNAL, "simulated"))
