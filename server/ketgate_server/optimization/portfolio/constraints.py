"""What a portfolio must keep, and the book it starts from."""

from dataclasses import dataclass

import numpy as np

from ketgate_server.cached import cached_property
from ketgate_server.optimization.base import as_float64
from ketgate_server.optimization.portfolio.covariance import Array

SNAP = 1e-9
"""How far a solver's weight may be from 0, a lot or the least position and still be meant to be
there.
"""


@dataclass(frozen=True)
class Interval:
    """A closed interval; infinite where there is no end."""

    lower: float = -np.inf
    upper: float = np.inf

    def violation(self, value: float) -> float:
        return max(0.0, self.lower - value, value - self.upper)


@dataclass(frozen=True, eq=False)
class Group:
    """Bounds of a weighted sum of some names."""

    name: str
    members: np.ndarray
    """(m,) positions, int64, distinct."""
    coefficients: Array
    """(m,)"""
    interval: Interval


@dataclass(frozen=True, eq=False)
class Constraints:
    """What must hold. ``Constraints.of`` fills in the documented defaults."""

    lower: Array
    """(n,), finite."""
    upper: Array
    """(n,); +inf where only the budget bounds a name."""
    budget: Interval = Interval(1.0, 1.0)
    groups: tuple[Group, ...] = ()
    names_max: int = 0
    """0: no limit."""
    names_min: int = 0
    position_min: float = 0.0
    turnover_max: float | None = None
    lot_weights: Array | None = None
    """(n,); 0 for a name without lots."""

    @staticmethod
    def of(
        size: int,
        *,
        lower: Array | None = None,
        upper: Array | None = None,
        budget: Interval = Interval(1.0, 1.0),
        groups: tuple[Group, ...] = (),
        names_max: int = 0,
        names_min: int = 0,
        position_min: float = 0.0,
        turnover_max: float | None = None,
        lot_weights: Array | None = None,
    ) -> "Constraints":
        """Long only unless lower says otherwise; no upper bounds where the budget bounds, else
        1.
        """
        least = (
            np.zeros(size) if lower is None else np.broadcast_to(as_float64(lower), (size,)).copy()
        )
        if upper is None:
            bounded = bool((least >= 0).all()) and np.isfinite(budget.upper)
            most = np.full(size, np.inf if bounded else 1.0)
        else:
            most = np.broadcast_to(as_float64(upper), (size,)).copy()
        lots = (
            None
            if lot_weights is None
            else np.broadcast_to(as_float64(lot_weights), (size,)).copy()
        )
        return Constraints(
            lower=least,
            upper=most,
            budget=budget,
            groups=groups,
            names_max=0 if names_max >= size else names_max,
            names_min=names_min,
            position_min=position_min,
            turnover_max=turnover_max,
            lot_weights=lots if lots is not None and lots.any() else None,
        )

    @property
    def discrete(self) -> bool:
        """Whether some weight may not move freely within its bounds."""
        return bool(
            self.names_max
            or self.names_min
            or self.position_min > 0
            or self.lot_weights is not None
        )

    def breaks_discrete(self, weights: Array) -> bool:
        """Names, least positions and lots, each compared exactly."""
        if not self.discrete:
            return False
        held = weights != 0.0
        count = int(held.sum())
        if (self.names_max and count > self.names_max) or count < self.names_min:
            return True
        if (np.abs(weights[held]) < self.position_min).any():
            return True
        return self.lot_weights is not None and bool(
            (_in_lots(weights, self.lot_weights) != weights).any()
        )

    def snapped(self, values: Array) -> Array:
        """Weights within the bounds exactly; with discrete constraints exact zeros, least positions
        and lots.
        """
        weights = np.clip(values, self.lower, self.upper)
        if self.discrete:
            tiny = max(SNAP, 0.5 * self.position_min) if self.position_min else SNAP
            weights[np.abs(weights) < tiny] = 0.0
            short = (weights != 0.0) & (np.abs(weights) < self.position_min)
            near = short & (np.abs(weights) > self.position_min - SNAP)
            weights[near] = np.copysign(self.position_min, weights[near])
            if self.lot_weights is not None:
                lots = _in_lots(weights, self.lot_weights)
                near = np.abs(lots - weights) <= SNAP
                weights[near] = lots[near]
        return weights + 0.0  # no negative zeros: the same weights have the same bytes


@dataclass(frozen=True, eq=False)
class Book:
    """What is held now, and the cost of a unit of weight bought or sold. All (n,)."""

    weights: Array
    buy_cost: Array
    sell_cost: Array

    def turnover(self, weights: Array) -> float:
        return float(np.abs(weights - self.weights).sum())

    def cost(self, weights: Array) -> float:
        traded = weights - self.weights
        return float(
            self.buy_cost @ np.maximum(traded, 0.0) + self.sell_cost @ np.maximum(-traded, 0.0)
        )

    @cached_property
    def costly(self) -> bool:
        return bool(self.buy_cost.any() or self.sell_cost.any())


def lot_counts(weights: Array, lot_weights: Array) -> Array:
    return np.rint(
        np.divide(weights, lot_weights, out=np.zeros(len(weights)), where=lot_weights > 0)
    )


def _in_lots(weights: Array, lot_weights: Array) -> Array:
    """The weights, rounded to whole lots where a name has lots."""
    return np.where(lot_weights > 0, lot_counts(weights, lot_weights) * lot_weights, weights)
