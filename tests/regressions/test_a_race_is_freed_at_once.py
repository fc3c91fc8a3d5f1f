"""Memory grew by megabytes a solve.

A race and its board held each other, and with them the problem's arrays, until Python's collector
of cycles came by, hundreds of solves later.
"""

import gc
import threading

import numpy as np
from ketgate.optimization.v1 import optimization_service_pb2 as pb
from ketgate_server.limits import LIMITS
from ketgate_server.optimization.engine import Engine
from ketgate_server.optimization.race import Race
from ketgate_server.optimization.service import OptimizationServicer

from ..specs import LocalCall, qubo

SERVICER = OptimizationServicer(LIMITS, Engine(LIMITS, 2))


def test_no_cycle_keeps_a_finished_race() -> None:
    spec = qubo(np.triu(np.random.default_rng(0).normal(size=(60, 60))))
    spec.work_limit = 10_000
    spec.seed = 1
    gc.collect()
    gc.disable()
    try:
        SERVICER.solve(LocalCall(), pb.SolveRequest(spec=spec))
        # The last thread may still be on its way out: it ends on its own, and its race with it.
        for thread in threading.enumerate():
            if thread.name.startswith("solver-"):
                thread.join()
        assert not [found for found in gc.get_objects() if isinstance(found, Race)]
    finally:
        gc.enable()
