"""Durable jobs as a user of the Python client writes them, against real servers, also killed ones."""

import asyncio
import itertools
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import ketgate
import numpy as np
import pandas as pd
import pytest
from ketgate.demo import sp500_prices

PRICES = sp500_prices().tail(500)
SUITE = {"suite": "sdk"}
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def client(server: Any) -> Iterator[ketgate.Client]:
    with ketgate.connect(ready_file=server.ready_file) as made:
        yield made
        for job in made.jobs.list('labels.suite = "sdk"', limit=None):
            job.cancel()
            job.wait(PATIENCE_S)
            job.delete()


def glass(spins: int) -> np.ndarray:
    return np.triu(np.random.default_rng(1).normal(size=(spins, spins)), 1)


def until_running(job: ketgate.DurableJob[Any]) -> None:
    """Returns when it has told of a solution."""
    if job.progress() is None:
        next(job.updates())


@pytest.mark.parametrize(
    "solve",
    [
        lambda o, **k: o.portfolio(PRICES, k=3, min_position=0.05, **k),
        lambda o, **k: o.frontier(PRICES, points=5, **k),
        lambda o, **k: o.qubo({("a", "a"): -1, ("b", "b"): -1, ("a", "b"): 3}, **k),
        lambda o, **k: o.ising(None, {(i, (i + 1) % 6): 1.0 for i in range(6)}, **k),
        lambda o, **k: o.binary(np.diag([-3.0, -2.0, -1.0]), [[1, 1, 1]], upper=2, **k),
        lambda o, **k: o.linear(pd.Series([3.0, 2.0], index=["x", "y"]), [[1, 1]], upper=3.5, maximize=True, **k),
    ],
)  # fmt: skip
def test_a_job_gives_what_the_direct_call_gives(client: ketgate.Client, solve: Any) -> None:
    direct = solve(client.optimize, seed=1)
    job = solve(client.optimize, seed=1, durable=True, labels=SUITE)
    assert isinstance(job, ketgate.DurableJob)
    durable = job.result(PATIENCE_S)
    assert job.state is ketgate.JobState.SUCCEEDED
    assert type(durable) is type(direct)
    assert durable.status is direct.status
    assert durable.objective == pytest.approx(direct.objective, rel=1e-12)
    assert type(durable.values) is type(direct.values)
    assert np.array_equal(durable.array, direct.array)
    assert durable.spec_digest == direct.spec_digest == job.spec_digest
    assert list(durable.by_name) == list(direct.by_name)


def test_another_process_gets_the_result(server: Any, client: ketgate.Client) -> None:
    job = client.optimize.portfolio(PRICES, k=3, min_position=0.05, durable=True, labels=SUITE)
    code = (
        "import ketgate, sys\n"
        "job = ketgate.connect(ready_file=sys.argv[1]).jobs.get(sys.argv[2])\n"
        "result = job.result(200)\n"
        "print(type(result).__name__, result.objective, sorted(result.held))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(server.ready_file), job.name],
        capture_output=True, text=True, timeout=PATIENCE_S, check=True,
    )  # fmt: skip
    mine = job.result(PATIENCE_S)
    assert ran.stdout.strip() == f"PortfolioResult {mine.objective} {sorted(mine.held)}"


def test_a_cancelled_job_has_its_best_so_far(client: ketgate.Client) -> None:
    job = client.optimize.ising(None, glass(300), time_limit=100, durable=True, labels=SUITE)
    until_running(job)
    with pytest.raises(ketgate.FailedPrecondition, match="over") as unfinished:
        job.delete()
    assert unfinished.value.reason == "JOB_UNFINISHED"
    with pytest.raises(ketgate.DeadlineExceeded, match="not over yet"):
        job.result(timeout=0.01)
    job.cancel("enough")
    result = job.result(PATIENCE_S)
    assert result.solved
    assert result.stop_reason is ketgate.StopReason.CANCELLED
    assert job.state is ketgate.JobState.CANCELLED
    assert "enough" in str(job.error)
    assert client.jobs.cancel(job.name).state is ketgate.JobState.CANCELLED
    job.delete()
    with pytest.raises(ketgate.NotFound):
        job.refresh()


def test_what_waits_is_cancelled_and_expires_without_a_result(client: ketgate.Client) -> None:
    options: dict[str, Any] = {"durable": True, "labels": SUITE}
    waiting = client.optimize.qubo([[-1.0]], delay=3600, **options)
    with pytest.raises(ketgate.Cancelled) as cancelled:
        waiting.cancel().result(PATIENCE_S)
    assert cancelled.value.reason == "JOB_CANCELLED"
    late = client.optimize.qubo([[-1.0]], deadline=1e-6, **options)
    with pytest.raises(ketgate.DeadlineExceeded) as expired:
        late.result(PATIENCE_S)
    assert expired.value.reason == "JOB_EXPIRED"
    assert late.state is ketgate.JobState.EXPIRED


def test_a_deadline_keeps_the_best_so_far(client: ketgate.Client) -> None:
    job = client.optimize.ising(
        None, glass(300), time_limit=100, durable=True, deadline=1.0, labels=SUITE
    )
    result = job.result(PATIENCE_S)
    assert result.solved
    assert result.stop_reason is ketgate.StopReason.DEADLINE


def test_errors_are_those_of_the_direct_call(client: ketgate.Client) -> None:
    for durable in (False, True):
        with pytest.raises(ketgate.InvalidArgument) as caught:
            client.optimize.qubo([[1.0]], solver="astrology", durable=durable)
        assert str(caught.value.field).endswith("solvers[0].name")
    with pytest.raises(ketgate.InvalidArgument, match="labels"):
        client.optimize.qubo([[1.0]], durable=True, labels={"Desk!": "x"})
    infeasible = client.optimize.portfolio(
        PRICES, k=2, bounds=(0, 0.3), durable=True, labels=SUITE
    ).result(PATIENCE_S)
    assert infeasible.status is ketgate.Status.INFEASIBLE
    assert infeasible.conflict


