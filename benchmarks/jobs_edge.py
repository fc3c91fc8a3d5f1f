"""Jobs over gRPC: creations a second, and small calls beside many watchers. Used by jobs.py.

The server is a process of its own, with TLS; so are the watchers.
"""

import argparse
import asyncio
import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from edge import Server, environment, started
from jobs_measures import Row, percentiles, small_spec, times_ms
from ketgate.jobs.v1 import job_pb2
from ketgate.jobs.v1 import job_service_pb2 as pb
from ketgate.jobs.v1 import job_service_pb2_grpc as services

ROUND_S = 4.0
WINDOW = 64
"""Calls under way at once."""

WATCHERS = 1_000
STREAMS_PER_CONNECTION = 100
CHANGES_PER_S = 20
CALLS = 400
ROUND_TRIPS = 200


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    ready_file = folder / "jobs.json"
    command = [sys.executable, "-m", "ketgate_server", "--data-dir", str(folder / "served")]
    command += ["--listen", "127.0.0.1:0", "--ready-file", str(ready_file)]
    command += ["--log-level", "warning", "--set", "limits.jobs.unfinished_max=100000000"]
    with started(command, ready_file, folder / "jobs.log") as ready:
        token = Path(str(ready["token_file"])).read_text().strip()
        yield Server(
            int(str(ready["pid"])),
            str(ready["address"]),
            Path(str(ready["ca_file"])).read_bytes(),
            (("authorization", f"Bearer {token}"),),
            float(str(ready["ready_s"])),
        )


def measure(folder: Path) -> list[Row]:
    with serving(folder) as server:
        waited = round_trips(server)  # first: it has the server import its solvers
        rows = [*creations(server), *waited]
        rows += beside_watchers(folder, server)
        return rows


def creations(server: Server) -> list[Row]:
    """Unary calls, WINDOW at once over one connection; every request has an id of its own."""
    request = pb.CreateJobRequest(spec=small_spec())
    request.delay.seconds = 3600
    common = request.SerializeToString()
    numbers = itertools.count()
    slots, failures = threading.Semaphore(WINDOW), []

    def done(call: Any) -> None:
        if call.exception() is not None:
            failures.append(call.exception())
        slots.release()

    with server.channel() as channel:
        create = channel.unary_unary("/ketgate.jobs.v1.JobService/CreateJob")
        create(common, metadata=server.metadata)
        cpu_s, start_s, count = server.cpu_s(), time.perf_counter(), 0
        while time.perf_counter() - start_s < ROUND_S:
            slots.acquire()
            name = b"r%012d" % next(numbers)
            call = create.future(common + b"\x12\x0d" + name, metadata=server.metadata)
            call.add_done_callback(done)
            count += 1
        for _ in range(WINDOW):
            slots.acquire()
        seconds = time.perf_counter() - start_s
        cpu_us = (server.cpu_s() - cpu_s) / count * 1e6
    if failures:
        raise RuntimeError(f"{len(failures)} calls failed: {failures[0]}")
    return [
        Row(
            f"creations over unary gRPC with TLS, {WINDOW} at once",
            count / seconds,
            "jobs/s",
            "2,500",
        ),
        Row("server CPU of one of them", cpu_us, "us"),
    ]


def round_trips(server: Server) -> list[Row]:
    """CreateJob, then WaitJob, of a tiny solve."""
    with server.channel() as channel:
        stub = services.JobServiceStub(channel)
        creation = pb.CreateJobRequest(spec=small_spec())

        def one() -> None:
            name = stub.CreateJob(creation, metadata=server.metadata).job.name
            job = stub.WaitJob(pb.WaitJobRequest(name=name), metadata=server.metadata).job
            assert job.state == job_pb2.JOB_STATE_SUCCEEDED

        times_ms(20, one)
        return percentiles("create and wait over gRPC, a tiny solve", times_ms(ROUND_TRIPS, one))


