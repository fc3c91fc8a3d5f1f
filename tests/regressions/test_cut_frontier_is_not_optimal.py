"""A frontier that was cut short was called OPTIMAL.

The race took the least-variance portfolio, whose bound met it, for the whole answer: it told the
solver to stop at the first of forty portfolios and answered OPTIMAL with a gap of 0. A caller who
read only the status took the last portfolio found for the one of the greatest return.
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
POINTS = 12


def frontier(work_limit: int) -> result_pb2.SolveResult:
    draw = np.random.default_rng(3)
    returns = draw.normal(size=(40, 8))
    spec = pb.SolveSpec(work_limit=work_limit, seed=1)
    spec.portfolio.moments.covariance.CopyFrom(tensor(returns.T @ returns / 40))
    spec.portfolio.moments.expected_returns.CopyFrom(tensor(draw.uniform(0.0, 0.2, 8)))
    spec.portfolio.objective.efficient_frontier.points = POINTS
    spec.portfolio.constraints.cardinality.names_max = 3
    return SERVICER.solve(LocalCall(), pb.SolveRequest(spec=spec)).result


def test_all_portfolios_are_proven_or_it_is_not_optimal() -> None:
    whole = frontier(work_limit=0)
    assert whole.status == result_pb2.SOLVE_STATUS_OPTIMAL
    assert whole.frontier.weights.shape[0] == POINTS


@pytest.mark.parametrize("work_limit", [1, 2, 5])
def test_a_cut_frontier_is_feasible_and_claims_no_gap(work_limit: int) -> None:
    cut = frontier(work_limit)
    if cut.HasField("frontier") and cut.frontier.weights.shape[0] == POINTS:
        pytest.fail("the limit cut nothing: choose a smaller one")
    assert cut.status == result_pb2.SOLVE_STATUS_FEASIBLE
    assert not cut.HasField("gap")
