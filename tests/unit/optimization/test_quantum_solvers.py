"""QAOA, VQE and Grover adaptive search as solvers of a race: on the same instances as brute force."""

import threading
import time
from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest
from ketgate_server.errors import FieldError, KetgateError, Reason
from ketgate_server.limits import LIMITS
from ketgate_server.optimization import registry
from ketgate_server.optimization.base import SolveOptions, Status, StopReason
from ketgate_server.optimization.engine import Caller, Engine
from ketgate_server.optimization.ising import IsingProblem
from ketgate_server.optimization.portfolio import supports
from ketgate_server.optimization.portfolio.covariance import Dense
from ketgate_server.optimization.portfolio.model import Constraints, PortfolioProblem, Utility
from ketgate_server.type.quadratic import Alphabet, QuadraticFunction
from ketgate_server.type.sparse import Sparse


def draw(n: int, seed: int, alphabet: Alphabet = Alphabet.SPIN) -> IsingProblem:
    rng = np.random.default_rng(seed)
    row, column = np.triu_indices(n, 1)
    weights = rng.integers(-3, 4, len(row)).astype(float)
    return IsingProblem(
        QuadraticFunction(
            alphabet, rng.integers(-2, 3, n).astype(float), Sparse(row, column, weights), 1.0
        )
    )


def least(problem: IsingProblem) -> float:
    values = (-1, 1) if problem.function.alphabet is Alphabet.SPIN else (0, 1)
    dtype = problem.function.dtype
    return min(
        problem.function(np.array(x, dtype=dtype)) for x in product(values, repeat=problem.size)
    )


def solve(
    problem: IsingProblem | PortfolioProblem, name: str, caller: Caller | None = None, **parameters
):
    options = SolveOptions(solvers=[(name, parameters)], seed=5, time_limit_s=20.0, pool_size=4)
    caller = caller or Caller(0.0, float("inf"), lambda: False, lambda _: None)
    return Engine(LIMITS, 1).solve(problem, options, replace(caller, arrival_s=time.monotonic()))


@pytest.mark.parametrize("alphabet", list(Alphabet))
@pytest.mark.parametrize("name", ["qaoa", "vqe", "grover"])
def test_small_problems_are_solved_and_evidence_is_given(name: str, alphabet: Alphabet) -> None:
    problem = draw(4, 3, alphabet)
    result = solve(problem, name)
    assert result.status is Status.FEASIBLE
    assert result.objective == pytest.approx(least(problem))
    (run,) = result.runs
    found = run.quantum
    assert run.failure == ""
    assert found.evidence.description.name == "native"
    assert found.baseline.value == pytest.approx(least(problem))
    assert found.baseline.proven
    assert found.runner.used.circuits > 0
    if name != "grover":
        assert found.layers > 0
        assert found.expectation >= least(problem) - 1e-9
    if name == "qaoa":
        assert 0.5 < found.approximation_ratio <= 1.0
        assert found.ground_state_probability > 0.0


def test_the_same_seed_gives_the_same_solutions() -> None:
    problem = draw(5, 1)
    results = [solve(problem, "qaoa", layers=2) for _ in range(2)]
    for one, other in zip(results[0].solutions, results[1].solutions, strict=True):
        np.testing.assert_array_equal(one.values, other.values)
        assert one.occurrences == other.occurrences


def test_shots_take_another_way_to_the_angles() -> None:
    problem = draw(4, 3)
    found = solve(problem, "qaoa", shots=500, evaluations=40, layers=1).runs[0].quantum
    assert found.evidence.options.shots == 500
    assert found.method == "circuits"


def test_evaluations_are_the_work() -> None:
    problem = draw(4, 3)
    run = solve(problem, "qaoa", evaluations=8).runs[0]
    assert 0 < run.work <= 12
    assert run.work_unit == "evaluations"


def test_what_is_too_large_is_refused_with_what_would_do() -> None:
    with pytest.raises(KetgateError, match="at most 30 variables, not 31") as caught:
        solve(draw(31, 1), "qaoa")
    assert caught.value.reason is Reason.SOLVER_UNSUITABLE


