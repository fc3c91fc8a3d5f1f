"""Durable jobs: creations a second, time from creation to end, watchers, pages out of many, memory.

    python benchmarks/jobs.py [--jobs 1000000] [--callers 64] [--rounds 3] [--json FILE]

On SQLite in a temporary folder, every commit synced to disk; each caller waits until its own job is
durable, and every creation leaves its event and its entry in the audit. Beside it, in turns in the
same run, what would be used instead: Celery over Redis (every write synced), and procrastinate, a
queue in PostgreSQL. Goals: 20,000 creations a second in process by 64 callers, 2,500 over unary gRPC
on two cores; 5 ms from creation to end of a job that does nothing (median); 20 ms for a page out of
1,000,000 jobs; calls in 20 ms (99th percentile) beside 1,000 watchers; memory that does not grow
with the jobs.
"""

import argparse
import itertools
import json
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jobs_edge
import jobs_peers
from jobs_measures import Row, percentiles, resident_mb, small_spec, times_ms, together
from ketgate.optimization.v1 import result_pb2
from ketgate_server import durable
from ketgate_server.config import load
from ketgate_server.jobs.base import Actor, NewJob, RequestKey
from ketgate_server.jobs.ids import job_id_of, new_id
from ketgate_server.jobs.listing import ListQuery
from ketgate_server.jobs.policy import Policy
from ketgate_server.jobs.store import JobStore
from ketgate_server.store.database import open_store

ROUND_S = 2.0
LATENCIES = 400
PAGES = 200
PAGE_SIZE = 50
HOUR_US = 3_600_000_000
DESKS = ("fx", "rates", "equity", "credit")
ACTOR = Actor("default", "desk-1", "/ketgate.jobs.v1.JobService/CreateJob", "call")
PLENTY = Policy(unfinished_max=1 << 40)
MEMORY_STEP = 10
"""Memory is compared between a tenth of the jobs and all of them."""


class Creations:
    """Callers that create jobs in a store, which are not to run yet."""

    def __init__(self, folder: Path) -> None:
        self.store = open_store(folder)
        self.jobs = JobStore(self.store, PLENTY)
        self._spec = small_spec().SerializeToString(deterministic=True)
        self._numbers = itertools.count()

    def create(self, caller: int = 0) -> None:
        self.jobs.create(self._new())

    def per_second_begun(self, callers: int, seconds: float) -> float:
        """Creations a second of callers that hold no thread while they wait, as calls over gRPC do not:
        each begins its next one when it is told of the one before."""
        made, ended = itertools.count(), threading.Semaphore(0)
        end_s = time.perf_counter() + seconds

        def begin() -> None:
            if time.perf_counter() < end_s:
                self.jobs.begin_create(self._new(), go_on)
            else:
                ended.release()

        def go_on(outcome: Callable[[], object]) -> None:
            outcome()
            next(made)
            begin()

        start_s = time.perf_counter()
        for _ in range(callers):
            begin()
        for _ in range(callers):
            ended.acquire()
        return next(made) / (time.perf_counter() - start_s)

    def _new(self) -> NewJob:
        number = next(self._numbers)
        return NewJob(
            ACTOR,
            RequestKey(f"request-{number}", bytes(32)),
            new_id(self.store.now_us()),
            "solve",
            self._spec,
            bytes(32),
            labels={"desk": DESKS[number % len(DESKS)]},
            delay_us=HOUR_US,
        )

    def close(self) -> None:
        self.store.close()


class Noop:
    """A kind of job that does nothing."""

    name, role, entry, isolated = "solve", "optimization.user", "", False

    def check(self, spec: Any) -> None: ...

    def digest(self, spec: Any) -> bytes:
        return bytes(32)

    def artifacts(self, spec: Any) -> list[str]:
        return []

    def run(self, spec: Any, context: Any) -> result_pb2.SolveResult:
        return result_pb2.SolveResult(solver="none")


def creating(folder: Path, callers: int, rounds: int, peers: list[jobs_peers.Peer]) -> list[Row]:
    """Creations a second, ours and theirs in turn; medians."""
    ours = Creations(folder / "creating")
    rates: dict[str, list[float]] = {"ours": [], "begun": [], **{peer.name: [] for peer in peers}}
    for _ in range(rounds):
        rates["ours"].append(together(callers, ROUND_S, ours.create))
        rates["begun"].append(ours.per_second_begun(callers, ROUND_S))
        for peer in peers:
            rates[peer.name].append(together(callers, ROUND_S, peer.create))
    ours.close()
    rate = statistics.median(rates["ours"])
    rows = [
        Row(
            f"durable creations in process, {callers} callers without a thread each",
            statistics.median(rates["begun"]),
            "jobs/s",
            "20,000",
        ),
        Row(f"the same, {callers} threads", rate, "jobs/s", "20,000"),
    ]
    for peer in peers:
        theirs = statistics.median(rates[peer.name])
        rows.append(Row(f"the same, {callers} threads: {peer.name}", theirs, "jobs/s"))
        rows.append(Row(f"ratio to {peer.name}", rate / theirs, "times"))
    return rows


