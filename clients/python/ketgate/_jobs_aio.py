"""Jobs of a server, over grpc.aio: as `_jobs.py`, each call to be awaited."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, Protocol, TypeVar, overload

import grpc.aio

from ketgate import _job_requests as requests
from ketgate import _jobs
from ketgate._errors import KetgateError
from ketgate._events import ProgressEvent
from ketgate._job import JobEvent, JobList, JobRecord, JobState, Trace
from ketgate._job_calls import Solution, Waiting, Watching, unfinished
from ketgate._options import Prepared, Progress
from ketgate._signature import described_as
from ketgate._work import Work, program_is_shown
from ketgate.jobs.v1 import job_pb2

if TYPE_CHECKING:
    from ketgate.aio import Client

P = ParamSpec("P")
R = TypeVar("R")


class DurableJob(JobRecord, Generic[R]):
    """A job of the server: it survives a crash of either side, and is done once in effect.

    What it tells of itself (state, attempts, times) is as of the last call; refresh() asks anew.

    >>> job = await client.optimize.portfolio(prices, k=10, durable=True, labels={"desk": "fx"})
    >>> (await job.result()).weights
    """

    def __init__(
        self, jobs: "Jobs", message: job_pb2.Job, solve: Prepared[R] | Work[R] | None = None
    ) -> None:
        super().__init__(message)
        self._jobs = jobs
        self._solution = Solution(solve)
        self._trace = Trace()

    async def refresh(self) -> "DurableJob[R]":
        """Ask the server how it stands; returns itself."""
        self._take(await self._jobs._get(self.name))
        return self

    @described_as(_jobs.DurableJob.wait)
    async def wait(self, timeout: float | None = None) -> JobState:
        self._take(await self._jobs._wait(self.name, timeout))
        return self.state

    async def result(self, timeout: float | None = None, *, progress: Progress | None = None) -> R:
        """Wait until it is over, and return what the call without durable=True would have.

        progress: as for a solve; where the function returns False the job is cancelled. Raises what
        it failed of; DeadlineExceeded after timeout seconds, and the job goes on. One that was
        cancelled or has expired returns its best so far, with that stop_reason; Cancelled or
        DeadlineExceeded where it had nothing yet. Cancelling the task ends the
        waiting, not the job.
        """
        end_s = None if timeout is None else time.monotonic() + timeout
        if self._solution.shows(progress) and not self.over:
            await self._show(progress, end_s)
        if not self.over:
            await self.wait(None if end_s is None else max(0.0, end_s - time.monotonic()))
        if not self.over:
            raise unfinished(self)
        self._take(await self._jobs._get(self.name, full=True))
        return self._solution.of(self.message, self._trace.events)

    async def progress(self) -> ProgressEvent | None:
        """How far it is now; None where it has told nothing yet."""
        return (await self.refresh()).newest

    async def updates(self) -> AsyncGenerator[ProgressEvent, None]:
        """Its progress from now on, as it comes, until it is over."""
        async with aclosing(self._events(None, None)) as events:
            async for event in events:
                told = self._trace.add(event)
                if told is not None:
                    yield told

    def events(self, start_revision: int | None = None) -> AsyncGenerator[JobEvent, None]:
        """Its changes, from the next one on or from a revision on, until it is over."""
        return self._events(start_revision, None)

    async def cancel(self, reason: str = "") -> "DurableJob[R]":
        """Tell it to stop; returns itself. One that runs ends with its best so far."""
        self._take(await self._jobs._cancel(self.name, reason))
        return self

    async def delete(self) -> None:
        """Delete it, with its spec and result; it must be over."""
        await self._jobs.delete(self.name)

    async def _events(
        self, start_revision: int | None, end_s: float | None
    ) -> AsyncGenerator[JobEvent, None]:
        if start_revision is None:
            if self.over or (await self.refresh()).over:
                return
            start_revision = self.revision + 1
        watching = Watching(self._jobs._client, start_revision, [self.name], end_s=end_s)
        async with aclosing(follow(watching)) as events:
            async for event in events:
                yield event
                if event.last:
                    return

    async def _show(self, progress: Progress | None, end_s: float | None) -> None:
        watcher = self._solution.watcher(progress)
        try:
            async with aclosing(self._events(self.revision + 1, end_s)) as events:
                async for event in events:
                    if watcher.wants_stop(self._trace.add(event)):
                        await self.cancel("its caller's progress function said so")
                        return
        finally:
            watcher.close()


class Jobs:
    """The jobs of the token's tenant: `client.jobs`."""

    def __init__(self, client: "Client") -> None:
        self._client = client

    @described_as(_jobs.Jobs.get)
    async def get(self, name: str) -> DurableJob[Any]:
        return DurableJob(self, await self._get(name))

    @described_as(_jobs.Jobs.list)
    async def list(
        self,
        filter: str = "",  # noqa: A002 - the contract's name
        *,
        order_by: str = "",
        limit: int | None = 100,
    ) -> JobList[DurableJob[Any]]:
        pages = requests.Pages(filter, order_by, limit)
        while not pages.add(await self._client._call(requests.LIST, pages.request)):
            pass
        jobs = (DurableJob[Any](self, message) for message in pages.found)
        return JobList(jobs, pages.revision, pages.complete)

    async def revision(self) -> int:
        """The newest revision: what happens from now on has a greater one."""
        return (await self.list(limit=1)).revision

    async def watch(
        self,
        start_revision: int | None = None,
        *,
        names: Sequence[str] = (),
        states_only: bool = False,
    ) -> AsyncGenerator[JobEvent, None]:
        """Every change of the tenant's jobs from a revision on, in order, for ever; leave the loop
        to end it. Default: from the first step on.

        A cut connection, a restarted server and WATCH_TOO_SLOW are got over without a gap or a
        repeat; after `retry.total_s_max` seconds without a server, Unavailable is raised. To go on in
        another process, keep the last event's revision and start at the next one. Raises OutOfRange
        (REVISION_COMPACTED) where changes asked for are not kept any more.

        names: only these jobs, at most 100. states_only: no progress.
        """
        start = (await self.revision()) + 1 if start_revision is None else start_revision
        watching = Watching(self._client, start, names, states_only=states_only)
        async with aclosing(follow(watching)) as events:
            async for event in events:
                yield event

    async def wait(self, name: str, timeout: float | None = None) -> DurableJob[Any]:
        """The job, when it is over or after timeout seconds."""
        return DurableJob(self, await self._wait(name, timeout))

    async def cancel(self, name: str, reason: str = "") -> DurableJob[Any]:
        """Tell a job to stop. One that is over stays as it is."""
        return DurableJob(self, await self._cancel(name, reason))

    async def delete(self, name: str, *, etag: str = "") -> None:
        """Delete a job that is over. etag: only if it has not changed since."""
        await self._client._call(requests.DELETE, requests.delete(name, etag))

    async def _create(
        self, solve: Prepared[R] | Work[R], options: requests.JobOptions
    ) -> DurableJob[R]:
        request = requests.create(await self._client.artifacts._refer(solve.spec), options)
        with requests.doubt_is_told(request), program_is_shown(request):
            answer = await self._client._call(requests.CREATE, request)
        return DurableJob(self, answer.job, solve)

    async def _get(self, name: str, *, full: bool = False) -> job_pb2.Job:
        job: job_pb2.Job = (
            await self._client._call(requests.GET, requests.get(name, full=full))
        ).job
        await self._client.artifacts._fetch(job.result)
        return job

    async def _cancel(self, name: str, reason: str) -> job_pb2.Job:
        job: job_pb2.Job = (
            await self._client._call(requests.CANCEL, requests.cancel(name, reason))
        ).job
        return job

    async def _wait(self, name: str, timeout_s: float | None) -> job_pb2.Job:
        waiting = Waiting(self._client, name, timeout_s)
        while True:
            request, limit_s = waiting.request()
            try:
                job: job_pb2.Job = (await self._client._once(requests.WAIT, request, limit_s)).job
            except KetgateError as error:
                await asyncio.sleep(waiting.patience.after(error))
            else:
                if waiting.done(job):
                    return job


async def follow(watching: Watching) -> AsyncGenerator[JobEvent, None]:
    """The events of a watch, over as many streams as it takes."""
    while not watching.over:
        request_id, call = watching.open()
        error: grpc.RpcError | None = None
        try:
            async for message in call:
                for event in watching.add(message):
                    yield event
        except grpc.RpcError as cut:
            error = cut
        finally:
            call.cancel()
        await asyncio.sleep(watching.after(error, request_id))


class Solving(Protocol[P, R]):
    """A method that works for long: the result, or with durable=True the job that makes it."""

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]: ...
    @overload
    def __call__(
        self, *args: Any, durable: Literal[True], **kwargs: Any
    ) -> Awaitable[DurableJob[R]]: ...
    @overload
    def __call__(
        self, *args: Any, durable: bool, **kwargs: Any
    ) -> Awaitable[R | DurableJob[R]]: ...
