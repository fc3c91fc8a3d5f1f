"""Every solver of Ising energies and QUBOs: right, repeatable, and no worse for more work."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ketgate.optimization.v1 import optimization_service_pb2 as pb
from ketgate.optimization.v1 import result_pb2
from ketgate_server.errors import FieldError
from ketgate_server.limits import LIMITS
from ketgate_server.optimization.engine import Engine
from ketgate_server.optimization.service import OptimizationServicer

from ...specs import LocalCall, assignments, energies, ising, qubo, random_couplings, tensor

Solve = Callable[[pb.SolveSpec], result_pb2.SolveResult]
SEARCHES = {"annealing": 400, "parallel-tempering": 400, "tabu": 4000, "local-search": 400_000}
EXACT = ["exhaustive", "elimination", "highs"]
SERVICER = OptimizationServicer(LIMITS, Engine(LIMITS, 2))


def solve_now(spec: pb.SolveSpec) -> result_pb2.SolveResult:
    return SERVICER.solve(LocalCall(), pb.SolveRequest(spec=spec)).result


def named(spec: pb.SolveSpec, *names: str) -> pb.SolveSpec:
    for name in names:
        spec.solvers.add(name=name)
    return spec


def values_of(solution: result_pb2.Solution) -> np.ndarray:
    return np.frombuffer(solution.values.data, dtype=np.int8)


@pytest.mark.parametrize("name", [*SEARCHES, *EXACT])
@settings(max_examples=12)
@given(seed=st.integers(0, 10**6), spins=st.booleans())
def test_it_finds_the_optimum_of_small_problems(name: str, seed: int, spins: bool) -> None:
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, 10))
    matrix = np.triu(rng.normal(size=(size, size)) * (rng.random((size, size)) < 0.6), int(spins))
    field = rng.normal(size=size)
    spec = named(ising(matrix, field) if spins else qubo(matrix, field), name)
    spec.seed, spec.work_limit = 7, SEARCHES.get(name, 0)
    result = solve_now(spec)
    points = assignments(size, (-1, 1) if spins else (0, 1))
    best = float(energies(points, matrix, field).min())
    assert result.objective == pytest.approx(best, abs=1e-9)
    assert result.solver == name
    assert result.status == (
        result_pb2.SOLVE_STATUS_OPTIMAL if name in EXACT else result_pb2.SOLVE_STATUS_FEASIBLE
    )
    if name in EXACT:
        assert result.bound <= best + 1e-9
    found = values_of(result.solutions[0]).astype(float)[None, :]
    assert energies(found, matrix, field)[0] == pytest.approx(result.objective, abs=1e-12)


@pytest.mark.parametrize("name", SEARCHES)
def test_a_seed_and_a_limit_of_work_fix_every_byte_on_any_threads(name: str) -> None:
    answers = []
    for threads in (1, 2, 2):
        spec = named(ising(random_couplings(60, 0.2, 5)), name)
        spec.seed, spec.work_limit, spec.threads, spec.pool_size = 11, SEARCHES[name], threads, 5
        result = solve_now(spec)
        assert result.stop_reason == result_pb2.STOP_REASON_WORK_LIMIT
        answers.append([s.SerializeToString(deterministic=True) for s in result.solutions])
    assert answers[0] == answers[1] == answers[2]


def test_a_race_with_a_limit_of_work_is_fixed_as_well() -> None:
    answers = []
    for threads in (1, 2):
        spec = named(ising(random_couplings(40, 0.3, 2)), "tabu", "annealing", "local-search")
        spec.seed, spec.work_limit, spec.threads, spec.pool_size = 3, 500, threads, 8
        result = solve_now(spec)
        assert len(result.runs) == 3
        answers.append([s.SerializeToString(deterministic=True) for s in result.solutions])
    assert answers[0] == answers[1]


@pytest.mark.parametrize("name", SEARCHES)
def test_more_work_is_never_worse(name: str) -> None:
    objectives = []
    for share in (0.01, 0.05, 0.2, 0.5, 1.0):
        spec = named(ising(random_couplings(80, 0.15, 9)), name)
        spec.seed, spec.work_limit = 4, max(1, int(share * SEARCHES[name]))
        objectives.append(solve_now(spec).objective)
    assert objectives == sorted(objectives, reverse=True)


@pytest.mark.parametrize("name", [*SEARCHES, "exhaustive"])
def test_the_target_ends_the_run(name: str) -> None:
    spec = named(ising(random_couplings(18, 0.5, 1)), name)
    spec.target_objective = -5.0
    result = solve_now(spec)
    assert result.objective <= -5.0
    assert result.stop_reason == result_pb2.STOP_REASON_TARGET


def test_the_pool_is_distinct_sorted_and_complete_where_all_is_seen(solve: Solve) -> None:
    matrix = random_couplings(8, 0.7, 3)
    spec = named(ising(matrix), "exhaustive")
    spec.pool_size = 40
    result = solve(spec)
    every = np.sort(energies(assignments(8, (-1, 1)), matrix))[:40]
    assert [s.objective for s in result.solutions] == every.tolist()
    assert len({s.values.data for s in result.solutions}) == 40


@pytest.mark.parametrize("name", SEARCHES)
def test_the_pool_of_a_search_holds_distinct_solutions_best_first(name: str) -> None:
    matrix = random_couplings(12, 0.5, 8)
    spec = named(ising(matrix), name)
    spec.seed, spec.work_limit, spec.pool_size = 2, SEARCHES[name], 6
    solutions = solve_now(spec).solutions
    assert 1 <= len(solutions) <= 6
    assert len({s.values.data for s in solutions}) == len(solutions)
    objectives = [s.objective for s in solutions]
    assert objectives == sorted(objectives)
    for solution in solutions:
        point = values_of(solution).astype(float)[None, :]
        assert energies(point, matrix)[0] == solution.objective
        assert solution.occurrences >= 1


@pytest.mark.parametrize("name", SEARCHES)
def test_an_initial_solution_is_never_lost(name: str) -> None:
    matrix = random_couplings(50, 0.3, 6)
    first = named(ising(matrix), "local-search")
    first.seed, first.work_limit = 1, 2_000_000
    good = solve_now(first)
    spec = named(ising(matrix), name)
    spec.work_limit, spec.seed = 1, 0
    spec.initial.CopyFrom(good.solutions[0].values)
    assert solve_now(spec).objective <= good.objective


def test_a_qubo_is_its_ising(solve: Solve) -> None:
    matrix = np.triu(np.random.default_rng(2).integers(-4, 5, (10, 10))).astype(float)
    binary_result = solve(qubo(matrix))
    x = assignments(10, (0, 1))
    assert binary_result.objective == energies(x, matrix).min()
    assert set(binary_result.solutions[0].values.data) <= {0, 1}


def test_either_triangle_is_the_same_problem(solve: Solve) -> None:
    matrix = random_couplings(9, 0.6, 4)
    assert solve(ising(matrix)).objective == solve(ising(matrix.T)).objective


def test_tiny_and_narrow_problems_end_by_themselves(solve: Solve) -> None:
    chain = np.diag(np.ones(299), 1)
    empty = np.zeros((100, 100))
    for matrix, best in ((np.zeros((1, 1)), 0.0), (chain, -299.0), (empty, 0.0)):
        result = solve(ising(matrix))
        assert result.status == result_pb2.SOLVE_STATUS_OPTIMAL
        assert result.objective == best
        assert result.gap == 0.0


def test_huge_weights_overflow_nothing(solve: Solve) -> None:
    matrix = np.triu(np.full((4, 4), 1e299), 1)
    result = solve(named(ising(matrix), "exhaustive", "annealing", "tabu"))
    assert np.isfinite(result.objective)
    assert result.status == result_pb2.SOLVE_STATUS_OPTIMAL


@pytest.mark.parametrize("name", SEARCHES)
def test_a_parameter_of_each_kind_is_used(name: str) -> None:
    spec = named(ising(random_couplings(30, 0.2, 0)), name)
    spec.seed = 1
    if name == "local-search":
        spec.work_limit = 1000
    else:
        spec.solvers[0].parameters["runs"].integer = 2
        key = "iterations" if name == "tabu" else "sweeps"
        spec.solvers[0].parameters[key].integer = 16
    result = solve_now(spec)
    if name != "local-search":
        assert result.runs[0].work == 33  # one, and twice sixteen
        assert result.stop_reason == result_pb2.STOP_REASON_COMPLETED


def test_initial_spins_travel_as_any_number_type(solve: Solve) -> None:
    spec = named(ising(np.zeros((2, 2))), "exhaustive")
    spec.initial.CopyFrom(tensor([1.0, -1.0]))
    assert solve(spec).objective == 0.0


def test_a_temperature_that_the_coefficients_do_not_admit_is_named(solve: Solve) -> None:
    spec = named(ising(np.triu(np.full((4, 4), 1e200), 1)), "annealing")
    spec.solvers[0].parameters["beta_start"].number = 1e12
    with pytest.raises(FieldError, match="beta_start"):
        solve(spec)
