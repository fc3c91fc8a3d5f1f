"""The service without a wire, which the tests of the optimisation domain share."""

from collections.abc import Callable

import pytest
from ketgate.optimization.v1 import optimization_service_pb2 as pb
from ketgate.optimization.v1 import result_pb2
from ketgate_server.limits import LIMITS
from ketgate_server.optimization.engine import Engine
from ketgate_server.optimization.service import OptimizationServicer

from ...specs import LocalCall

Solve = Callable[[pb.SolveSpec], result_pb2.SolveResult]


@pytest.fixture(scope="session")
def servicer() -> OptimizationServicer:
    return OptimizationServicer(LIMITS, Engine(LIMITS, 2))


@pytest.fixture
def solve(servicer: OptimizationServicer) -> Solve:
    """Send a spec to Solve and give its result."""

    def send(spec: pb.SolveSpec) -> result_pb2.SolveResult:
        return servicer.solve(LocalCall(), pb.SolveRequest(spec=spec)).result

    return send
