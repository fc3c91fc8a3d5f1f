"""Portfolio messages: defaults, and every refusal with the path of its field."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from google.protobuf import json_format
from ketgate.optimization.v1 import optimization_service_pb2, portfolio_pb2, program_pb2
from ketgate_server.errors import FieldError, KetgateError, LimitError
from ketgate_server.optimization.base import ProblemKind, Sense
from ketgate_server.optimization.portfolio import checks
from ketgate_server.optimization.portfolio import model as m
from ketgate_server.optimization.portfolio.convert import (
    figures_to_proto,
    frontier_to_proto,
    problem_from_proto,
)
from ketgate_server.optimization.portfolio.covariance import Dense, Factors
from ketgate_server.type.tensors import read_tensor, write_tensor

Message = portfolio_pb2.PortfolioProblem
COVARIANCE = np.array([[0.04, 0.01, 0.0], [0.01, 0.09, 0.02], [0.0, 0.02, 0.16]])


def tensor(values: Any) -> Any:
    return write_tensor(np.array(values, dtype=np.float64))


def message() -> Message:
    given = Message(
        moments=portfolio_pb2.Moments(
            expected_returns=tensor([0.1, 0.2, 0.3]), covariance=tensor(COVARIANCE)
        )
    )
    given.objective.minimum_variance.SetInParent()
    return given


def test_absent_constraints_are_fully_invested_and_long_only() -> None:
    problem = problem_from_proto(message())
    assert problem.kind is ProblemKind.PORTFOLIO_CONTINUOUS
    assert problem.sense is Sense.MINIMIZE
    assert problem.constraints.budget == m.Interval(1.0, 1.0)
    assert (problem.constraints.lower == 0.0).all()
    assert np.isposinf(problem.constraints.upper).all()


def test_upper_bounds_are_1_where_the_budget_bounds_nothing() -> None:
    given = message()
    given.constraints.lower.CopyFrom(tensor([-0.1]))
    assert (problem_from_proto(given).constraints.upper == 1.0).all()
    given = message()
    given.constraints.budget.CopyFrom(program_pb2.Range(lower=0.5))
    assert (problem_from_proto(given).constraints.upper == 1.0).all()


def set_(path: str, value: Any) -> Callable[[Message], None]:
    """Set a field below the problem, by its path."""

    def change(given: Message) -> None:
        *way, last = path.split(".")
        at: Any = given
        for step in way:
            at = getattr(at, step)
        if hasattr(value, "DESCRIPTOR"):
            getattr(at, last).CopyFrom(value)
        elif isinstance(value, list):
            getattr(at, last).extend(value)
        else:
            setattr(at, last, value)

    return change


def group(**fields: Any) -> portfolio_pb2.Group:
    given = {"members": [0, 1], "range": program_pb2.Range(lower=0.0, upper=0.5), **fields}
    return portfolio_pb2.Group(**{k: v for k, v in given.items() if v is not None})


def nothing(given: Message) -> None:
    given.ClearField("moments")


BAD: list[tuple[str, Callable[[Message], None] | list[Callable[[Message], None]]]] = [
    ("model", nothing),
    ("names", set_("names", ["a", "b"])),
    ("names[2]", set_("names", ["a", "b", "a"])),
    ("names[1]", set_("names", ["a", "b" * 201, "c"])),
    ("objective.kind", lambda given: given.ClearField("objective")),
    ("moments.covariance", lambda given: given.moments.ClearField("covariance")),
    ("moments.covariance", set_("moments.covariance", tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))),
    ("moments.covariance", set_("moments.covariance", tensor(np.zeros((0, 0))))),
    (
        "moments.covariance",
        set_("moments.covariance", tensor(COVARIANCE + np.triu(np.ones((3, 3)), 1))),
    ),
    ("moments.covariance", set_("moments.covariance", tensor(COVARIANCE * np.nan))),
    ("moments.covariance", set_("moments.covariance", tensor(np.full((3, 3), np.inf)))),
    ("moments.covariance", set_("moments.covariance", tensor(COVARIANCE * 1e300))),
    ("moments.covariance", set_("moments.covariance", tensor(COVARIANCE - 0.1 * np.eye(3)))),
    ("moments.expected_returns", set_("moments.expected_returns", tensor([0.1, 0.2]))),
    ("moments.expected_returns", set_("moments.expected_returns", tensor([0.1, np.nan, 0.2]))),
    (
        "moments.expected_returns",
        [
            lambda given: given.moments.ClearField("expected_returns"),
            set_("objective.utility.risk_aversion", 1.0),
        ],
    ),
    ("objective.utility.risk_aversion", set_("objective.utility.risk_aversion", -1.0)),
    ("objective.utility.risk_aversion", set_("objective.utility.risk_aversion", np.nan)),
    (
        "objective.target_return.minimum_return",
        set_("objective.target_return.minimum_return", np.inf),
    ),
    (
        "objective.maximum_sharpe.risk_free_rate",
        set_("objective.maximum_sharpe.risk_free_rate", np.nan),
    ),
    ("objective.efficient_frontier.points", set_("objective.efficient_frontier.points", 1)),
    ("objective.efficient_frontier.points", set_("objective.efficient_frontier.points", 1001)),
    (
        "objective.risk_parity.budgets",
        set_("objective.risk_parity.budgets", tensor([1.0, 0.0, 1.0])),
    ),
    (
        "objective.risk_parity.budgets",
        set_("objective.risk_parity.budgets", tensor([1.0, -1.0, 1.0])),
    ),
    ("objective.risk_parity.budgets", set_("objective.risk_parity.budgets", tensor([1.0]))),
    (
        "constraints.budget.lower",
        set_("constraints.budget", program_pb2.Range(lower=1.0, upper=0.5)),
    ),
    ("constraints.budget.upper", set_("constraints.budget", program_pb2.Range(upper=np.nan))),
    ("constraints.lower", set_("constraints.lower", tensor([0.0, 0.1]))),
    ("constraints.lower", set_("constraints.lower", tensor([-np.inf]))),
    (
        "constraints.lower",
        [set_("constraints.lower", tensor([0.5])), set_("constraints.upper", tensor([0.4]))],
    ),
    ("constraints.upper", set_("constraints.upper", tensor([1e9]))),
    ("constraints.groups[0].members[1]", set_("constraints.groups", [group(members=[0, 3])])),
    ("constraints.groups[0].members[0]", set_("constraints.groups", [group(members=[-1, 0])])),
    (
        "constraints.groups[1].members[2]",
        set_("constraints.groups", [group(), group(members=[0, 1, 0])]),
    ),
    ("constraints.groups[0].members", set_("constraints.groups", [group(members=[])])),
    ("constraints.groups[0].coefficients", set_("constraints.groups", [group(coefficients=[1.0])])),
    (
        "constraints.groups[0].coefficients[1]",
        set_("constraints.groups", [group(coefficients=[1.0, np.nan])]),
    ),
    ("constraints.groups[0].range", set_("constraints.groups", [group(range=None)])),
    ("constraints.groups[0].name", set_("constraints.groups", [group(name="g" * 201)])),
    ("constraints.cardinality.names_max", set_("constraints.cardinality.names_max", 4)),
    ("constraints.cardinality.names_max", set_("constraints.cardinality.names_max", -1)),
    ("constraints.cardinality.names_min", set_("constraints.cardinality.names_min", 4)),
    ("constraints.cardinality.position_min", set_("constraints.cardinality.names_min", 1)),
    ("constraints.cardinality.position_min", set_("constraints.cardinality.position_min", 1.5)),
    ("constraints.cardinality.position_min", set_("constraints.cardinality.position_min", 1e-12)),
    (
        "constraints.cardinality.names_min",
        [
            set_("constraints.cardinality.names_max", 1),
            set_("constraints.cardinality.names_min", 2),
        ],
    ),
    ("current", set_("constraints.turnover_max", 0.5)),
    ("constraints.turnover_max", set_("constraints.turnover_max", -0.5)),
    (
        "constraints.round_lots.lot_weights",
        lambda given: given.constraints.round_lots.SetInParent(),
    ),
    (
        "constraints.round_lots.lot_weights",
        set_("constraints.round_lots.lot_weights", tensor([-0.1])),
    ),
    (
        "constraints.round_lots.lot_weights",
        set_("constraints.round_lots.lot_weights", tensor([1e-12])),
    ),
    ("current.weights", lambda given: given.current.SetInParent()),
    ("current.weights", set_("current.weights", tensor([0.1]))),
    (
        "current.buy_cost",
        [
            set_("current.weights", tensor([0.1, 0.2, 0.3])),
            set_("current.buy_cost", tensor([-0.1])),
        ],
    ),
    ("prices.prices", set_("prices.prices", tensor([[1.0, 2.0], [1.0, 2.0]]))),
    ("prices.prices", set_("prices.prices", tensor([[1.0], [0.0], [1.0]]))),
    ("prices.prices", set_("prices.prices", tensor(np.ones((3, 0))))),
    ("prices.prices", set_("prices.prices", tensor([[1e-300], [1e300], [1.0]]))),
    (
        "prices.covariance_estimator",
        [
            set_("prices.prices", tensor([[1.0], [2.0], [1.0]])),
            set_("prices.covariance_estimator", 99),
        ],
    ),
    (
        "prices.return_kind",
        [set_("prices.prices", tensor([[1.0], [2.0], [1.0]])), set_("prices.return_kind", 99)],
    ),
    (
        "prices.half_life_periods",
        [
            set_("prices.prices", tensor([[1.0], [2.0], [1.0]])),
            set_("prices.half_life_periods", 0.0),
        ],
    ),
    (
        "prices.periods_per_year",
        [
            set_("prices.prices", tensor([[1.0], [2.0], [1.0]])),
            set_("prices.periods_per_year", -1.0),
        ],
    ),
    ("factors.specific_variances", set_("factors.loadings", tensor(np.ones((3, 1))))),
    (
        "factors.specific_variances",
        [
            set_("factors.loadings", tensor(np.ones((3, 1)))),
            set_("factors.specific_variances", tensor([1.0, -1.0, 1.0])),
        ],
    ),
    (
        "factors.factor_covariance",
        [
            set_("factors.loadings", tensor(np.ones((3, 1)))),
            set_("factors.specific_variances", tensor([1.0, 1.0, 1.0])),
            set_("factors.factor_covariance", tensor([[-1.0]])),
        ],
    ),
    (
        "constraints.groups",
        [
            set_("objective.risk_parity", portfolio_pb2.RiskParity()),
            set_("constraints.groups", [group()]),
        ],
    ),
    (
        "constraints.upper",
        [
            set_("objective.risk_parity", portfolio_pb2.RiskParity()),
            set_("constraints.upper", tensor([0.5])),
        ],
    ),
    (
        "moments.covariance",
        [
            set_("objective.risk_parity", portfolio_pb2.RiskParity()),
            set_("moments.covariance", tensor(np.diag([1.0, 0.0, 1.0]))),
        ],
    ),
]


@pytest.mark.parametrize(
    "case", range(len(BAD)), ids=[f"{k}-{path}" for k, (path, _) in enumerate(BAD)]
)
def test_refusals_name_their_field(case: int) -> None:
    path, changes = BAD[case]
    given = message()
    for change in changes if isinstance(changes, list) else [changes]:
        change(given)
    with pytest.raises(FieldError) as refusal:
        problem_from_proto(given)
    assert refusal.value.field == f"spec.portfolio.{path}"
    assert _exists(refusal.value.field)


def _exists(path: str) -> bool:
    """Whether a path leads to a field, or a oneof, of a Solve request."""
    at: Any = optimization_service_pb2.SolveRequest.DESCRIPTOR
    for step in path.split("."):
        name = step.split("[")[0]
        if at is None or not (name in at.fields_by_name or name in at.oneofs_by_name):
            return False
        at = at.fields_by_name[name].message_type if name in at.fields_by_name else None
    return True


def test_a_negative_eigenvalue_is_told_or_repaired() -> None:
    given = message()
    broken = np.array([[1.0, 0.9, -0.9], [0.9, 1.0, 0.9], [-0.9, 0.9, 1.0]])
    given.moments.covariance.CopyFrom(tensor(broken))
    with pytest.raises(FieldError, match=r"eigenvalue of -0\.8.*nearest_psd"):
        problem_from_proto(given)
    given.moments.nearest_psd = True
    problem = problem_from_proto(given)
    assert np.linalg.eigvalsh(problem.covariance.dense())[0] >= -1e-12
    assert "not positive semidefinite" in problem.warnings[0]


def test_nearest_psd_is_nearer_than_its_neighbours() -> None:
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(5, 5))
    matrix = matrix + matrix.T
    repaired, _ = checks.nearest_psd(matrix)
    distance = np.linalg.norm(repaired - matrix)
    for _ in range(200):
        step = rng.normal(size=(5, 5)) * 0.1
        root = np.linalg.cholesky(repaired + 1e-9 * np.eye(5)) + step
        assert np.linalg.norm(root @ root.T - matrix) >= distance - 1e-6


def test_sizes_beyond_the_limits_are_told_before_anything_is_allocated() -> None:
    given = message()
    given.moments.covariance.shape[:] = [10**9, 10**9]
    with pytest.raises(LimitError) as refusal:
        problem_from_proto(given)
    assert refusal.value.limit == "optimization.names_max"


def test_factor_form_is_kept_unless_it_is_the_larger_one() -> None:
    given = message()
    loadings = np.array([[0.1], [0.2], [0.3]])
    given.factors.loadings.CopyFrom(tensor(loadings))
    given.factors.specific_variances.CopyFrom(tensor([0.01, 0.02, 0.03]))
    given.factors.factor_covariance.CopyFrom(tensor([[4.0]]))
    problem = problem_from_proto(given)
    assert isinstance(problem.covariance, Factors)
    expected = 4.0 * loadings @ loadings.T + np.diag([0.01, 0.02, 0.03])
    assert problem.covariance.dense() == pytest.approx(expected)
    assert problem.covariance.times(np.eye(3)) == pytest.approx(expected)
    assert problem.covariance.diagonal() == pytest.approx(np.diag(expected))
    given.factors.loadings.CopyFrom(tensor(np.ones((3, 4))))
    given.factors.ClearField("factor_covariance")
    assert isinstance(problem_from_proto(given).covariance, Dense)


def test_figures_and_frontier_travel() -> None:
    given = message()
    given.current.weights.CopyFrom(tensor([0.5, 0.5, 0.0]))
    given.current.buy_cost.CopyFrom(tensor([0.01]))
    problem = problem_from_proto(given)
    weights = np.array([0.25, 0.5, 0.25])
    figures = figures_to_proto(problem.figures(weights))
    spread = float(weights @ COVARIANCE @ weights)
    assert figures.expected_return == pytest.approx(0.2)
    assert figures.volatility == pytest.approx(spread**0.5)
    assert figures.sharpe_ratio == pytest.approx(0.2 / spread**0.5)
    assert figures.turnover == pytest.approx(0.5)
    assert figures.cost == pytest.approx(0.0025)
    assert figures.names_held == 3
    assert not figures.HasField("lots")
    assert read_tensor(figures.risk_shares, "shares").sum() == pytest.approx(1.0)
    sent = frontier_to_proto(m.Frontier(weights[None, :], np.array([0.2]), np.array([0.1])))
    assert list(sent.weights.shape) == [1, 3]
    assert not sent.HasField("corner_weights")


def test_typed_json_is_read() -> None:
    """What a person types into a reflection client."""
    given = json_format.ParseDict(
        {
            "moments": {
                "covariance": {"shape": [2, 2], "doubles": {"values": [1, 0, 0, 2]}},
                "expectedReturns": {"doubles": {"values": [0.1, 0.2]}},
            },
            "objective": {"utility": {"riskAversion": 3}},
            "constraints": {"upper": {"doubles": {"values": [0.8]}}},
        },
        Message(),
    )
    problem = problem_from_proto(given)
    assert problem.sense is Sense.MAXIMIZE
    assert (problem.constraints.upper == 0.8).all()


def test_random_messages_are_refused_or_read_but_never_break() -> None:
    rng = np.random.default_rng(7)
    whole = message()
    whole.constraints.groups.append(group())
    whole.current.weights.CopyFrom(tensor([0.1, 0.2, 0.7]))
    whole.constraints.turnover_max = 0.5
    content = bytearray(whole.SerializeToString())
    for _ in range(2000):
        bent = bytearray(content)
        for place in rng.integers(0, len(bent), rng.integers(1, 4)):
            bent[place] = rng.integers(0, 256)
        given = Message()
        try:
            given.ParseFromString(bytes(bent))
            problem_from_proto(given)
        except KetgateError as refusal:
            assert refusal.field  # noqa: PT017 - most are refused, some are read
        except Exception as error:
            assert type(error).__name__ == "DecodeError"  # noqa: PT017
