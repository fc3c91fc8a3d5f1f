"""A server without a library runs, offers what is left, and says what is missing.

The library is hidden from a Python of its own, as parts are looked up once a process.
"""

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

PROGRAM = """
import importlib.abc, json, sys

class Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == HIDDEN:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None

sys.meta_path.insert(0, Hidden())
import numpy as np
from ketgate.optimization.v1 import optimization_service_pb2 as pb
from ketgate_server.errors import KetgateError
from ketgate_server.limits import LIMITS
from ketgate_server.optimization.engine import Engine
from ketgate_server.optimization.service import OptimizationServicer
from tests.specs import LocalCall, linear, qubo, tensor

servicer = OptimizationServicer(LIMITS, Engine(LIMITS, 1))
listed = servicer.list_solvers(LocalCall(), pb.ListSolversRequest()).solvers
told = {"available": {solver.name: solver.available for solver in listed}}

def portfolio(objective, k=0, lower=None, turnover=False):
    spec = pb.SolveSpec()
    spec.time_limit.seconds = 20
    asked = spec.portfolio
    asked.moments.covariance.CopyFrom(tensor(np.diag([1.0, 2.0, 3.0, 4.0])))
    asked.moments.expected_returns.CopyFrom(tensor([0.1, 0.2, 0.3, 0.4]))
    getattr(asked.objective, objective).SetInParent()
    limits = asked.constraints
    limits.cardinality.names_max = k
    if lower is not None:
        limits.lower.CopyFrom(tensor([lower]))
    if turnover:
        asked.current.weights.CopyFrom(tensor([0.5, 0.5, 0.0, 0.0]))
        limits.turnover_max = 0.5
    return spec

def named(spec, name):
    spec.solvers.add().name = name
    return spec

specs = {
    "few names": portfolio("minimum_variance", k=2),
    "few names, small turnover": portfolio("minimum_variance", k=2, turnover=True),
    "few names, infeasible": portfolio("minimum_variance", k=2, lower=0.3),
    "few names, ratio": portfolio("maximum_sharpe", k=2),
    "few names, frontier": portfolio("efficient_frontier", k=2),
    "few names, no aversion": portfolio("utility", k=2),
    "infeasible": portfolio("minimum_variance", lower=0.3),
    "frontier": portfolio("efficient_frontier"),
    "linear": linear([1.0], [[1.0]], [1.0], [2.0]),
    "qubo": qubo(np.triu(np.ones((30, 30)))),
    "by highs-qp": named(portfolio("minimum_variance"), "highs-qp"),
    "by clarabel": named(portfolio("minimum_variance"), "clarabel"),
}
specs["qubo"].work_limit = 1
for name, spec in specs.items():
    try:
        told[name] = servicer.solve(LocalCall(), pb.SolveRequest(spec=spec)).result.status
    except KetgateError as error:
        told[name] = error.message
print(json.dumps(told))
"""
OPTIMAL, INFEASIBLE = 1, 3


def without(module: str) -> dict[str, Any]:
    program = f"HIDDEN = {module!r}\n{textwrap.dedent(PROGRAM)}"
    found = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        cwd=Path(__file__).parents[3],
    )
    told: dict[str, Any] = json.loads(found.stdout.splitlines()[-1])
    return told


@pytest.mark.parametrize(
    ("module", "gone"), [("highspy", {"highs", "highs-qp"}), ("clarabel", {"clarabel"})]
)
def test_without_a_library_only_what_needs_it_is_gone(module: str, gone: set[str]) -> None:
    told = without(module)
    assert {name for name, available in told["available"].items() if not available} == gone
    needs_highs = {
        "linear",
        "by highs-qp",
        "few names, ratio",
        "few names, frontier",
        "few names, no aversion",
    }
    refused = needs_highs if module == "highspy" else {"by clarabel"}
    assert {name for name, answer in told.items() if isinstance(answer, str)} == refused
    for name in refused:
        assert f"pip install {module}" in told[name]
    for name in {"few names", "few names, small turnover", "frontier"} - refused:
        assert told[name] == OPTIMAL, name
    for name in ("infeasible", "few names, infeasible"):
        assert told[name] == INFEASIBLE
