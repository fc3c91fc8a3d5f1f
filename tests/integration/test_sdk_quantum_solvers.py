"""Quantum solvers through the SDK: the result tells what they did, and what classical search found."""

import json
from collections.abc import Iterator
from typing import Any

import ketgate
import numpy as np
import pytest


@pytest.fixture(scope="module")
def client(server: Any) -> Iterator[ketgate.Client]:
    with ketgate.connect(ready_file=server.ready_file) as made:
        yield made


@pytest.mark.parametrize("solver", ["qaoa", "vqe", "grover"])
def test_a_qubo_by_a_quantum_solver(client: Any, solver: str) -> None:
    result = client.optimize.qubo([[-1, 2, 0], [0, -1, 1], [0, 0, -1]], solver=solver, seed=3)
    assert result.objective == -2
    (run,) = result.runs
    quantum = run.quantum
    assert quantum.evidence.backend == "native"
    assert quantum.evidence.kind == "simulator"
    assert quantum.baseline.value == -2
    assert quantum.baseline.proven
    assert quantum.resources.num_qubits >= 3
    assert quantum.resources.openqasm.startswith("OPENQASM 3")
    assert "classical: exhaustive enumeration -2 (proven)" in repr(result)
    told = json.loads(json.dumps(result.to_dict()))
    assert told["quantum"][solver]["evidence"]["backend"] == "native"


def test_classical_solvers_have_none(client: Any) -> None:
    result = client.optimize.qubo([[-1, 2], [0, -1]])
    assert [run.quantum for run in result.runs] == [None]
    assert "quantum" not in result.to_dict()


def test_a_small_portfolio(client: Any) -> None:
    rng = np.random.default_rng(1)
    factors = rng.normal(size=(6, 2))
    result = client.optimize.portfolio(
        expected_returns=rng.uniform(0, 1, 6),
        covariance=factors @ factors.T + np.eye(6),
        objective="utility",
        risk_aversion=2.0,
        k=(3, 3),
        min_position=0.1,
        solver={"qaoa": {"layers": 2}},
        seed=1,
    )
    assert result.solved
    assert int((np.asarray(result.array) > 0).sum()) == 3
    quantum = result.runs[0].quantum
    assert quantum.method == "subspace"
    assert "surrogate" in quantum.encoding
    assert 0.5 < quantum.approximation_ratio <= 1.0
