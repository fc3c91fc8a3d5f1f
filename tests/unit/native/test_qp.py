"""The convex QP kernel against enumeration, the optimality conditions, Clarabel and itself in other forms."""

import clarabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ketgate_native import qp
from scipy import sparse

from .qp_oracle import Array, Problem, best_by_enumeration, stationarity

SEEDS = st.integers(0, 2**32 - 1)
INSTRUCTION_SETS = ("base", "avx2", "avx512")


def run(problem: Problem, **options: object) -> qp.QPResult:
    return qp.solve(*problem.arguments, cost=problem.cost, **options)  # type: ignore[arg-type]


def random_problem(seed: int, n_max: int, m_max: int, *, costs: bool = False) -> Problem:
    """Feasible and bounded; small integers half of the time, for ties, redundancy and degenerate corners."""
    random = np.random.default_rng(seed)
    n, m = int(random.integers(1, n_max + 1)), int(random.integers(0, m_max + 1))
    whole = random.random() < 0.5

    def numbers(shape: tuple[int, ...], size: int) -> Array:
        if whole:
            return random.integers(-size, size + 1, shape).astype(np.float64)
        return random.normal(scale=size / 2, size=shape)

    B = numbers((n, int(random.integers(0, n + 1))), 2)
    Q = B @ B.T if random.random() < 0.8 else np.zeros((n, n))
    c = numbers((n,), 3) if random.random() < 0.8 else np.zeros(n)
    A = numbers((m, n), 1)
    if m > 1 and random.random() < 0.3:
        A[1] = -2 * A[0]
    x = numbers((n,), 2)
    lower, upper = x - np.abs(numbers((n,), 2)), x + np.abs(numbers((n,), 2))
    row_lower, row_upper = A @ x - np.abs(numbers((m,), 1)), A @ x + np.abs(numbers((m,), 1))
    row_lower[random.random(m) < 0.3] = -np.inf
    cost = None
    if costs:
        cost = (x + numbers((n,), 1), np.abs(numbers((n,), 1)), np.abs(numbers((n,), 1)))
    return Problem(Q, c, A, row_lower, row_upper, lower, upper, cost)


def assert_optimal(problem: Problem, result: qp.QPResult) -> None:
    assert result.status == "optimal"
    assert result.kkt_residual <= 1e-9
    x, y, z = result.x, result.dual_rows, result.dual_bounds
    assert np.all(x >= problem.lower)
    assert np.all(x <= problem.upper)
    assert problem.violation(x) <= 1e-11 * max(1.0, np.abs(x).max())
    assert stationarity(problem, x, y, z) <= 1e-9
    assert np.all(z[x < problem.upper] <= 0)
    assert np.all(z[x > problem.lower] >= 0)
    rows, away = problem.A @ x, 1e-8
    assert np.all(y[rows < problem.row_upper - away] <= 1e-9)
    assert np.all(y[rows > problem.row_lower + away] >= -1e-9)
    assert result.objective == pytest.approx(problem.objective(x), rel=1e-12, abs=1e-12)


@given(SEEDS)
def test_small_problems_reach_the_enumerated_optimum(seed: int) -> None:
    problem = random_problem(seed, 4, 2)
    result = run(problem)
    assert_optimal(problem, result)
    best = best_by_enumeration(problem)
    assert best is not None
    assert result.objective == pytest.approx(best, rel=1e-9, abs=1e-9)


@given(SEEDS)
def test_costs_reach_the_enumerated_optimum(seed: int) -> None:
    problem = random_problem(seed, 3, 1, costs=True)
    result = run(problem)
    assert_optimal(problem, result)
    best = best_by_enumeration(problem)
    assert best is not None
    assert result.objective == pytest.approx(best, rel=1e-9, abs=1e-9)


@given(SEEDS, st.booleans())
def test_larger_problems_meet_the_optimality_conditions(seed: int, costs: bool) -> None:
    problem = random_problem(seed, 30, 6, costs=costs)
    assert_optimal(problem, run(problem))


