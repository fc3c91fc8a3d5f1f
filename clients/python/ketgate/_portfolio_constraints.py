"""What a portfolio must hold: budget, bounds, groups, cardinality, turnover, lots."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ketgate._errors import InvalidArgument
from ketgate._labels import Labels
from ketgate._options import number
from ketgate._tensor import float_array, to_tensor
from ketgate.optimization.v1 import portfolio_pb2, program_pb2


@dataclass(frozen=True)
class Group:
    """Bounds of the sum, or weighted sum, of some names' weights."""

    members: Sequence[Any]
    """Names, or positions from 0."""
    lower: float | None = None
    upper: float | None = None
    coefficients: Sequence[float] | None = None
    """One for each member; None: all 1."""


@dataclass(frozen=True)
class Lots:
    """Round lots: each holding is a whole number of lots, each of `size` shares at `prices`."""

    capital: float
    """Money to invest, in the unit of the prices."""
    prices: Any = None
    """Price of a share of each name; None: the last row of the price history."""
    size: Any = 1
    """Shares in a lot, one number or one for each name."""


def fill_constraints(
    message: portfolio_pb2.PortfolioProblem,
    labels: Labels,
    size: int,
    prices: Any,
    arguments: Mapping[str, Any],
) -> None:
    """Write what must hold, and the book held now, into the problem."""
    _Constraints(message, labels, size, prices).fill(arguments)


class _Constraints:
    """Fills what must hold, and the book held now."""

    def __init__(
        self, message: portfolio_pb2.PortfolioProblem, labels: Labels, size: int, prices: Any
    ) -> None:
        self.message = message
        self.constraints = message.constraints
        self.labels = labels
        self.size = size
        self.prices = prices

    def fill(self, arguments: Mapping[str, Any]) -> None:
        self._bounds(arguments.get("bounds"))
        self._cardinality(arguments.get("k"), arguments.get("min_position"))
        for name, group in (arguments.get("groups") or {}).items():
            self._group(name, group)
        self._book(arguments)
        budget = arguments.get("budget")
        lots = self._lots(arguments)
        if budget is None and lots is not None:
            budget = (max(0.0, 1.0 - float(lots.max(initial=0.0))), 1.0)
        if budget is not None:
            low, high = budget if isinstance(budget, (tuple, list)) else (budget, budget)
            _fill_range(self.constraints.budget, low, high, "budget")

    def _bounds(self, bounds: Any) -> None:
        if bounds is None:
            return
        lower: Any
        upper: Any
        if isinstance(bounds, Mapping):
            for name, pair in bounds.items():
                if not (isinstance(pair, (tuple, list)) and len(pair) == 2):
                    raise InvalidArgument(
                        f"bounds: expected (lower, upper) for {name!r}, given {pair!r}",
                        field="bounds",
                    )
            lower = {name: pair[0] for name, pair in bounds.items() if pair[0] is not None}
            upper = {name: pair[1] for name, pair in bounds.items() if pair[1] is not None}
        elif isinstance(bounds, (tuple, list)) and len(bounds) == 2:
            lower, upper = bounds
        else:
            raise InvalidArgument(
                f"bounds: expected a pair (lower, upper) or a mapping by name, given {bounds!r}",
                field="bounds",
            )
        if lower is not None:
            self.constraints.lower.CopyFrom(to_tensor(self._vector(lower, "bounds", 0.0)))
        if upper is not None:
            self.constraints.upper.CopyFrom(to_tensor(self._vector(upper, "bounds", 1.0)))

    def _cardinality(self, k: Any, min_position: float | None) -> None:
        if k is not None:
            least, most = k if isinstance(k, (tuple, list)) else (None, k)
            if number(most, "k", int) < 1:  # 0 is the contract's way to say no limit
                raise InvalidArgument(f"k: expected at least 1 name, given {most}", field="k")
            self.constraints.cardinality.names_max = number(most, "k", int)
            if least is not None:
                self.constraints.cardinality.names_min = number(least, "k", int)
        if min_position is not None:
            self.constraints.cardinality.position_min = number(min_position, "min_position", float)

    def _group(self, name: str, group: Any) -> None:
        field = f"groups[{name!r}]"
        if not isinstance(group, Group):
            if not (isinstance(group, (tuple, list)) and len(group) == 3):
                raise InvalidArgument(
                    f"{field}: expected Group or (members, lower, upper), given {group!r}",
                    field=field,
                )
            group = Group(*group)
        message = self.constraints.groups.add(
            name=str(name),
            members=[self.labels.position(m, field, self.size) for m in group.members],
        )
        if group.coefficients is not None:
            message.coefficients.extend(float_array(group.coefficients, field, ndim=1).tolist())
        _fill_range(message.range, group.lower, group.upper, field)

    def _book(self, arguments: Mapping[str, Any]) -> None:
        current, turnover, costs = (
            arguments.get(name) for name in ("current", "turnover", "costs")
        )
        if turnover is not None:
            self.constraints.turnover_max = number(turnover, "turnover", float)
        if current is None:
            if turnover is not None or costs is not None:
                raise InvalidArgument(
                    "current: expected the weights held now, given none", field="current"
                )
            return
        book = self._vector(current, "current", 0.0)
        self.message.current.weights.CopyFrom(to_tensor(np.broadcast_to(book, (self.size,))))
        if costs is None:
            return
        buy, sell = costs if isinstance(costs, tuple) and len(costs) == 2 else (costs, costs)
        self.message.current.buy_cost.CopyFrom(to_tensor(self._vector(buy, "costs", 0.0)))
        self.message.current.sell_cost.CopyFrom(to_tensor(self._vector(sell, "costs", 0.0)))

    def _lots(self, arguments: Mapping[str, Any]) -> NDArray[np.float64] | None:
        lots, weights = arguments.get("lots"), arguments.get("lot_weights")
        if lots is not None:
            if weights is not None:
                raise InvalidArgument(
                    "lots: expected lots or lot_weights, given both", field="lots"
                )
            weights = self._lot_weights(lots)
        if weights is None:
            return None
        array = self._vector(weights, "lot_weights", 0.0)
        self.constraints.round_lots.lot_weights.CopyFrom(to_tensor(array))
        return array

    def _lot_weights(self, lots: Lots) -> NDArray[np.float64]:
        prices = lots.prices
        if prices is None:
            if self.prices is None:
                raise InvalidArgument(
                    "lots.prices: expected the price of each name, given none", field="lots.prices"
                )
            prices = np.asarray(self.prices)[-1]
        capital = number(lots.capital, "lots.capital", float)
        if not capital > 0:
            raise InvalidArgument(
                f"lots.capital: expected more than 0, given {capital}", field="lots.capital"
            )
        share = self._vector(prices, "lots.prices", None)
        return np.asarray(share * self._vector(lots.size, "lots.size", None) / capital)

    def _vector(self, values: Any, field: str, default: float | None) -> NDArray[np.float64]:
        return self.labels.vector(values, field, self.size, default=default)


def _fill_range(message: program_pb2.Range, lower: Any, upper: Any, field: str) -> None:
    message.SetInParent()
    if lower is not None and lower != -np.inf:
        message.lower = number(lower, field, float)
    if upper is not None and upper != np.inf:
        message.upper = number(upper, field, float)
