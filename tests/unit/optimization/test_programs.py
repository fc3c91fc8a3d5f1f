"""Binary quadratic, linear and mixed-integer programs against oracles, and conflicts against their
definition."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ketgate.optimization.v1 import optimization_service_pb2 as pb
from ketgate.optimization.v1 import result_pb2
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.limits import LIMITS
from ketgate_server.optimization.base import Sense
from ketgate_server.optimization.engine import Engine
from ketgate_server.optimization.linear import LinearProblem
from ketgate_server.optimization.rows import Rows
from ketgate_server.optimization.service import OptimizationServicer
from ketgate_server.optimization.solvers import highs
from ketgate_server.optimization.solvers.highs_model import entries_left_out, row_scales
from ketgate_server.type.sparse import Sparse
from scipy.optimize import LinearConstraint, linprog, milp

from ...specs import LocalCall, assignments, binary, energies, linear

Solve = Callable[[pb.SolveSpec], result_pb2.SolveResult]
SERVICER = OptimizationServicer(LIMITS, Engine(LIMITS, 2))
OPTIMAL, FEASIBLE = result_pb2.SOLVE_STATUS_OPTIMAL, result_pb2.SOLVE_STATUS_FEASIBLE
INFEASIBLE, UNBOUNDED = result_pb2.SOLVE_STATUS_INFEASIBLE, result_pb2.SOLVE_STATUS_UNBOUNDED


def solve_now(spec: pb.SolveSpec) -> result_pb2.SolveResult:
    return SERVICER.solve(LocalCall(), pb.SolveRequest(spec=spec)).result


@pytest.mark.parametrize("name", ["", "exhaustive", "highs", "binary-search"])
@settings(max_examples=12)
@given(seed=st.integers(0, 10**6))
def test_a_binary_program_is_solved_under_its_rows(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    size, count = int(rng.integers(2, 9)), int(rng.integers(1, 4))
    matrix = np.triu(rng.integers(-4, 5, (size, size))).astype(float)
    rows = rng.integers(-2, 3, (count, size)).astype(float)
    middle = rows @ rng.integers(0, 2, size)  # so that something holds
    lower, upper = middle - rng.integers(0, 2, count), middle + rng.integers(0, 2, count)
    spec = binary(matrix, rows, lower, upper)
    if name:
        spec.solvers.add(name=name)
    if name == "binary-search":
        spec.work_limit = 20_000
    result = solve_now(spec)
    x = assignments(size, (0, 1))
    holds = ((x @ rows.T >= lower) & (x @ rows.T <= upper)).all(axis=1)
    assert result.objective == energies(x, matrix)[holds].min()
    assert result.status == (FEASIBLE if name == "binary-search" else OPTIMAL)
    assert result.solutions[0].violation_max == 0.0


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), whole=st.booleans())
def test_a_linear_program_agrees_with_scipy(seed: int, whole: bool) -> None:
    rng = np.random.default_rng(seed)
    n, m = int(rng.integers(1, 7)), int(rng.integers(1, 6))
    cost = rng.integers(-5, 6, n).astype(float)
    rows = rng.integers(-3, 6, (m, n)).astype(float)
    upper = rng.integers(0, 20, m) + 0.5
    lower = np.where(rng.random(m) < 0.5, -math.inf, -3.0)
    flags = (rng.random(n) < 0.5).astype(int) if whole else np.zeros(n, dtype=int)
    spec = linear(cost, rows, lower, upper, x_upper=[7.25], integrality=flags)
    result = solve_now(spec)
    oracle = milp(
        cost,
        integrality=flags,
        bounds=(0, 7.25),
        constraints=LinearConstraint(rows, lower, upper),
        options={"mip_rel_gap": 1e-10},
    )
    if oracle.status == 2:
        assert result.status == INFEASIBLE
        return
    assert result.status == OPTIMAL
    assert result.objective == pytest.approx(oracle.fun, rel=1e-7, abs=1e-7)
    x = np.frombuffer(result.solutions[0].values.data)
    assert (x[flags == 1] == np.rint(x[flags == 1])).all()
    assert result.solutions[0].violation_max <= 1e-9
    assert (
        max((rows @ x - upper).max(), (lower - rows @ x).max(), (x - 7.25).max(), (-x).max())
        <= 1e-9
    )


def test_a_maximum_has_an_upper_bound(solve: Solve) -> None:
    spec = linear([3, 2], [[1, 1], [1, 3]], [-math.inf] * 2, [4, 6], maximize=True)
    spec.linear.offset = 10.0
    result = solve(spec)
    assert result.sense == 2
    assert result.objective == pytest.approx(22.0)
    assert result.bound >= result.objective - 1e-9


def test_without_rows_the_bounds_decide(solve: Solve) -> None:
    result = solve(linear([1, -1], [], [], [], x_lower=[-2.0], x_upper=[5.0]))
    assert result.objective == -7.0


@pytest.mark.parametrize("flags", [[0, 0], [1, 0]])
def test_unbounded_is_a_result(solve: Solve, flags: list[int]) -> None:
    result = solve(linear([-1, -1], [[1, -1]], [-math.inf], [1], integrality=flags))
    assert result.status == UNBOUNDED
    assert not result.solutions
    assert not result.HasField("objective")


def infeasible_programs() -> list[pb.SolveSpec]:
    rng = np.random.default_rng(5)
    rows = np.vstack([rng.integers(1, 4, (6, 5)), np.ones((1, 5)), -np.ones((1, 5))]).astype(float)
    lower = np.array([-math.inf] * 6 + [3.0, -2.0])
    upper = np.array([50.0] * 6 + [math.inf, math.inf])
    return [
        linear(np.zeros(5), rows, lower, upper),
        linear([1.0], [[1.0]], [5.0], [math.inf], x_upper=[3.0]),
        linear([1.0, 1.0], [[2, 2], [1, 0]], [1, 0], [1, 9], integrality=[1, 1], x_upper=[5.0]),
    ]


@pytest.mark.parametrize("case", range(3))
def test_a_conflict_is_irreducible(case: int) -> None:
    spec = infeasible_programs()[case]
    result = solve_now(spec)
    assert result.status == INFEASIBLE
    fields = [conflict.field for conflict in result.conflict]
    assert fields
    for left_out in fields:
        assert not infeasible_with(spec, [field for field in fields if field != left_out]), left_out
    assert infeasible_with(spec, fields)


def infeasible_with(spec: pb.SolveSpec, fields: list[str]) -> bool:
    """Whether the constraints with these paths alone have no solution, by SciPy."""
    program = spec.linear
    n = len(program.objective.data) // 8
    matrix = np.zeros((len(program.rows.lower.data) // 8, n))
    row, column = (
        np.frombuffer(t.data, np.int32)
        for t in (program.rows.matrix.row, program.rows.matrix.column)
    )
    matrix[row, column] = np.frombuffer(program.rows.matrix.value.data)
    lower, upper = np.frombuffer(program.rows.lower.data), np.frombuffer(program.rows.upper.data)
    kept = [int(f.split("[")[1][:-1]) for f in fields if f.startswith("linear.rows")]
    flags = (
        np.frombuffer(program.integrality.data, np.uint8)
        if program.integrality.data
        else np.zeros(n)
    )
    x_lower, x_upper = np.full(n, -math.inf), np.full(n, math.inf)
    given_upper = np.frombuffer(program.upper.data) if program.upper.data else np.array([math.inf])
    for k in range(n):
        if flags.any() or f"linear.lower[{k}]" in fields:
            x_lower[k] = 0.0
        if flags.any() or f"linear.upper[{k}]" in fields:
            x_upper[k] = given_upper[k if len(given_upper) > 1 else 0]
    constraints = LinearConstraint(matrix[kept], lower[kept], upper[kept]) if kept else None
    found = milp(np.zeros(n), integrality=flags, bounds=(x_lower, x_upper), constraints=constraints)
    return bool(found.status == 2)


def test_rows_of_binaries_in_conflict_are_named(solve: Solve) -> None:
    spec = binary(
        np.eye(4),
        [[1, 1, 1, 1], [1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1]],
        [0, 0, 2, 2],
        [3, 1, 2, 2],
    )
    spec.binary_quadratic.rows.names.extend(["at most three", "free", "first pair", "second pair"])
    result = solve(spec)
    assert result.status == INFEASIBLE
    assert {c.name for c in result.conflict} == {"at most three", "first pair", "second pair"}
    assert result.conflict[0].field == "binary_quadratic.rows[0]"
    assert (
        "at most 3" in result.conflict[0].description
        or "between 0 and 3" in result.conflict[0].description
    )


def test_an_integer_without_room_is_its_own_conflict(solve: Solve) -> None:
    result = solve(linear([1.0], [], [], [], x_lower=[0.25], x_upper=[0.75], integrality=[1]))
    assert result.status == INFEASIBLE
    assert [c.field for c in result.conflict] == ["linear.lower[0]", "linear.upper[0]"]


def test_large_linear_programs_have_small_conflicts(solve: Solve) -> None:
    rng = np.random.default_rng(1)
    rows = np.vstack([rng.random((60, 40)), np.eye(40)[:1], -np.eye(40)[:1]])
    lower = np.concatenate([np.full(60, -math.inf), [2.0, -1.0]])
    result = solve(linear(np.ones(40), rows, lower, np.full(62, 1e3)))
    assert result.status == INFEASIBLE
    assert {c.field for c in result.conflict} == {"linear.rows[60]", "linear.rows[61]"}


def test_a_limit_of_nodes_is_kept_and_more_is_never_worse() -> None:
    rng = np.random.default_rng(4)
    rows = rng.integers(1, 30, (8, 30)).astype(float)
    objectives = []
    for nodes in (1, 10, 200):
        spec = linear(
            -rng.integers(1, 2, 30) - rows[0],
            rows,
            [-math.inf] * 8,
            rows.sum(axis=1) * 0.4,
            x_upper=[1.0],
            integrality=np.ones(30),
        )
        spec.seed, spec.work_limit = 1, nodes
        objectives.append(solve_now(spec).objective)
    assert objectives == sorted(objectives, reverse=True)


def test_the_oracle_itself_agrees_with_the_simplex() -> None:
    rows, upper = np.array([[1.0, 2.0], [3.0, 1.0]]), np.array([4.0, 6.0])
    found = linprog([-1, -1], A_ub=rows, b_ub=upper)
    result = solve_now(linear([-1, -1], rows, [-math.inf] * 2, upper))
    assert result.objective == pytest.approx(found.fun, abs=1e-12)


def test_rows_of_large_numbers_are_held_to_rounding(solve: Solve) -> None:
    """Sums of 10^10 are not exact to 10^-9 in float64: what solved them was once told NO_SOLUTION."""
    rng = np.random.default_rng(0)
    rows = rng.random((40, 40)) * 1e6
    wanted = rows @ rng.random(40) * 1e3
    result = solve(linear(np.ones(40), rows, wanted, np.full(40, math.inf)))
    assert result.status == OPTIMAL
    x = np.frombuffer(result.solutions[0].values.data)
    assert ((wanted - rows @ x) / (rows @ x)).max() <= 2e-13


def test_rows_of_small_numbers_are_held_to_the_tolerance() -> None:
    rows = Rows(Sparse(np.zeros(2, np.int64), np.arange(2), np.ones(2)), np.ones(1), np.ones(1))
    free = np.full(2, math.inf)
    problem = LinearProblem(Sense.MINIMIZE, np.ones(2), 0.0, rows, -free, free, np.zeros(2, bool))
    assert problem.evaluate(np.array([0.5, 0.5 + 1e-9])).violation_max == pytest.approx(
        1e-9, rel=1e-3
    )


def test_a_gap_that_was_asked_for_is_why_it_ended(solve: Solve) -> None:
    rng = np.random.default_rng(3)
    spec = linear(
        -rng.integers(10, 60, 40),
        rng.integers(5, 90, (5, 40)),
        np.full(5, -math.inf),
        np.full(5, 500.0),
        x_upper=[1.0],
        integrality=np.ones(40, dtype=int),
    )
    spec.gap_relative = 0.5
    result = solve(spec)
    assert (result.status, result.stop_reason) == (OPTIMAL, result_pb2.STOP_REASON_GAP)
    assert 1e-9 < result.gap <= 0.5


def test_highs_refuses_what_it_takes_for_infinite(solve: Solve) -> None:
    spec = binary(np.triu(np.full((30, 30), 1e25)), np.ones((1, 30)), [0.0], [3.0])
    spec.solvers.add(name="highs")
    with pytest.raises(KetgateError) as refusal:
        solve(spec)
    assert refusal.value.reason is Reason.SOLVER_UNSUITABLE


@pytest.mark.parametrize(
    ("row", "least", "expected"), [([1e-13, 1e-13], 5e-13, 5.0), ([1e-13, 2e-13], 1e-3, 5e9)]
)
def test_rows_of_tiny_coefficients_count(
    solve: Solve, row: list[float], least: float, expected: float
) -> None:
    """HiGHS drops coefficients up to 1e-12: the first was OPTIMAL at 0, the second INFEASIBLE."""
    result = solve(linear([1.0, 1.0], [row], [least], [math.inf]))
    assert result.status == OPTIMAL
    assert result.objective == pytest.approx(expected)
    assert not result.warnings


@pytest.mark.parametrize("whole", [0, 1])
def test_where_a_coefficient_is_left_out_nothing_is_proven(solve: Solve, whole: int) -> None:
    """1 and 1e-13 in one row: no scale shows HiGHS both."""
    row, flags = [[1.0, 1e-13]], [whole, 0]
    possible = linear([1.0, 0.0], row, [1.0], [math.inf], x_upper=[0.0, 1e14], integrality=flags)
    result = solve(possible)  # x = (0, 1e13), which it does not see
    assert result.status == result_pb2.SOLVE_STATUS_NO_SOLUTION
    assert not result.conflict
    assert any("left 1 out" in warning for warning in result.warnings)
    result = solve(linear([-1.0, 0.0], row, [-math.inf], [1.0], x_upper=[9.0], integrality=flags))
    assert (result.status, result.objective) == (FEASIBLE, -1.0)
    assert not result.HasField("bound")
    assert any("left 1 out" in warning for warning in result.warnings)


def test_rows_are_scaled_by_powers_of_two_and_keep_their_ends() -> None:
    value = np.array([1e-14, 3e-13, 5.0, 1e-13, 1e-13])
    row, column = np.array([0, 0, 1, 2, 3]), np.array([0, 1, 0, 0, 0])
    upper = np.array([1e-13, 7.0, 1e12, math.inf])
    rows = Rows(Sparse(row, column, value), np.full(4, -math.inf), upper)
    scales = row_scales(rows)
    assert (np.frexp(scales)[0] == 0.5).all()
    assert 1.0 <= 3e-13 * scales[0] < 2.0
    assert scales[1] == 1.0
    assert 1e18 < 1e12 * scales[2] < 1e19
    assert entries_left_out(rows) == 0


def test_time_that_building_took_counts_against_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """HiGHS counts from the start of its run: its limit is what is left by then."""
    limits: list[float] = []
    built = highs.build

    def slow(form: object, options: dict[str, object]) -> object:
        model = built(form, options)
        set_option = model.setOptionValue

        def watched(name: str, value: float) -> object:
            limits.append(value)
            return set_option(name, value)

        model.setOptionValue = watched
        return model

    monkeypatch.setattr(highs, "build", slow)
    spec = linear(np.ones(600), np.eye(600), np.ones(600), np.full(600, math.inf))
    spec.time_limit.seconds = 20
    assert solve_now(spec).status == OPTIMAL
    assert len(limits) == 1
    assert 0.0 < limits[0] < 20.0
