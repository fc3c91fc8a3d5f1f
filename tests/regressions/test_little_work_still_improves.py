"""A small limit of work returned the start.

The native search works in blocks of one sweep of all replicas, 320,000 moves at 10,000 spins. A
caller who allowed 1,000 moves got a start that nothing had improved, marked FEASIBLE like any answer.
"""

import numpy as np
from ketgate.optimization.v1 import optimization_service_pb2 as pb
from ketgate_server.limits import LIMITS
from ketgate_server.optimization.engine import Engine
from ketgate_server.optimization.service import OptimizationServicer

from ..specs import LocalCall, qubo

SERVICER = OptimizationServicer(LIMITS, Engine(LIMITS, 2))


def objective(matrix: np.ndarray, work: int) -> float:
    spec = qubo(matrix)
    spec.seed = 1
    spec.work_limit = work
    spec.solvers.add(name="local-search")
    return SERVICER.solve(LocalCall(), pb.SolveRequest(spec=spec)).result.objective


def test_a_few_moves_already_descend_and_more_are_never_worse() -> None:
    matrix = np.triu(np.random.default_rng(1).normal(size=(100, 100)))
    found = [objective(matrix, work) for work in (1, 10, 100, 1_000, 5_000, 50_000, 500_000)]
    assert found == sorted(found, reverse=True)
    start, descended, best = found[0], found[2], found[-1]
    assert descended < start - 0.5 * (start - best)
