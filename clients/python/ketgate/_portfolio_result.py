"""Results of portfolios and frontiers, and the choice of the class that fits a problem."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ketgate._events import Outcome
from ketgate._labels import Labels
from ketgate._result import BinaryResult, IsingResult, LinearResult, Result
from ketgate._solution import PortfolioFigures
from ketgate._tensor import from_tensor


class PortfolioResult(Result):
    """A portfolio."""

    values_name = "weight"

    @property
    def weights(self) -> Any:
        """Weights of the best portfolio; a Series where names or pandas came in, else an array."""
        return self.labels.dress(self.best.array, "weight")

    @property
    def figures(self) -> PortfolioFigures:
        """Figures of the best portfolio."""
        figures = self.best.figures
        assert figures is not None
        return figures

    @property
    def expected_return(self) -> float | None:
        return self.figures.expected_return

    @property
    def volatility(self) -> float:
        return self.figures.volatility

    @property
    def sharpe_ratio(self) -> float | None:
        return self.figures.sharpe_ratio

    @property
    def risk_shares(self) -> Any:
        return self.figures.risk_shares

    @property
    def lots(self) -> Any:
        return self.figures.lots

    @property
    def held(self) -> dict[Any, float]:
        """Names with a weight other than 0, the largest first."""
        pairs = [(key, value) for key, value in self.by_name.items() if value != 0]
        return dict(sorted(pairs, key=lambda pair: -abs(pair[1])))

    def to_dict(self) -> dict[str, Any]:
        document = super().to_dict()
        if self.solved:
            figures = self.figures
            document["figures"] = {
                name: getattr(figures, name)
                for name in (
                    "expected_return",
                    "volatility",
                    "sharpe_ratio",
                    "turnover",
                    "cost",
                    "names_held",
                )
            }
            if figures.lots is not None:
                document["lots"] = self.labels.by_name(np.asarray(figures.lots))
        return document

    def _lines(self) -> list[str]:
        if not self.solved or self.best.figures is None:
            return []
        figures = self.figures
        told = [f"volatility {figures.volatility:.4g}", f"{figures.names_held} names"]
        if figures.expected_return is not None:
            told.insert(0, f"expected return {figures.expected_return:.4g}")
        if figures.sharpe_ratio is not None:
            told.append(f"Sharpe {figures.sharpe_ratio:.3g}")
        top = [f"    {key!s:<12} {weight:8.2%}" for key, weight in list(self.held.items())[:15]]
        more = len(self.held) - len(top)
        return ["  " + ", ".join(told), *top, *([f"    and {more} more"] if more > 0 else [])]


@dataclass(frozen=True)
class Frontier:
    """Efficient portfolios from the least variance to the greatest expected return, as arrays."""

    expected_returns: NDArray[np.float64]
    """Shape (p,), rising."""
    volatilities: NDArray[np.float64]
    """Shape (p,)."""
    weights: NDArray[np.float64]
    """Shape (p, n)."""
    corner_expected_returns: NDArray[np.float64]
    """Shape (c,): between two corners every efficient portfolio is their mixture. Empty with
    discrete constraints.
    """
    corner_volatilities: NDArray[np.float64]
    corner_weights: NDArray[np.float64]
    """Shape (c, n)."""
    variance_bounds: NDArray[np.float64] | None
    """With discrete constraints: proven bound of each portfolio's variance, shape (p,)."""


class FrontierResult(PortfolioResult):
    """An efficient frontier; the portfolio of `weights` is that of least variance."""

    @cached_property
    def points(self) -> Frontier:
        """The frontier as arrays. Raises NoSolution if there is none."""
        self.best  # noqa: B018 - raises where there is no frontier
        told = self.message.frontier
        corners = told.HasField("corner_weights")
        return Frontier(
            expected_returns=from_tensor(told.expected_returns),
            volatilities=from_tensor(told.volatilities),
            weights=from_tensor(told.weights),
            corner_expected_returns=from_tensor(told.corner_expected_returns)
            if corners
            else np.empty(0),
            corner_volatilities=from_tensor(told.corner_volatilities) if corners else np.empty(0),
            corner_weights=from_tensor(told.corner_weights)
            if corners
            else np.empty((0, self.array.size)),
            variance_bounds=from_tensor(told.variance_bounds)
            if told.HasField("variance_bounds")
            else None,
        )

    @property
    def frontier(self) -> Any:
        """A DataFrame where pandas came in: expected_return, volatility and the weight of each
        name; else `points`.
        """
        if not self.labels.in_pandas or self.labels.keys is None:
            return self.points
        import pandas

        figures = pandas.DataFrame(
            {
                "expected_return": self.points.expected_returns,
                "volatility": self.points.volatilities,
            }
        )
        weights = pandas.DataFrame(self.points.weights, columns=list(self.labels.keys))
        return pandas.concat([figures, weights], axis=1)

    def to_dict(self) -> dict[str, Any]:
        document = super().to_dict()
        if self.solved:
            document["frontier"] = {
                name: getattr(self.points, name).tolist()
                for name in ("expected_returns", "volatilities", "weights")
            }
        return document

    def _lines(self) -> list[str]:
        if not self.solved:
            return []
        points = self.points
        corners = len(points.corner_volatilities)
        return [
            f"  {len(points.volatilities)} portfolios"
            + (f", {corners} corners" if corners else "")
            + f": expected return {points.expected_returns[0]:.4g} to {points.expected_returns[-1]:.4g}"
            + f", volatility {points.volatilities[0]:.4g} to {points.volatilities[-1]:.4g}"
        ]


def decode_any(outcome: Outcome) -> Result:
    """The outcome as a result of the class that fits its problem, with the names that the spec
    gives.
    """
    kind = outcome.spec.WhichOneof("problem")
    if kind == "portfolio":
        labels = Labels(list(outcome.spec.portfolio.names) or None)
        frontier = outcome.spec.portfolio.objective.WhichOneof("kind") == "efficient_frontier"
        return FrontierResult(outcome, labels) if frontier else PortfolioResult(outcome, labels)
    fitting = {"ising": IsingResult, "linear": LinearResult}
    return fitting.get(str(kind), BinaryResult)(outcome, Labels(None))
