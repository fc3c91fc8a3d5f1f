"""Publishes the events of jobs to a stream of NATS JetStream, in the order of their revisions.

At least once: how far the stream is, is the position of a lease that one server at a time holds, and
it is written after the stream has acknowledged. The message id is the revision, so what is sent
again within the stream's duplicate window is dropped there. Each message names the one before it:
the stream refuses what would come after a gap.
"""

import asyncio
import logging
import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ketgate_server.errors import KetgateError, Reason
from ketgate_server.jobs.base import Event
from ketgate_server.jobs.lease import Lease
from ketgate_server.jobs.store import JobStore
from ketgate_server.store.base import StoreUnavailable

LEASE = "publish.nats"
LEASE_US = 10_000_000
BATCH_EVENTS = 128
"""Under way to the stream at once."""

CONNECT_TIMEOUT_S = 5.0
ACK_TIMEOUT_S = 5.0
IDLE_S = 2.0
"""How often the lease is prolonged, and asked for, while nothing happens. Below the lease's length."""

BACKOFF_S = 0.25
BACKOFF_S_MAX = 30.0
CLOSE_TIMEOUT_S = 10.0

_WRONG_LAST_ID = 10070
"""The stream's code for a message that does not follow the one it names."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Target:
    """Where events go."""

    url: str
    """nats://[USER:PASSWORD@]HOST:PORT, or tls://; several with commas between."""
    subject_prefix: str
    """A message's subject is PREFIX.TENANT.JOB."""
    stream: str | None = None
    """To be made, when none takes the subjects; None: it has to be there."""


class StreamMissing(Exception):  # noqa: N818 - a state of the NATS server
    """No stream takes the subjects."""