def test_a_back_end_that_is_not_there_is_told() -> None:
    with pytest.raises(
        KetgateError, match="qaoa: expected a back end of this server, given nowhere"
    ):
        solve(draw(3, 1), "qaoa", backend="nowhere")


def test_parameters_are_checked() -> None:
    with pytest.raises(FieldError, match="a value from 1 to 1000"):
        solve(draw(3, 1), "qaoa", layers=0)


def test_quantum_solvers_are_never_chosen_by_default() -> None:
    for n in (3, 30):
        names = registry.default_names(draw(n, 1), SolveOptions())
        assert not {"qaoa", "vqe", "grover"} & set(names)


def test_a_cancel_ends_it() -> None:
    problem = draw(18, 1)
    gone = threading.Event()
    callbacks = []

    def on_cancel(callback) -> None:
        callbacks.append(callback)

    def leave() -> None:
        gone.set()
        for callback in callbacks:
            callback()

    timer = threading.Timer(0.3, leave)
    timer.start()
    caller = Caller(0.0, float("inf"), gone.is_set, on_cancel)
    result = solve(problem, "vqe", caller, layers=8, evaluations=100_000)
    timer.join()
    assert result.stop_reason is StopReason.CANCELLED


def portfolio(n: int, count: int, seed: int, **kept) -> PortfolioProblem:
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(n, 3))
    return PortfolioProblem(
        Dense(factors @ factors.T + np.diag(rng.uniform(0.1, 1.0, n))),
        Utility(2.0),
        Constraints.of(n, names_max=count, position_min=0.05, **kept),
        expected_returns=rng.uniform(0.0, 1.0, n),
    )


def test_the_surrogate_is_the_equal_weight_portfolio() -> None:
    problem = portfolio(6, 3, 1)
    function = supports.surrogate(problem)
    for chosen in combinations(range(6), 3):
        x = np.zeros(6, dtype=np.uint8)
        x[list(chosen)] = 1
        assert function(x) == pytest.approx(-problem.objective_of(x / 3.0))


def test_the_penalty_makes_other_numbers_of_names_worse() -> None:
    function = supports.surrogate(portfolio(5, 2, 3))
    whole = supports.penalised(function, 2)
    values = {x: whole(np.array(x, dtype=np.uint8)) for x in product((0, 1), repeat=5)}
    right = [value for x, value in values.items() if sum(x) == 2]
    assert max(right) < min(value for x, value in values.items() if sum(x) != 2)
    for x, value in values.items():
        if sum(x) == 2:
            assert value == pytest.approx(function(np.array(x, dtype=np.uint8)))


@pytest.mark.parametrize("name", ["qaoa", "vqe", "grover"])
def test_small_portfolios_keep_their_constraints(name: str) -> None:
    problem = portfolio(6, 3, 4)
    result = solve(problem, name)
    proven = solve(problem, "branch-and-bound")
    assert result.status is Status.FEASIBLE
    assert result.objective <= proven.objective + 1e-9
    if name == "qaoa":  # the others end with one choice, good for the surrogate
        assert result.objective == pytest.approx(proven.objective, rel=1e-6)
    weights = result.solutions[0].values
    assert int((weights > 0).sum()) <= 3
    assert weights.sum() == pytest.approx(1.0)
    found = result.runs[0].quantum
    assert "surrogate" in found.encoding
    if name == "qaoa":
        assert found.method == "subspace"


@pytest.mark.parametrize(
    ("kept", "why"),
    [
        ({"lot_weights": np.full(6, 0.1)}, "no round lots"),
        ({"lower": np.full(6, -0.1)}, "long positions only"),
        ({"lower": np.array([0.1, 0, 0, 0, 0, 0])}, "must be held"),
    ],
)
def test_other_portfolios_are_refused_with_the_reason(kept: dict, why: str) -> None:
    with pytest.raises(KetgateError, match=why):
        solve(portfolio(6, 3, 1, **kept), "qaoa")