@given(SEEDS)
def test_factor_form_agrees_with_dense(seed: int) -> None:
    random = np.random.default_rng(seed)
    problem = random_problem(seed, 20, 3, costs=True)
    n = len(problem.c)
    F, G = random.normal(size=(n, 3)), np.diag([1.0, 2.0, 0.0])
    D = np.where(random.random(n) < 0.3, 0.0, random.random(n))
    problem.Q = F @ G @ F.T + np.diag(D)
    dense = run(problem)
    factor = qp.solve(qp.Factor(F, D, G), *problem.arguments[1:], cost=problem.cost)
    assert_optimal(problem, dense)
    assert_optimal(problem, factor)
    assert factor.objective == pytest.approx(dense.objective, rel=1e-9, abs=1e-10)


def clarabel_objective(problem: Problem) -> float:
    n = len(problem.c)
    bounds = np.vstack((problem.A, -problem.A, np.eye(n), -np.eye(n)))
    right = np.concatenate((problem.row_upper, -problem.row_lower, problem.upper, -problem.lower))
    kept = np.isfinite(right)
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    solver = clarabel.DefaultSolver(
        sparse.csc_matrix(np.triu(problem.Q)),
        problem.c,
        sparse.csc_matrix(bounds[kept]),
        right[kept],
        [clarabel.NonnegativeConeT(int(kept.sum()))],
        settings,
    )
    return float(solver.solve().obj_val)


@pytest.mark.parametrize("cap", [0.02, 0.1, 1.0])
@pytest.mark.parametrize("observations", [100, 600])
def test_portfolios_with_priced_names_agree_with_clarabel(cap: float, observations: int) -> None:
    """Enough names that most are only priced; fewer observations than names make the covariance singular."""
    random = np.random.default_rng(observations)
    n = 240
    returns = (
        random.normal(size=(observations, n)) * 0.1 + random.normal(size=(observations, 1)) * 0.15
    )
    groups = (np.arange(n) % 5 == np.arange(5)[:, None]).astype(np.float64)
    problem = Problem(
        5 * np.cov(returns.T),
        -random.uniform(0, 0.2, n),
        np.vstack((np.ones(n), groups)),
        np.concatenate(([1.0], np.zeros(5))),
        np.concatenate(([1.0], np.full(5, 0.3))),
        np.zeros(n),
        np.full(n, cap),
    )
    result = run(problem)
    assert_optimal(problem, result)
    assert result.objective == pytest.approx(clarabel_objective(problem), abs=1e-6)


def test_priced_names_and_the_whole_problem_agree() -> None:
    """The factor form works on all names at once, the dense form on a few: the same portfolio."""
    random = np.random.default_rng(5)
    n = 400
    F, D, mu = (
        random.normal(0, 0.1, (n, 4)),
        random.uniform(0.01, 0.1, n),
        random.uniform(0, 0.1, n),
    )
    book = np.where(random.random(n) < 0.1, 10 / n, 0.0)
    cost = (book, np.full(n, 0.01), np.full(n, 0.002))
    arguments = (-mu, np.ones((1, n)), [1.0], [1.0], -0.01, 0.05)
    whole = qp.solve(qp.Factor(F, D), *arguments, cost=cost)
    priced = qp.solve(F @ F.T + np.diag(D), *arguments, cost=cost)
    assert whole.status == priced.status == "optimal"
    np.testing.assert_allclose(priced.x, whole.x, atol=1e-10)


@pytest.mark.parametrize("isa", INSTRUCTION_SETS)
@pytest.mark.parametrize("n", [3, 60, 300])
def test_every_instruction_set_gives_the_optimum(isa: str, n: int) -> None:
    random = np.random.default_rng(n)
    B = random.normal(size=(n, 2 * n))
    problem = Problem(
        B @ B.T / n,
        random.normal(size=n),
        np.ones((1, n)),
        np.ones(1),
        np.ones(1),
        np.full(n, -0.5),
        np.full(n, 0.5),
    )
    try:
        result = run(problem, isa=isa)
    except ValueError:
        pytest.skip(f"this CPU has no {isa}")
    assert_optimal(problem, result)
    np.testing.assert_allclose(result.x, run(problem).x, atol=1e-11)


