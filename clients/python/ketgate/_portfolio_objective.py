"""What a portfolio is to make best."""

from typing import Any, Literal

import numpy as np

from ketgate._errors import InvalidArgument
from ketgate._labels import Labels
from ketgate._options import number, one_of
from ketgate._tensor import to_tensor
from ketgate.optimization.v1 import portfolio_pb2

Objective = Literal["minimum_variance", "utility", "target_return", "maximum_sharpe", "risk_parity"]


class ObjectiveFiller:
    """Fills the objective, which may be named or told by its own argument."""

    def __init__(
        self, message: portfolio_pb2.PortfolioObjective, labels: Labels, size: int
    ) -> None:
        self.message = message
        self.labels = labels
        self.size = size

    def fill(
        self, objective: str | None, aversion: Any, target: Any, riskless: Any, budgets: Any
    ) -> None:
        owned = {
            "utility": ("risk_aversion", aversion),
            "target_return": ("target_return", target),
            "maximum_sharpe": ("risk_free_rate", riskless),
            "risk_parity": ("risk_budgets", budgets),
        }
        told = [kind for kind, (_, value) in owned.items() if value is not None]
        if objective is None:
            objective = told[0] if len(told) == 1 else "minimum_variance"
        fillers = {
            "minimum_variance": self._minimum_variance,
            "utility": self._utility,
            "target_return": self._target_return,
            "maximum_sharpe": self._maximum_sharpe,
            "risk_parity": self._risk_parity,
        }
        filler = one_of(objective, fillers, "objective")
        for kind in told:
            if kind != objective:
                name = owned[kind][0]
                raise InvalidArgument(
                    f"{name}: expected nothing, as the objective is {objective}", field=name
                )
        filler(owned.get(objective, ("", None))[1])

    def _minimum_variance(self, _: None) -> None:
        self.message.minimum_variance.SetInParent()

    def _utility(self, aversion: Any) -> None:
        if aversion is None:
            raise InvalidArgument(
                "risk_aversion: expected a number with utility, given none", field="risk_aversion"
            )
        self.message.utility.SetInParent()
        self.message.utility.risk_aversion = number(aversion, "risk_aversion", float)

    def _target_return(self, target: Any) -> None:
        if target is None:
            raise InvalidArgument(
                "target_return: expected a number, given none", field="target_return"
            )
        self.message.target_return.SetInParent()
        self.message.target_return.minimum_return = number(target, "target_return", float)

    def _maximum_sharpe(self, riskless: Any) -> None:
        self.message.maximum_sharpe.SetInParent()
        self.message.maximum_sharpe.risk_free_rate = (
            0.0 if riskless is None else number(riskless, "risk_free_rate", float)
        )

    def _risk_parity(self, budgets: Any) -> None:
        self.message.risk_parity.SetInParent()
        if budgets is not None:
            vector = self.labels.vector(budgets, "risk_budgets", self.size)
            self.message.risk_parity.budgets.CopyFrom(
                to_tensor(np.broadcast_to(vector, (self.size,)))
            )
