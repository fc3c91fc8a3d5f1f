"""Specs without solving them: the arguments of `client.optimize`'s methods made into a SolveSpec.

>>> spec = ketgate.specs.portfolio(prices, k=10)
>>> client.optimize.estimate(spec).memory_bytes
"""

from collections.abc import Callable
from typing import Any, ParamSpec

from ketgate import _portfolio, _programs
from ketgate._options import Prepared
from ketgate._signature import describe_as
from ketgate.optimization.v1.optimization_service_pb2 import SolveSpec

P = ParamSpec("P")


def _spec_of(build: Callable[P, Prepared[Any]]) -> Callable[P, SolveSpec]:
    def function(*args: P.args, **kwargs: P.kwargs) -> SolveSpec:
        return build(*args, **kwargs).spec

    return describe_as(function, build, bound=False, returns=SolveSpec)


portfolio = _spec_of(_portfolio.portfolio)
frontier = _spec_of(_portfolio.frontier)
qubo = _spec_of(_programs.qubo)
ising = _spec_of(_programs.ising)
binary = _spec_of(_programs.binary)
linear = _spec_of(_programs.linear)

__all__ = ["SolveSpec", "binary", "frontier", "ising", "linear", "portfolio", "qubo"]
