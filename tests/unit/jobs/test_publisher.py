"""Events published to a real NATS server: in order, all of them, and once, whatever is restarted."""

import asyncio
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ketgate.jobs.v1 import job_pb2 as pb
from ketgate.jobs.v1 import job_service_pb2, job_service_pb2_grpc
from ketgate_server.job_settings import JobSettings
from ketgate_server.jobs.lease import Lease
from ketgate_server.jobs.publisher import LEASE, LEASE_US, Publisher, Target
from pydantic import ValidationError

from tests.specs import ising

from .conftest import Bench, FakeTime

pytest.importorskip("nats", reason="nats-py is not installed: pip install 'ketgate-server[nats]'")
import nats
from nats.js.api import StreamConfig
from nats.js.errors import NotFoundError

PROGRAM = shutil.which("nats-server", path=str(Path(sys.executable).parent)) or shutil.which(
    "nats-server"
)
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="nats-server is not installed")
TIMEOUT_S = 200.0
PREFIX = "test.jobs"


PORTS = range(20_000, 32_000)
"""Below those that the system gives to clients: one that asks a server that is down for its port could
be given that very port, talk to itself, and keep the server from coming back."""


def free_port() -> int:
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError("no port is free")


async def quiet(error: Exception) -> None:
    """What goes wrong on purpose is not logged."""


