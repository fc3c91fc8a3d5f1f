"""What the demo solves: the proven best 10 of 225 Japanese names, and the frontier of 20 American
ones.
"""

from dataclasses import dataclass
from typing import Any

from ketgate._client import Client
from ketgate._options import Progress
from ketgate._portfolio_result import FrontierResult, PortfolioResult
from ketgate.demo.market import nikkei
from ketgate.demo.quantum import Comparison

NIKKEI_NAMES = 10
NIKKEI_POSITION_MIN = 0.01
NIKKEI_LAMBDA = 0.5
"""Weight of the risk in lambda w'Cw - (1 - lambda) mu'w, which the literature minimises on this
set.
"""
RISK_AVERSION = 2 * NIKKEI_LAMBDA / (1 - NIKKEI_LAMBDA)
"""The same as a utility: mu'w - RISK_AVERSION / 2 w'Cw is -1 / (1 - lambda) times it."""

SP500_NAMES_MAX = 5
SP500_POSITION_MIN = 0.05
TIME_LIMIT_S = 10.0


@dataclass(frozen=True)
class Story:
    """The demo's results."""

    ten: PortfolioResult
    """10 of the 225 names of the Nikkei, each at least 1 %."""
    frontier: FrontierResult
    """Of the 20 names of the S&P 500, from prices, with Ledoit-Wolf's covariance."""
    sharpe: PortfolioResult
    """The greatest Sharpe ratio on it."""
    five: PortfolioResult
    """The greatest Sharpe ratio with at most 5 names, each 0 or at least 5 %."""
    prices: Any
    """The price history, a DataFrame."""
    quantum: Comparison
    """A small choice, classically and by QAOA."""

    @property
    def lambda_objective(self) -> float | None:
        """Objective of `ten` as the literature writes it."""
        utility = self.ten.objective
        return None if utility is None else -(1 - NIKKEI_LAMBDA) * utility


def solve_ten(client: Client, progress: Progress) -> PortfolioResult:
    market = nikkei()
    return client.optimize.portfolio(
        expected_returns=market.expected_returns,
        covariance=market.covariance,
        names=market.names,
        objective="utility",
        risk_aversion=RISK_AVERSION,
        k=(NIKKEI_NAMES, NIKKEI_NAMES),
        min_position=NIKKEI_POSITION_MIN,
        time_limit=TIME_LIMIT_S,
        seed=1,
        progress=progress,
    )


def solve_five(client: Client, prices: Any, progress: Progress) -> PortfolioResult:
    return client.optimize.portfolio(
        prices,
        objective="maximum_sharpe",
        k=SP500_NAMES_MAX,
        min_position=SP500_POSITION_MIN,
        estimator="ledoit_wolf",
        time_limit=TIME_LIMIT_S,
        seed=1,
        progress=progress,
    )


def solve_frontier(client: Client, prices: Any) -> FrontierResult:
    return client.optimize.frontier(
        prices, points=60, estimator="ledoit_wolf", time_limit=TIME_LIMIT_S, seed=1
    )


def solve_sharpe(client: Client, prices: Any) -> PortfolioResult:
    return client.optimize.portfolio(
        prices, objective="maximum_sharpe", estimator="ledoit_wolf", time_limit=TIME_LIMIT_S, seed=1
    )
