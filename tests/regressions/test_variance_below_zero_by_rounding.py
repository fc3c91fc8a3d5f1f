"""A variance of -6e-183 was answered INTERNAL.

It passes the check of semidefiniteness, whose tolerance is relative to the greatest variance, but
branch-and-bound's kernel refused it, and no solver was left. Found by the request fuzzer.
"""

import numpy as np
import pytest
from ketgate.optimization.v1 import optimization_service_pb2 as pb
from ketgate.optimization.v1 import result_pb2
from ketgate_server.limits import LIMITS
from ketgate_server.optimization.engine import Engine
from ketgate_server.optimization.service import OptimizationServicer

from ..specs import LocalCall, tensor

SERVICER = OptimizationServicer(LIMITS, Engine(LIMITS, 2))


@pytest.mark.parametrize("objective", ["minimum_variance", "utility", "efficient_frontier"])
def test_it_is_solved(objective: str) -> None:
    spec = pb.SolveSpec(seed=1)
    spec.portfolio.moments.covariance.CopyFrom(tensor(np.diag([1.0, 0.5, -5.6e-183])))
    spec.portfolio.moments.expected_returns.CopyFrom(tensor([0.1, 0.2, 0.3]))
    getattr(spec.portfolio.objective, objective).SetInParent()
    spec.portfolio.constraints.cardinality.names_max = 2
    result = SERVICER.solve(LocalCall(), pb.SolveRequest(spec=spec)).result
    assert result.status in (
        result_pb2.SOLVE_STATUS_OPTIMAL,
        result_pb2.SOLVE_STATUS_FEASIBLE,
    )