class Nats:
    """A server of a test's own, with its streams in a folder."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self._folder = folder
        self.start()

    def start(self) -> None:
        command = [str(PROGRAM), "-a", "127.0.0.1", "-p", str(self.port), "-js"]
        command += ["-sd", str(self._folder), "-l", str(self._folder / "log")]
        self._process = subprocess.Popen(command)
        self.call(lambda stream: asyncio.sleep(0))

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def call(self, act: Callable[[Any], Any]) -> Any:
        """Something done with JetStream."""

        async def connected() -> Any:
            connection = await self._connect()
            try:
                return await act(connection.jetstream(timeout=TIMEOUT_S))
            finally:
                await connection.close()

        return asyncio.run(connected())

    async def _connect(self) -> Any:
        end_s = time.monotonic() + TIMEOUT_S
        while True:
            try:
                return await nats.connect(
                    self.url,
                    allow_reconnect=False,
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0.01,
                    error_cb=quiet,
                )
            except Exception:
                if time.monotonic() > end_s:
                    raise
            await asyncio.sleep(0.05)  # another process: there is nothing to wait on

    def make_stream(self) -> None:
        config = StreamConfig(name="jobs", subjects=[f"{PREFIX}.>"])
        self.call(lambda stream: stream.add_stream(config))

    def messages(self, count: int) -> list[Any]:
        """All messages of the stream, once there are so many. Raises AssertionError if there are
        fewer for long."""

        async def read(stream: Any) -> list[Any]:
            end_s, last = time.monotonic() + TIMEOUT_S, 0
            while last < count:
                assert time.monotonic() < end_s, last
                try:
                    last = (await stream.stream_info("jobs")).state.last_seq
                except NotFoundError:
                    pass
                await asyncio.sleep(0.02)  # another process: there is nothing to wait on
            return [await stream.get_msg("jobs", seq) for seq in range(1, last + 1)]

        found: list[Any] = self.call(read)
        return found


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Nats]:
    (tmp_path / "nats").mkdir()
    running = Nats(tmp_path / "nats")
    yield running
    running.kill()


Publish = Callable[..., Publisher]


@pytest.fixture
def publish(server: Nats) -> Iterator[Publish]:
    """Starts publishers, and ends them."""
    started: list[Publisher] = []

    def start(bench: Bench, holder: str = "a", stream: str | None = None) -> Publisher:
        target = Target(server.url, PREFIX, stream)
        publisher = Publisher(bench.jobs, target, holder, polls=False, backoff_s=0.01)
        publisher.start()
        started.append(publisher)
        return publisher

    yield start
    for publisher in started:
        publisher.close()


def revisions(messages: list[Any]) -> list[int]:
    found = [pb.JobEvent.FromString(message.data).revision for message in messages]
    assert found == [int(message.headers["Nats-Msg-Id"]) for message in messages]
    return found


def test_events_in_order_under_their_subjects(bench: Bench, server: Nats, publish: Publish) -> None:
    first = bench.create(labels={"desk": "fx"})
    publish(bench, stream="jobs")  # what was there before, and what comes
    second = bench.create(tenant="blue")
    messages = server.messages(2)
    assert revisions(messages) == [1, 2]
    assert [message.subject for message in messages] == [
        f"{PREFIX}.red.{first.name.removeprefix('jobs/')}",
        f"{PREFIX}.blue.{second.name.removeprefix('jobs/')}",
    ]
    event = pb.JobEvent.FromString(messages[0].data)
    assert (event.job, event.type, event.labels["desk"]) == (first.name, 1, "fx")
    assert event.HasField("time")


def test_nothing_is_missed_or_twice_when_the_server_is_killed(
    bench: Bench, server: Nats, publish: Publish
) -> None:
    server.make_stream()
    publish(bench)
    # Jobs are made all the while, but no more than can be read again on a busy machine.
    stop, room = threading.Event(), threading.Semaphore(100)

    def create() -> None:
        while room.acquire() and not stop.is_set():
            bench.create()

    creating = threading.Thread(target=create)
    creating.start()
    try:
        server.messages(20)
        for _ in range(2):
            room.release(100)
            server.kill()
            bench.create()
            server.start()
            server.messages(bench.jobs.revision())
    finally:
        stop.set()
        room.release()
        creating.join()
    newest = bench.jobs.revision()
    assert revisions(server.messages(newest)) == list(range(1, newest + 1))


def test_what_is_sent_again_is_dropped(bench: Bench, server: Nats, publish: Publish) -> None:
    server.make_stream()
    first = publish(bench)
    for _ in range(5):
        bench.create()
    server.messages(5)
    first.close()
    # As if the last position had not been written when the power failed.
    bench.store.run(
        lambda tx: tx.execute("UPDATE leases SET position = 2 WHERE name = ?", (LEASE,))
    )
    publish(bench, "b")
    bench.create()
    assert revisions(server.messages(6)) == [1, 2, 3, 4, 5, 6]


def test_messages_of_others_in_the_stream(bench: Bench, server: Nats, publish: Publish) -> None:
    server.make_stream()
    for _ in range(3):
        bench.create()
    server.call(lambda stream: stream.publish(f"{PREFIX}.other", b"", headers={"Nats-Msg-Id": "x"}))
    publish(bench)
    assert revisions(server.messages(4)[1:]) == [1, 2, 3]
    server.call(lambda stream: stream.publish(f"{PREFIX}.other", b"", headers={"Nats-Msg-Id": "y"}))
    bench.create()
    assert revisions([server.messages(6)[-1]]) == [4]


def test_it_waits_for_a_stream(
    bench: Bench, server: Nats, publish: Publish, caplog: pytest.LogCaptureFixture
) -> None:
    bench.create()
    publisher = publish(bench)
    end_s = time.monotonic() + TIMEOUT_S
    while "no stream takes test.jobs.>" not in caplog.text:
        assert time.monotonic() < end_s
        publisher._wake(0)
        time.sleep(0.01)  # what it tells, it tells to the log alone
    server.make_stream()
    assert revisions(server.messages(1)) == [1]


def test_it_ends_while_there_is_no_server(bench: Bench, server: Nats, publish: Publish) -> None:
    server.kill()
    publisher = publish(bench)
    bench.create()
    publisher.close()
    assert not publisher._thread.is_alive()


def test_a_server_publishes_what_its_jobs_do(server: Nats, start_server: Any) -> None:
    settings = [f"nats_url={server.url}", f"nats_subject_prefix={PREFIX}", "nats_stream=jobs"]
    running = start_server(*(word for one in settings for word in ("--set", f"jobs.{one}")))
    creation = job_service_pb2.CreateJobRequest(
        spec=pb.JobSpec(solve=ising([[0.0, 1.0], [0.0, 0.0]]))
    )
    with running.channel() as channel:
        stub = job_service_pb2_grpc.JobServiceStub(channel)
        job = stub.CreateJob(creation, metadata=running.metadata).job
        stub.WaitJob(job_service_pb2.WaitJobRequest(name=job.name), metadata=running.metadata)
    # Before it stops: what is left then is published when a server next runs.
    events: list[pb.JobEvent] = []
    while not (events and events[-1].state == pb.JOB_STATE_SUCCEEDED):
        found = server.messages(len(events) + 1)
        events = [pb.JobEvent.FromString(message.data) for message in found]
    assert running.stop() == 0
    assert {event.job for event in events} == {job.name}
    states = [event.state for event in events if event.type != pb.JOB_EVENT_TYPE_PROGRESS]
    assert states == [pb.JOB_STATE_QUEUED, pb.JOB_STATE_RUNNING, pb.JOB_STATE_SUCCEEDED]


@pytest.mark.parametrize(
    ("name", "value"),
    [("nats_url", "http://host:4222"), ("nats_subject_prefix", "a..b"), ("nats_stream", "a.b")],
)
def test_settings_that_are_refused(name: str, value: str) -> None:
    with pytest.raises(ValidationError, match="expected"):
        JobSettings(**{name: value})  # type: ignore[arg-type]


def test_changes_that_are_not_kept_any_more_are_told(
    bench: Bench, server: Nats, publish: Publish, caplog: pytest.LogCaptureFixture
) -> None:
    server.make_stream()
    for _ in range(4):
        bench.create()
    bench.store.run(lambda tx: tx.execute("DELETE FROM events WHERE revision <= 2"))
    bench.store.run(
        lambda tx: tx.execute("INSERT INTO counters (name, value) VALUES ('events compacted', 2)")
    )
    publish(bench)
    assert revisions(server.messages(2)) == [3, 4]
    assert "the changes 1 to 2 were never published" in caplog.text


def test_one_at_a_time_has_the_lease(timed: Bench, time: FakeTime) -> None:
    a, b = (Lease(timed.store, LEASE, name, LEASE_US) for name in "ab")
    assert a.take() == 0
    assert a.advance(7)
    assert b.take() is None
    assert not b.advance(9)
    assert a.take() == 7
    time.pass_s(LEASE_US / 1e6 * 0.75)
    assert a.take() == 7  # prolonged
    time.pass_s(LEASE_US / 1e6 * 0.75)
    assert b.take() is None
    time.pass_s(LEASE_US / 1e6)
    assert b.take() == 7
    assert not a.advance(8)
    assert b.advance(5)
    assert b.take() == 7  # never back
    b.give_up()
    assert a.take() == 7