def beside_watchers(folder: Path, server: Server) -> list[Row]:
    """GetJob every 10 ms while jobs change, first alone, then beside watchers of a job each, then
    beside watchers that all hear of every change."""
    with server.channel() as channel:
        stub = services.JobServiceStub(channel)
        creation = pb.CreateJobRequest(spec=small_spec())
        creation.delay.seconds = 3600
        names = [
            stub.CreateJob(creation, metadata=server.metadata).job.name for _ in range(WATCHERS)
        ]
        rows = percentiles("GetJob, no watchers", calls(stub, server, names, CHANGES_PER_S))
        for title, watched, rate in (
            (f"GetJob beside {WATCHERS:,} watchers of one job each", names, CHANGES_PER_S),
            (f"GetJob beside {WATCHERS:,} watchers of every job", [""] * WATCHERS, 1),
        ):
            before_mb = server.rss_mb()
            with watching(folder, server, watched):
                taken = calls(stub, server, names, rate)
                grown_kb = (server.rss_mb() - before_mb) * 1024 / WATCHERS
            rows += percentiles(f"{title}, {rate} changes/s", taken, goal_p99="20")
            rows.append(Row("server memory a watcher", grown_kb, "KB"))
        return rows


def calls(stub: Any, server: Server, names: list[str], changes_per_s: float) -> list[float]:
    """Milliseconds of small calls, while jobs are created and cancelled."""
    stop = threading.Event()
    creation = pb.CreateJobRequest(spec=small_spec())
    creation.delay.seconds = 3600

    def change() -> None:
        while not stop.wait(2 / changes_per_s):
            name = stub.CreateJob(creation, metadata=server.metadata).job.name
            stub.CancelJob(pb.CancelJobRequest(name=name), metadata=server.metadata)

    changing = threading.Thread(target=change)
    changing.start()
    numbers = itertools.cycle(names)

    def one() -> None:
        stub.GetJob(pb.GetJobRequest(name=next(numbers)), metadata=server.metadata)

    try:
        return times_ms(CALLS, one, pause_s=0.01)
    finally:
        stop.set()
        changing.join()


@contextmanager
def watching(folder: Path, server: Server, names: list[str]) -> Iterator[None]:
    """A process with a watcher for each name ("": all jobs), from when all of them are answered."""
    (folder / "ca.pem").write_bytes(server.ca)
    (folder / "names").write_text("\n".join(names))
    command = [sys.executable, __file__, server.address, str(folder), server.metadata[0][1]]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment(), text=True)
    assert process.stdout is not None
    try:
        if process.stdout.readline() != "ready\n":
            raise RuntimeError("the watchers did not start")
        yield
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


async def watch_all(address: str, folder: Path, authorization: str) -> None:
    names = (folder / "names").read_text().split("\n")
    credentials = grpc.ssl_channel_credentials((folder / "ca.pem").read_bytes())
    left = asyncio.Semaphore(0)

    async def watch(stub: Any, name: str) -> None:
        request = pb.WatchJobsRequest(names=[name] if name else [], states_only=True)
        request.heartbeat.seconds = 60
        stream = stub.WatchJobs(request, metadata=(("authorization", authorization),))
        first = True
        async for _ in stream:
            if first:
                left.release()
            first = False

    tasks = []
    for start in range(0, len(names), STREAMS_PER_CONNECTION):
        options = [("grpc.use_local_subchannel_pool", 1)]
        stub = services.JobServiceStub(grpc.aio.secure_channel(address, credentials, options))
        for name in names[start : start + STREAMS_PER_CONNECTION]:
            tasks.append(asyncio.create_task(watch(stub, name)))
    for _ in names:
        await left.acquire()
    print("ready", flush=True)
    await asyncio.gather(*tasks)


def main() -> None:
    parser = argparse.ArgumentParser(description="The process of the watchers.")
    parser.add_argument("address")
    parser.add_argument("folder", type=Path)
    parser.add_argument("authorization")
    arguments = parser.parse_args()
    asyncio.run(watch_all(arguments.address, arguments.folder, arguments.authorization))


if __name__ == "__main__":
    main()