class Publisher:
    """start(), then close(). Everything runs in one thread with an asyncio loop."""

    def __init__(
        self,
        jobs: JobStore,
        target: Target,
        holder: str,
        *,
        polls: bool,
        backoff_s: float = BACKOFF_S,
    ) -> None:
        """holder: name of this process among those of the store. polls: whether other servers change
        jobs too, which no callback tells."""
        self._jobs = jobs
        self._target = target
        self._polls = polls
        self._backoff_s = backoff_s
        self._lease = Lease(jobs.store, LEASE, holder, LEASE_US)
        self._loop = asyncio.new_event_loop()
        self._changed = asyncio.Event()
        self._ending = False
        self._last_fault = ""
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        jobs.on_change(self._wake)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """End after the batch that is under way; what is left is published when a server next
        runs."""
        self._ending = True
        self._wake(0)
        self._thread.join(CLOSE_TIMEOUT_S)

    def _wake(self, _revision: int) -> None:
        try:
            self._loop.call_soon_threadsafe(self._changed.set)
        except RuntimeError:  # it has ended
            pass

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._until_closed())
        finally:
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    async def _until_closed(self) -> None:
        failures = 0
        while not self._ending:
            try:
                await self._connected()
            except Exception as error:  # whatever it is: it may be over later
                self._tell(error)
            else:
                failures = -1
            failures += 1
            wait_s = min(self._backoff_s * 2.0 ** min(failures, 10), BACKOFF_S_MAX)
            await self._sleep(wait_s * random.uniform(0.5, 1.0))  # noqa: S311 - not a secret
        try:
            await asyncio.to_thread(self._lease.give_up)
        except StoreUnavailable:
            pass  # it runs out

    async def _connected(self) -> None:
        """Publish until the connection breaks or this is closed. Raises what is wrong."""
        import nats  # an extra

        lost = asyncio.Event()

        async def on_lost() -> None:
            lost.set()
            self._changed.set()

        async def on_error(error: Exception) -> None:
            self._tell(error)

        connection = await nats.connect(
            self._target.url.split(","),
            name="ketgate publisher",
            allow_reconnect=False,  # it would hold messages back in memory, and mix their order
            max_reconnect_attempts=1,  # 0 would be for ever
            reconnect_time_wait=self._backoff_s,
            connect_timeout=CONNECT_TIMEOUT_S,
            closed_cb=on_lost,
            disconnected_cb=on_lost,
            error_cb=on_error,
        )
        try:
            stream = connection.jetstream(timeout=ACK_TIMEOUT_S)
            await self._find_stream(stream)
            while not self._ending and not lost.is_set():
                self._changed.clear()
                if not await self._publish_some(stream):
                    await self._sleep(IDLE_S)
        finally:
            await connection.close()

    async def _find_stream(self, stream: Any) -> None:
        from nats.js.errors import NotFoundError

        subjects = f"{self._target.subject_prefix}.>"
        try:
            await stream.find_stream_name_by_subject(subjects)
        except NotFoundError:
            if self._target.stream is None:
                raise StreamMissing(
                    f"no stream takes {subjects}; make one, or let the server make it with the "
                    "setting jobs.nats_stream"
                ) from None
            await stream.add_stream(name=self._target.stream, subjects=[subjects])
            _log.info("made the stream %s for %s", self._target.stream, subjects)

    async def _publish_some(self, stream: Any) -> bool:
        """Publish what there is, up to a batch. Whether there may be more."""
        position = await asyncio.to_thread(self._lease.take)
        if position is None:  # another server publishes
            return False
        events = await asyncio.to_thread(self._read, position + 1)
        if not events:
            return False
        reached, fault = await self._send(stream, events)
        if reached is not None:
            await asyncio.to_thread(self._lease.advance, reached)
            self._last_fault = ""
        if fault is not None:
            raise fault
        return True

    def _read(self, start: int) -> list[tuple[int, str, Event]]:
        try:
            return self._jobs.events(None, start, BATCH_EVENTS)
        except KetgateError as error:
            if error.reason is not Reason.REVISION_COMPACTED:
                raise
            oldest = int(error.metadata["oldest_revision"])
            _log.error(
                "the changes %d to %d were never published, and are not kept any more",
                start,
                oldest - 1,
            )
            return self._jobs.events(None, oldest, BATCH_EVENTS)

    async def _send(
        self, stream: Any, events: Sequence[tuple[int, str, Event]]
    ) -> tuple[int | None, Exception | None]:
        """The last revision of those that are in the stream without a gap, and what went wrong."""
        sent = []
        before = ""
        for revision, tenant, event in events:
            headers = {"Nats-Msg-Id": str(revision), "Ketgate-Message": event.DESCRIPTOR.full_name}
            if before:
                headers["Nats-Expected-Last-Msg-Id"] = before
            before = str(revision)
            subject = f"{self._target.subject_prefix}.{tenant}.{event.job.removeprefix('jobs/')}"
            acknowledgement = await stream.publish_async(
                subject, event.SerializeToString(), headers=headers
            )
            sent.append((revision, acknowledgement))
        reached: int | None = None
        fault: Exception | None = None
        for revision, acknowledgement in sent:
            try:
                await asyncio.wait_for(acknowledgement, ACK_TIMEOUT_S if fault is None else 0.0)
            except Exception as error:
                fault = fault or error
            else:
                if fault is None:
                    reached = revision
        follows = getattr(fault, "err_code", None) == _WRONG_LAST_ID
        if (
            follows and reached is not None
        ):  # somebody else's message came between: go on from there
            fault = None
        return reached, fault

    async def _sleep(self, seconds: float) -> None:
        """Until something changed, or so long."""
        if self._polls:
            seconds = min(seconds, IDLE_S / 4)
        try:
            await asyncio.wait_for(self._changed.wait(), seconds)
        except TimeoutError:
            pass

    def _tell(self, error: Exception) -> None:
        fault = f"{type(error).__name__}: {error}"
        if fault != self._last_fault and not self._ending:
            known = isinstance(error, (StoreUnavailable, StreamMissing, OSError, TimeoutError))
            known = known or type(error).__module__.startswith("nats")
            _log.warning(
                "events wait to be published: %s", fault, exc_info=None if known else error
            )
        self._last_fault = fault


__all__ = ["Publisher", "StreamMissing", "Target"]