def to_the_end(folder: Path, peers: list[jobs_peers.Peer]) -> list[Row]:
    """From the call that creates a job that does nothing, until its end is durable."""
    (folder / "engine").mkdir()
    settings, _ = load({"data_dir": str(folder / "engine"), "insecure": True})
    running = durable.start(settings, [Noop()])
    jobs, hub = running.jobs.store, running.jobs.hub
    spec = small_spec().SerializeToString(deterministic=True)

    def one() -> None:
        key = RequestKey("", bytes(32))
        new = NewJob(ACTOR, key, new_id(jobs.now_us()), "solve", spec, bytes(32))
        name = jobs.create(new).name
        waiter = hub.waiter(ACTOR.tenant, name)
        while jobs.find(ACTOR.tenant, [job_id_of(name) or ""])[0].state < 5:  # not over
            waiter.wait(1.0)
        waiter.close()

    times_ms(50, one)
    rows = percentiles("from creation to end, no-op, in process", times_ms(LATENCIES, one), "5")
    running.begin_drain(1.0)
    running.close()
    for peer in peers:
        with peer.worker():
            times_ms(20, peer.round_trip)
            rows += percentiles(f"the same: {peer.name}", times_ms(LATENCIES, peer.round_trip))
    return rows


def many(folder: Path, count: int, callers: int) -> list[Row]:
    """Memory while so many jobs are created, and pages out of them."""
    filling = Creations(folder / "many")
    numbers = itertools.count()
    memory: dict[int, float] = {}
    for size in (count // MEMORY_STEP, count):
        _fill(filling, callers, numbers, size)
        memory[size] = resident_mb()
    small, large = memory.values()
    rows = [
        Row(f"memory after {count // MEMORY_STEP:,} jobs", small, "MB"),
        Row(f"memory after {count:,} jobs", large, "MB", "flat"),
    ]
    rows += pages(filling.jobs, count)
    filling.close()
    used = sum(file.stat().st_size for file in (folder / "many").iterdir())
    return [*rows, Row("on disk, a job with its event and audit entry", used / count, "bytes")]


def _fill(filling: Creations, callers: int, numbers: "itertools.count[int]", size: int) -> None:
    """Create jobs until there are so many, or one more for each caller."""

    def work() -> None:
        while next(numbers) < size:
            filling.create()

    threads = [threading.Thread(target=work) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def pages(jobs: JobStore, count: int) -> list[Row]:
    """Pages of several sorts, the first and those far behind."""
    generator = random.Random(1)
    rows = []
    for name, given in (
        ("all", ListQuery(PAGE_SIZE)),
        ("one state", ListQuery(PAGE_SIZE, filter="state = QUEUED")),
        ("one label of four", ListQuery(PAGE_SIZE, filter='labels.desk = "fx"')),
        ("two terms", ListQuery(PAGE_SIZE, filter='labels.desk = "fx" AND state != SUCCEEDED')),
    ):
        tokens = [""]
        for _ in range(20):
            token = jobs.list("default", ListQuery(1_000, tokens[-1], given.filter)).next_page_token
            tokens.append(token or tokens[-1])

        def one(given: ListQuery = given, tokens: list[str] = tokens) -> None:
            page = jobs.list(
                "default", ListQuery(PAGE_SIZE, generator.choice(tokens), given.filter)
            )
            assert len(page.jobs) == PAGE_SIZE, len(page.jobs)

        title = f"a page of {PAGE_SIZE} out of {count:,}: {name}"
        rows += percentiles(title, times_ms(PAGES, one), goal_p99="20")
    return rows


def measure(arguments: argparse.Namespace) -> list[Row]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ketgate-bench-")))
        peers = jobs_peers.start(stack, arguments.callers)
        rows = creating(folder, arguments.callers, arguments.rounds, peers)
        rows += to_the_end(folder, peers)
        rows += jobs_edge.measure(folder)
        rows += many(folder, arguments.jobs, arguments.callers)
        return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--callers", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = measure(arguments)
    print("| what | measured | unit | goal |\n|---|---|---|---|")
    for row in rows:
        figure = f"{row.measured:,.0f}" if row.measured >= 100 else f"{row.measured:.2f}"
        print(f"| {row.name} | {figure} | {row.unit} | {row.goal} |")
    for line in jobs_peers.missing():
        print(f"\nNot measured: {line}")
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))


if __name__ == "__main__":
    main()
