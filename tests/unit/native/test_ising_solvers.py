"""Every Ising solver: optimum, seed, threads, instruction set, warm start, pool."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ketgate_native.ising import Ising, Samples, anneal, parallel_tempering, search, tabu

from .ising_oracle import random_model

Solver = Callable[..., Samples]
SOLVERS: dict[str, tuple[Solver, dict[str, Any]]] = {
    "anneal": (anneal, {"sweeps": 40, "replicas": 70}),
    "parallel_tempering": (parallel_tempering, {"sweeps": 60, "ladders": 3}),
    "tabu": (tabu, {"iterations": 3000, "restarts": 3}),
    "search": (search, {"work": 3_000_000}),
}
solvers = pytest.mark.parametrize("name", SOLVERS)
structures = pytest.mark.parametrize(
    ("n", "density", "kind"),
    [
        (90, 0.04, "int8"),
        (90, 0.04, "int16"),
        (90, 0.04, "float32"),
        (70, 0.6, "int8"),
        (70, 0.6, "float32"),
    ],
)


def solve(name: str, problem: Ising, **options: Any) -> Samples:
    solver, work = SOLVERS[name]
    return solver(problem, **{**work, **options})


def assert_same(one: Samples, other: Samples) -> None:
    assert one.spins.tobytes() == other.spins.tobytes()
    assert one.energies.tobytes() == other.energies.tobytes()
    assert one.occurrences.tobytes() == other.occurrences.tobytes()


@solvers
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 12),
    kind=st.sampled_from(["int8", "int16", "float32"]),
    field=st.booleans(),
)
@settings(max_examples=25)
def test_small_problems_are_solved_to_the_optimum(
    name: str, seed: int, n: int, kind: str, field: bool
) -> None:
    model = random_model(seed, n, 0.5, kind, field)
    found = solve(name, model.problem, seed=seed)
    assert found.energies[0] == pytest.approx(model.optimum(), rel=1e-12, abs=1e-12)
    assert found.energies.tobytes() == model.problem.energies(found.spins).tobytes()


@solvers
@structures
def test_the_seed_decides_and_threads_do_not(name: str, n: int, density: float, kind: str) -> None:
    problem = random_model(5, n, density, kind).problem
    first = solve(name, problem, seed=11, pool=6)
    for threads in (1, 2, 3):
        assert_same(first, solve(name, problem, seed=11, pool=6, threads=threads))
    assert len({solve(name, problem, seed=s, pool=20).spins.tobytes() for s in range(4)}) > 1


@solvers
@structures
def test_every_instruction_set_gives_the_same_bytes(
    name: str, n: int, density: float, kind: str
) -> None:
    problem = random_model(6, n, density, kind).problem
    base = solve(name, problem, seed=2, pool=4, isa="base")
    assert base.stats["isa"] == "base"
    for isa in ("avx2", "avx512"):
        try:
            other = solve(name, problem, seed=2, pool=4, isa=isa)
        except ValueError:
            continue  # this CPU lacks it
        assert other.stats["isa"] == isa
        assert_same(base, other)


@solvers
def test_the_pool_is_distinct_sorted_and_true(name: str) -> None:
    model = random_model(8, 30, 0.4, "int8")
    found = solve(name, model.problem, seed=1, pool=10)
    assert 1 <= len(found.energies) <= 10
    assert len({row.tobytes() for row in found.spins}) == len(found.spins)
    assert (np.diff(found.energies) >= 0).all()
    assert (found.occurrences >= 1).all()
    assert (np.abs(found.spins) == 1).all()
    assert found.energies == pytest.approx(model.energies(found.spins))


@solvers
@structures
def test_a_warm_start_is_never_lost(name: str, n: int, density: float, kind: str) -> None:
    problem = random_model(9, n, density, kind).problem
    good = search(problem, work=20_000_000, seed=3)
    again = solve(name, problem, seed=4, initial=good.spins)
    assert again.energies[0] <= good.energies[0]
    least = (
        {"work": 0} if name == "search" else {"iterations": 0} if name == "tabu" else {"sweeps": 0}
    )
    assert solve(name, problem, initial=good.spins[0], **least).energies[0] <= good.energies[0]


@pytest.mark.parametrize("kind", ["int8", "int16"])
@pytest.mark.parametrize(("n", "density"), [(60, 0.05), (60, 0.5)])
@pytest.mark.parametrize("sweeps", [0, 1, 3])
def test_frozen_annealing_is_the_textbook_sweep(
    kind: str, n: int, density: float, sweeps: int
) -> None:
    model = random_model(12, n, density, kind)
    start = np.random.default_rng(sweeps).choice(np.array([-1, 1], dtype=np.int8), n)
    expected = model.frozen_sweeps(start, sweeps)
    found = anneal(
        model.problem,
        sweeps=sweeps,
        replicas=1,
        initial=start,
        beta_start=1e15,
        beta_end=1e15,
        pool=2,
    )
    assert expected.tobytes() in {row.tobytes() for row in found.spins}


@structures
def test_more_work_is_never_worse_in_search(n: int, density: float, kind: str) -> None:
    problem = random_model(13, n, density, kind).problem
    energies = [
        search(problem, work=w, seed=5).energies[0] for w in (0, 9, 10**4, 10**5, 10**6, 4 * 10**6)
    ]
    assert energies == sorted(energies, reverse=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threads": 0}, "threads: expected an integer from 1 to 64"),
        ({"pool": 0}, "pool: expected an integer from 1"),
        ({"seed": -1}, "seed: expected an integer from 0"),
        ({"isa": "mmx"}, "isa: expected 'base', 'avx2' or 'avx512'"),
        ({"initial": [[1, 0]]}, "initial: expected values -1 and 1"),
        ({"initial": [1, 1, 1]}, r"initial: expected shape \(k, 2\)"),
    ],
)
@solvers
def test_what_makes_no_run_is_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        solve(name, Ising([0.0, 1.0], [0], [1], [1.0]), **options)


def test_limits_of_each_solver_are_checked() -> None:
    problem = Ising([0.0, 1.0], [0], [1], [1.0])
    for refused in (
        lambda: anneal(problem, sweeps=-1),
        lambda: anneal(problem, sweeps=1, replicas=0),
        lambda: anneal(problem, sweeps=1, beta_start=-1.0),
        lambda: anneal(problem, sweeps=1, beta_end=float("nan")),
        lambda: tabu(problem, iterations=1, tenure=0),
        lambda: search(problem),
    ):
        with pytest.raises(ValueError, match="expected"):
            refused()
