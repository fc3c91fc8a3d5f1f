"""The asynchronous client as a user writes it, against a real server over TLS."""

import asyncio
from pathlib import Path
from typing import Any

import ketgate
import numpy as np
import pytest
from ketgate.demo import sp500_prices

PRICES = sp500_prices().tail(500)


def glass(spins: int) -> np.ndarray:
    return np.triu(np.random.default_rng(1).normal(size=(spins, spins)), 1)


def test_everything_at_once(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))  # of the audit log's pins

    async def run() -> None:
        async with ketgate.aio.connect(ready_file=server.ready_file) as client:
            info, solvers, portfolio, frontier, qubo, linear = await asyncio.gather(
                client.info(),
                client.solvers("ising"),
                client.optimize.portfolio(PRICES, k=3, min_position=0.05),
                client.optimize.frontier(PRICES, points=5),
                client.optimize.qubo([[-1.0, 2.0], [0.0, -1.0]]),
                client.optimize.linear([1.0], bounds=(2, 3)),
            )
            assert info.version == ketgate.__version__
            assert {"annealing", "tabu"} <= {solver.name for solver in solvers}
            assert portfolio.proven
            assert len(portfolio.held) <= 3
            assert frontier.frontier.shape[0] == 5
            assert qubo.objective == -1
            assert linear.objective == 2
            spec = ketgate.specs.qubo([[-1.0]])
            assert (await client.optimize.estimate(spec)).num_variables == 1
            assert (await client.optimize.solve_once(spec)).objective == -1
            assert (await client.optimize.solve(spec)).objective == -1
            assert (await client.audit.head()).size > 0
            assert "aio" in repr(client)

    asyncio.run(run())


def test_errors_are_the_same_exceptions(server: Any) -> None:
    async def run() -> None:
        async with ketgate.aio.connect(ready_file=server.ready_file) as client:
            with pytest.raises(ketgate.InvalidArgument) as caught:
                await client.optimize.qubo([[1.0]], solver="astrology")
            assert caught.value.field == "spec.solvers[0].name"
            result = await client.optimize.portfolio(PRICES, k=2, bounds=(0, 0.3))
            assert result.status is ketgate.Status.INFEASIBLE

    asyncio.run(run())


def test_cancelled_task_ends_the_solve_and_the_client_lives_on(server: Any) -> None:
    async def run() -> None:
        async with ketgate.aio.connect(ready_file=server.ready_file) as client:
            started = asyncio.Event()
            task = asyncio.create_task(
                client.optimize.ising(
                    None, glass(300), time_limit=100, progress=lambda _: started.set()
                )
            )
            await asyncio.wait_for(started.wait(), 60)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            ended = await client.optimize.ising(
                None, glass(300), time_limit=100, progress=lambda _: False
            )
            assert ended.stop_reason is ketgate.StopReason.CANCELLED
            assert ended.solved

    asyncio.run(run())


def test_stream(server: Any) -> None:
    async def run() -> None:
        async with ketgate.aio.connect(ready_file=server.ready_file) as client:
            spec = ketgate.specs.ising(None, glass(200), time_limit=0.5)
            events = [event async for event in client.optimize.stream(spec)]
            assert isinstance(events[-1], ketgate.IsingResult)
            objectives = [
                e.objective
                for e in events[:-1]
                if isinstance(e, ketgate.ProgressEvent) and e.improved
            ]
            assert objectives == sorted(objectives, reverse=True)
            assert events[-1].objective <= objectives[-1] + 1e-9

    asyncio.run(run())
