"""Requests for portfolios mean what the caller wrote, from arrays and from pandas alike."""

from typing import Any

import ketgate
import numpy as np
import pandas as pd
import pytest
from ketgate import specs
from ketgate._tensor import from_tensor

NAMES = ["A", "B", "C"]
COVARIANCE = np.array([[4.0, 1.0, 0.0], [1.0, 3.0, 0.5], [0.0, 0.5, 2.0]])
FRAME = pd.DataFrame(COVARIANCE, index=NAMES, columns=NAMES)
PRICES = pd.DataFrame(
    [[10.0, 20.0, 30.0], [11.0, 19.0, 33.0], [12.0, 21.0, 32.0], [13.0, 22.0, 31.0]],
    index=pd.date_range("2020-01-01", periods=4), columns=NAMES,
)  # fmt: skip


def constraints(**arguments: Any) -> Any:
    return specs.portfolio(covariance=FRAME, **arguments).portfolio.constraints


def test_frame_gives_names_and_is_put_in_one_order() -> None:
    mixed = FRAME.loc[["C", "A", "B"], ["B", "A", "C"]]
    message = specs.portfolio(
        covariance=mixed, expected_returns=pd.Series({"C": 3.0, "A": 1.0, "B": 2.0})
    ).portfolio
    assert list(message.names) == ["B", "A", "C"]
    order = [1, 0, 2]
    assert np.array_equal(from_tensor(message.moments.covariance), COVARIANCE[np.ix_(order, order)])
    assert from_tensor(message.moments.expected_returns).tolist() == [2.0, 1.0, 3.0]
    assert message.objective.WhichOneof("kind") == "minimum_variance"
    assert not message.HasField("constraints")


def test_names_choose_among_those_of_a_frame() -> None:
    message = specs.portfolio(covariance=FRAME, names=["C", "A"]).portfolio
    assert from_tensor(message.moments.covariance).tolist() == [[2.0, 0.0], [0.0, 4.0]]


def test_prices_with_their_estimator() -> None:
    message = specs.portfolio(
        PRICES, estimator="exponentially_weighted", half_life=20, returns="logarithmic"
    ).portfolio
    assert from_tensor(message.prices.prices).shape == (4, 3)
    assert message.prices.covariance_estimator == 3
    assert message.prices.half_life_periods == 20
    assert message.prices.return_kind == 2
    assert list(message.names) == NAMES
    assert not specs.portfolio(PRICES.to_numpy()).portfolio.names


def test_factors() -> None:
    loadings = pd.DataFrame([[1.0], [2.0], [3.0]], index=NAMES)
    message = specs.portfolio(factors=(loadings, {"A": 1.0, "B": 2.0, "C": 3.0}), k=2).portfolio
    assert from_tensor(message.factors.loadings).tolist() == [[1.0], [2.0], [3.0]]
    assert from_tensor(message.factors.specific_variances).tolist() == [1.0, 2.0, 3.0]
    factors = ketgate.Factors(np.ones((3, 2)), 0.5, covariance=np.eye(2))
    message = specs.portfolio(factors=factors).portfolio
    assert from_tensor(message.factors.specific_variances).tolist() == [0.5] * 3
    assert from_tensor(message.factors.factor_covariance).tolist() == [[1.0, 0.0], [0.0, 1.0]]


@pytest.mark.parametrize(
    ("arguments", "kind", "value"),
    [
        ({"risk_aversion": 0}, "utility", 0.0),
        ({"objective": "utility", "risk_aversion": 2}, "utility", 2.0),
        ({"target_return": 0.1}, "target_return", 0.1),
        ({"objective": "maximum_sharpe"}, "maximum_sharpe", 0.0),
        ({"risk_free_rate": 0.0}, "maximum_sharpe", 0.0),
        ({"objective": "risk_parity"}, "risk_parity", None),
    ],
)
def test_objective_may_be_told_by_its_own_argument(
    arguments: dict[str, Any], kind: str, value: float | None
) -> None:
    objective = specs.portfolio(covariance=FRAME, **arguments).portfolio.objective
    assert objective.WhichOneof("kind") == kind
    if value is not None:
        field = {
            "utility": "risk_aversion",
            "target_return": "minimum_return",
            "maximum_sharpe": "risk_free_rate",
        }
        assert getattr(getattr(objective, kind), field[kind]) == value


def test_risk_budgets_by_name() -> None:
    message = specs.portfolio(covariance=FRAME, risk_budgets={"A": 1, "B": 2, "C": 3}).portfolio
    assert from_tensor(message.objective.risk_parity.budgets).tolist() == [1.0, 2.0, 3.0]


def test_constraints_reach_the_request() -> None:
    told = constraints(
        k=(1, 2),
        min_position=0.1,
        budget=(0.9, None),
        bounds={"B": (0.2, None), "C": (None, 0.5)},
        groups={
            "ab": (["A", "B"], None, 0.7),
            "w": ketgate.Group([0, "C"], lower=0.1, coefficients=[1, -1]),
        },
    )
    assert (
        told.cardinality.names_min,
        told.cardinality.names_max,
        told.cardinality.position_min,
    ) == (1, 2, 0.1)
    assert told.budget.lower == 0.9
    assert not told.budget.HasField("upper")
    assert from_tensor(told.lower).tolist() == [0.0, 0.2, 0.0]
    assert from_tensor(told.upper).tolist() == [1.0, 1.0, 0.5]
    assert [g.name for g in told.groups] == ["ab", "w"]
    assert list(told.groups[0].members) == [0, 1]
    assert told.groups[0].range.upper == 0.7
    assert list(told.groups[1].coefficients) == [1.0, -1.0]
    assert from_tensor(constraints(bounds=(-0.5, [1.0, 2.0, 3.0])).lower).tolist() == [-0.5]


