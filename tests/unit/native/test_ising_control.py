"""Stops, incumbents and memory of the Ising solvers."""

import gc
import threading
from typing import Any

import numpy as np
import psutil
import pytest
from ketgate_native.ising import Ising, Samples, anneal, parallel_tempering, search, tabu
from ketgate_native.monitor import Monitor

from .ising_oracle import random_model

ENDLESS: dict[str, tuple[Any, dict[str, Any]]] = {
    "anneal": (anneal, {"sweeps": 200, "replicas": 2**20}),
    "parallel_tempering": (parallel_tempering, {"sweeps": 2**60}),
    "tabu": (tabu, {"iterations": 2**60}),
    "search": (search, {}),
}
solvers = pytest.mark.parametrize("name", ENDLESS)
densities = pytest.mark.parametrize("density", [0.02, 0.5])


def run(name: str, problem: Ising, monitor: Monitor, **options: Any) -> Samples:
    solver, work = ENDLESS[name]
    return solver(problem, monitor=monitor, **work, **options)


@solvers
@densities
def test_cancelled_before_the_start_it_still_answers(name: str, density: float) -> None:
    problem = random_model(1, 300, density, "float32").problem
    monitor = Monitor(300)
    monitor.cancel()
    found = run(name, problem, monitor)
    assert found.spins.shape == (1, 300)
    assert found.energies.tobytes() == problem.energies(found.spins).tobytes()
    assert found.stats["completed"] is False
    assert monitor.stop_reason == "cancelled"


@solvers
@densities
@pytest.mark.parametrize("kind", ["int8", "float32"])
def test_a_time_limit_ends_it_with_true_energies(name: str, density: float, kind: str) -> None:
    problem = random_model(2, 300, density, kind).problem
    monitor = Monitor(300, time_limit_s=0.03)
    found = run(name, problem, monitor, pool=5, threads=2)
    assert monitor.stop_reason == "time"
    assert found.energies.tobytes() == problem.energies(found.spins).tobytes()


@solvers
def test_cancel_from_another_thread_returns_the_best_so_far(name: str) -> None:
    problem = random_model(3, 200, 0.1, "int8").problem
    monitor = Monitor(200)
    results: list[Samples] = []
    worker = threading.Thread(target=lambda: results.append(run(name, problem, monitor, threads=2)))
    worker.start()
    first = monitor.take(30.0)
    assert first is not None
    monitor.cancel()
    worker.join(30.0)
    assert results[0].energies[0] == monitor.best <= first.objective


@solvers
def test_incumbents_fall_and_are_what_they_say(name: str) -> None:
    problem = random_model(4, 150, 0.1, "int16").problem
    monitor = Monitor(150, time_limit_s=0.05)
    found = run(name, problem, monitor)
    monitor.finish()
    last = float("inf")
    with pytest.raises(StopIteration):  # noqa: PT012  finished: everything was read
        while (incumbent := monitor.take()) is not None:
            spins = np.frombuffer(incumbent.solution, dtype=np.int8)
            assert problem.energies(spins)[0] == incumbent.objective < last
            last = incumbent.objective
    assert last == found.energies[0]


@solvers
def test_a_target_ends_it(name: str) -> None:
    problem = random_model(5, 12, 0.6, "int8").problem
    optimum = search(problem, work=10**6).energies[0]
    monitor = Monitor(12, target=optimum)
    assert run(name, problem, monitor, seed=9).energies[0] == optimum
    assert monitor.stop_reason == "target"


def test_a_monitor_for_other_solutions_is_refused() -> None:
    with pytest.raises(ValueError, match="monitor: expected one for solutions of 2 bytes"):
        search(Ising([0.0, 0.0], [0], [1], [1.0]), work=1, monitor=Monitor(3))


@pytest.mark.parametrize("density", [0.1, 0.6])
def test_a_thousand_runs_leave_memory_as_it_was(density: float) -> None:
    model = random_model(6, 60, density, "float32")
    row, col = np.nonzero(np.triu(model.coupling))

    def once(seed: int) -> None:
        problem = Ising(model.linear, row, col, model.coupling[row, col])
        monitor = Monitor(60)
        search(problem, work=20_000, seed=seed, pool=3, initial=np.ones(60), monitor=monitor)
        parallel_tempering(problem, sweeps=2, seed=seed)
        tabu(problem, iterations=50, seed=seed)

    for seed in range(100):
        once(seed)
    gc.collect()
    before = psutil.Process().memory_info().rss
    for seed in range(1000):
        once(seed)
    gc.collect()
    assert psutil.Process().memory_info().rss - before < 4 * 2**20


def test_a_search_cut_short_at_once_has_a_greedy_answer() -> None:
    """A million spins under 2 s once gave the all-up state: the first stage had not come to its end."""
    n = 3000
    chain = Ising(np.zeros(n), np.arange(n - 1), np.arange(1, n), np.ones(n - 1))
    assert search(chain, work=0).energies[0] == 1.0 - n
    assert search(chain, work=0, initial=np.ones(n)).energies[0] == n - 1.0