def test_the_same_request_id_is_the_same_job(client: ketgate.Client) -> None:
    options: dict[str, Any] = {"durable": True, "labels": SUITE, "request_id": "sdk-once"}
    first = client.optimize.qubo([[-1.0]], **options)
    assert client.optimize.qubo([[-1.0]], **options).name == first.name
    with pytest.raises(ketgate.AlreadyExists) as reused:
        client.optimize.qubo([[-2.0]], **options)
    assert reused.value.reason == "REQUEST_ID_REUSED"
    assert first.name in reused.value.message


def test_jobs_are_listed_and_watched(client: ketgate.Client) -> None:
    listed = client.jobs.list('labels.step = "watch"')
    assert (list(listed), listed.complete) == ([], True)
    watch = client.jobs.watch(listed.revision + 1, states_only=True)
    labels = SUITE | {"step": "watch"}
    jobs = [
        client.optimize.qubo([[-1.0]], durable=True, labels=labels, priority=i) for i in range(3)
    ]
    names = {job.name for job in jobs}
    seen: list[ketgate.JobEvent] = []
    for event in watch:
        seen += [event] if event.job in names else []
        if sum(event.last for event in seen) == 3:
            break
    assert [e.revision for e in seen] == sorted({e.revision for e in seen})
    for job in jobs:
        assert [e.state.value for e in seen if e.job == job.name] == [
            "queued",
            "running",
            "succeeded",
        ]
    assert all(event.labels == labels for event in seen)
    found = client.jobs.list('labels.step = "watch" AND state = SUCCEEDED', order_by="create_time")
    assert [job.name for job in found] == [job.name for job in jobs]
    assert [job.priority for job in found] == [0, 1, 2]
    assert next(e.type.value for e in jobs[0].events(seen[0].revision)) == "created"
    assert len(client.jobs.list('labels.step = "watch"', limit=2)) == 2
    with pytest.raises(ketgate.InvalidArgument, match="filter"):
        client.jobs.list("sate = RUNNING")


def test_progress_is_told_and_may_end_the_job(client: ketgate.Client) -> None:
    seen: list[ketgate.ProgressEvent] = []

    def once(event: ketgate.ProgressEvent) -> bool:
        seen.append(event)
        return event.objective is None

    job = client.optimize.ising(
        None, glass(300), time_limit=100, durable=True, labels=SUITE, progress=once
    )
    result = job.result(PATIENCE_S)
    assert result.stop_reason is ketgate.StopReason.CANCELLED
    assert seen[-1].improved
    assert result.trace[: len(seen)] == seen


def test_the_asynchronous_client_does_the_same(server: Any, client: ketgate.Client) -> None:
    async def run() -> None:
        async with ketgate.aio.connect(ready_file=server.ready_file) as aio:
            quick, slow = await asyncio.gather(
                aio.optimize.portfolio(PRICES, k=3, durable=True, labels=SUITE),
                aio.optimize.ising(None, glass(300), time_limit=100, durable=True, labels=SUITE),
            )
            assert (await quick.result(PATIENCE_S)).proven
            async for update in slow.updates():
                if update.improved:
                    break
            assert (await slow.progress()) is not None
            await slow.cancel("enough")
            assert (await slow.wait(PATIENCE_S)) is ketgate.JobState.CANCELLED
            result = await slow.result()
            assert result.stop_reason is ketgate.StopReason.CANCELLED
            again = await aio.jobs.get(slow.name)
            assert (await again.result()).objective == result.objective
            assert slow.name in {job.name for job in await aio.jobs.list('labels.suite = "sdk"')}
            spec = ketgate.specs.qubo([[-1.0]])
            third = await aio.optimize.solve(spec, durable=True, labels=SUITE)
            events = [event async for event in third.events(third.revision)]
            assert [event.state.value for event in events][-1] == "succeeded"
            watched = []
            async for event in aio.jobs.watch(third.revision, names=[third.name]):
                watched.append(event.revision)
                if event.last:
                    break
            assert watched == [event.revision for event in events]
            with pytest.raises(ketgate.NotFound):
                await aio.jobs.wait("jobs/00000000000000000000000000", 1)
            await third.delete()
            with pytest.raises(ketgate.NotFound):
                await third.refresh()

    asyncio.run(run())


def test_a_watch_and_a_wait_outlive_a_killed_server(start_server: Any) -> None:
    first = start_server()
    with ketgate.connect(ready_file=first.ready_file) as client:
        seen: list[ketgate.JobEvent] = []
        running, told = threading.Event(), threading.Event()

        def watch() -> None:
            for event in client.jobs.watch(1):
                seen.append(event)
                if event.progress is not None:
                    running.set()
                if event.last:
                    told.set()
                    return

        watcher = threading.Thread(target=watch)
        watcher.start()
        job = client.optimize.ising(None, glass(300), time_limit=2, seed=1, durable=True)
        assert running.wait(PATIENCE_S)
        first.process.kill()
        first.process.wait(PATIENCE_S)
        start_server("--listen", first.address, data_dir=first.data_dir)
        result = job.result(PATIENCE_S)
        assert told.wait(PATIENCE_S)
        watcher.join()
        assert result.solved
        assert [attempt.outcome for attempt in job.attempts] == ["worker_lost", "succeeded"]
        assert [event.revision for event in seen] == list(range(1, len(seen) + 1))
        states = [key for key, _ in itertools.groupby(event.state.value for event in seen)]
        assert states == ["queued", "running", "queued", "running", "succeeded"]