def test_book_and_costs() -> None:
    message = specs.portfolio(
        covariance=FRAME, current={"A": 0.6}, turnover=0.3, costs=(0.001, pd.Series({"B": 0.002}))
    ).portfolio
    assert from_tensor(message.current.weights).tolist() == [0.6, 0.0, 0.0]
    assert from_tensor(message.current.buy_cost).tolist() == [0.001]
    assert from_tensor(message.current.sell_cost).tolist() == [0.0, 0.002, 0.0]
    assert message.constraints.turnover_max == 0.3


def test_lots_from_capital_and_prices_leave_room_in_the_budget() -> None:
    told = specs.portfolio(
        PRICES, lots=ketgate.Lots(capital=1000, size=[1, 2, 1])
    ).portfolio.constraints
    assert from_tensor(told.round_lots.lot_weights) == pytest.approx([0.013, 0.044, 0.031])
    assert (told.budget.lower, told.budget.upper) == (pytest.approx(1 - 0.044), 1.0)
    told = constraints(lot_weights=0.01, budget=(0.9, 1.0))
    assert from_tensor(told.round_lots.lot_weights).tolist() == [0.01]
    assert told.budget.lower == 0.9


def test_frontier() -> None:
    spec = specs.frontier(PRICES, points=7, k=2)
    assert spec.portfolio.objective.efficient_frontier.points == 7


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({}, "prices"),
        ({"prices": PRICES, "covariance": FRAME}, "prices"),
        ({"prices": [1.0, 2.0]}, "prices"),
        ({"prices": PRICES.assign(day="x")}, "prices"),
        ({"prices": PRICES.mask(PRICES > 32)}, "prices"),
        ({"covariance": FRAME, "estimator": "sample"}, "estimator"),
        ({"prices": PRICES, "nearest_psd": True}, "nearest_psd"),
        ({"prices": PRICES, "estimator": "magic"}, "estimator"),
        ({"covariance": FRAME, "expected_returns": [1.0, 2.0]}, "expected_returns"),
        (
            {"covariance": FRAME, "expected_returns": pd.Series({"A": 1.0, "B": 2.0, "D": 3.0})},
            "expected_returns",
        ),
        (
            {"covariance": FRAME, "expected_returns": pd.Series({"A": 1.0, "B": 2.0})},
            "expected_returns",
        ),
        ({"covariance": FRAME, "names": ["A", "Z"]}, "covariance"),
        (
            {"factors": (pd.DataFrame([[1.0]], index=["A"]), 1.0), "names": ["B"]},
            "factors.loadings",
        ),
        ({"covariance": COVARIANCE, "names": ["A", "B"]}, "names"),
        ({"covariance": COVARIANCE, "names": ["A", "B", "B"]}, "names"),
        ({"covariance": FRAME, "k": 0}, "k"),
        ({"covariance": FRAME, "k": 2.5}, "k"),
        ({"covariance": FRAME, "objective": "best"}, "objective"),
        ({"covariance": FRAME, "objective": "utility"}, "risk_aversion"),
        ({"covariance": FRAME, "objective": "target_return"}, "target_return"),
        (
            {"covariance": FRAME, "objective": "minimum_variance", "risk_aversion": 1},
            "risk_aversion",
        ),
        ({"covariance": FRAME, "bounds": 0.5}, "bounds"),
        ({"covariance": FRAME, "bounds": {"Z": (0, 1)}}, "bounds"),
        ({"covariance": FRAME, "bounds": {"A": 1}}, "bounds"),
        ({"covariance": FRAME, "groups": {"g": ["A"]}}, "groups['g']"),
        ({"covariance": FRAME, "groups": {"g": (["Z"], 0, 1)}}, "groups['g']"),
        ({"covariance": FRAME, "turnover": 0.1}, "current"),
        ({"covariance": FRAME, "current": {"Z": 1.0}}, "current"),
        ({"covariance": FRAME, "lots": ketgate.Lots(1000)}, "lots.prices"),
        ({"prices": PRICES, "lots": ketgate.Lots(0)}, "lots.capital"),
        ({"prices": PRICES, "lots": ketgate.Lots(1), "lot_weights": 0.1}, "lots"),
    ],
)
def test_bad_input_names_its_argument(arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(ketgate.InvalidArgument) as caught:
        specs.portfolio(**arguments)
    assert caught.value.field == field


def test_a_hole_in_prices_is_located() -> None:
    with pytest.raises(ketgate.InvalidArgument, match=r"'C' at 2020-01-02"):
        specs.portfolio(PRICES.mask(PRICES > 32))


def test_a_price_of_nothing_is_located() -> None:
    with pytest.raises(ketgate.InvalidArgument, match=r"above 0, given 0.0 for 'C' at 2020-01-02"):
        specs.portfolio(PRICES.mask(PRICES > 32, 0.0))


@pytest.mark.parametrize("zone", [None, "Europe/Zurich"])
def test_dates_that_run_backwards_are_refused(zone: str | None) -> None:
    newest_first = PRICES.tz_localize(zone).iloc[::-1]
    with pytest.raises(ketgate.InvalidArgument, match="oldest first") as caught:
        specs.portfolio(newest_first)
    assert caught.value.field == "prices"
    specs.portfolio(newest_first.sort_index())