@given(SEEDS)
def test_warm_starts_change_the_path_and_not_the_optimum(seed: int) -> None:
    problem = random_problem(seed, 15, 3, costs=True)
    problem.Q = problem.Q + np.eye(len(problem.c))
    cold = run(problem)
    again = run(problem, initial=cold)
    from_point = run(
        problem, initial=np.clip(np.zeros(len(problem.c)), problem.lower, problem.upper)
    )
    for other in (again, from_point):
        assert_optimal(problem, other)
        np.testing.assert_allclose(other.x, cold.x, atol=1e-9 * max(1.0, np.abs(cold.x).max()))
    assert again.iterations <= 3


def test_a_wrong_warm_start_is_mended() -> None:
    problem = random_problem(7, 12, 2)
    problem.lower[:], problem.upper[:] = -np.inf, np.inf
    problem.Q = problem.Q + np.eye(len(problem.c))
    cold = run(problem)
    nonsense = cold._replace(
        state=np.full_like(cold.state, 77), row_state=np.full_like(cold.row_state, -9)
    )
    assert run(problem, initial=nonsense).objective == pytest.approx(cold.objective, rel=1e-10)


def test_same_request_same_bytes() -> None:
    problem = random_problem(11, 30, 5, costs=True)
    assert run(problem).x.tobytes() == run(problem).x.tobytes()


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_the_unit_of_the_objective_does_not_matter(scale: float) -> None:
    problem = random_problem(13, 20, 3)
    problem.Q = problem.Q + np.eye(len(problem.c))
    before = run(problem)
    problem.Q, problem.c = scale * problem.Q, scale * problem.c
    after = run(problem)
    assert after.status == "optimal"
    np.testing.assert_allclose(after.x, before.x, atol=1e-9)


def test_trivial_sizes() -> None:
    assert qp.solve(np.zeros((0, 0)), []).status == "optimal"
    assert qp.solve([[2.0]], [-1.0]).x == pytest.approx([0.5])
    assert qp.solve([[0.0]], [-1.0], lower=0, upper=3).x.tolist() == [3.0]
    fixed = qp.solve(np.eye(2), [1.0, 1.0], [[1.0, 1.0]], [3.0], [3.0], lower=[1, 2], upper=[1, 2])
    assert fixed.status == "optimal"
    assert fixed.x.tolist() == [1.0, 2.0]


def test_ties_are_shared_or_broken_but_solved() -> None:
    """Identical names, no return, redundant rows: every portfolio of the face is optimal."""
    n = 30
    result = qp.solve(
        np.ones((n, n)), np.zeros(n), np.ones((3, n)), np.ones(3), np.ones(3), 0.0, 0.1
    )
    assert result.status == "optimal"
    assert result.objective == pytest.approx(0.5)
    assert result.x.sum() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("seed", [0, 14, 19])
def test_many_rows_where_block_pivoting_gets_nowhere(seed: int) -> None:
    """The factor form then parks most names at their bounds, whose exposures its rows must carry."""
    random = np.random.default_rng(seed)
    n, m = 300, 20
    F, D = random.normal(0, 0.05, (n, 10)), random.uniform(0.01, 0.1, n)
    A = np.vstack((np.ones(n), random.random((m - 1, n))))
    equal = A @ np.full(n, 1 / n)
    row_lower, row_upper = np.full(m, -np.inf), equal + 0.02 * random.random(m)
    row_lower[1::3] = equal[1::3] - 0.01
    row_lower[0] = row_upper[0] = 1.0
    c = -random.uniform(0, 0.2, n)
    problem = Problem(
        F @ F.T + np.diag(D), c, A, row_lower, row_upper, np.zeros(n), np.full(n, 0.05)
    )
    dense, factor = run(problem), qp.solve(qp.Factor(F, D), *problem.arguments[1:])
    assert_optimal(problem, dense)
    assert_optimal(problem, factor)
    np.testing.assert_allclose(factor.x, dense.x, atol=1e-10)
