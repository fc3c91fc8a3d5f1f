"""OR-Library's portfolios: the published setting, to proven optima."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from ketgate_native import miqp
from numpy.typing import NDArray

INSTANCES = Path(__file__).parents[2] / "instances" / "portfolio_cardinality"
NODES_MAX = 5000  # ten times what the search needs: a generous budget of work, not of seconds
# exactly ten names; see the README beside the instances
PROVEN = [
    ("port1", 0.5, -0.003303997),
    ("port1", 0.9, 0.000159099),
    ("port3", 0.5, -0.003323219),
    ("port3", 0.9, -0.000236757),
    ("port5", 0.5, -0.001440672),
    ("port5", 0.9, 0.000147665),
]


def load(name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    words = gzip.decompress((INSTANCES / f"{name}.txt.gz").read_bytes()).split()
    n = int(words[0])
    moments = np.array(words[1 : 1 + 2 * n], dtype=float).reshape(n, 2)
    correlation = np.eye(n)
    for i, j, value in np.array(words[1 + 2 * n :], dtype=float).reshape(-1, 3):
        correlation[int(i) - 1, int(j) - 1] = correlation[int(j) - 1, int(i) - 1] = value
    return moments[:, 0], correlation * np.outer(moments[:, 1], moments[:, 1])


def solve(name: str, weight: float, names: int, exactly: bool) -> miqp.MIQPResult:
    mean, covariance = load(name)
    return miqp.solve(
        2 * weight * covariance, -(1 - weight) * mean, np.ones((1, len(mean))), [1.0], [1.0],
        0.0, 1.0, cardinality_max=names, cardinality_min=names if exactly else 0,
        position_min=0.01, nodes_max=NODES_MAX,
    )  # fmt: skip


@pytest.mark.parametrize(("name", "weight", "expected"), PROVEN)
def test_exactly_ten_names_are_proven(name: str, weight: float, expected: float) -> None:
    result = solve(name, weight, 10, True)
    assert result.status == "optimal"
    assert result.x is not None
    assert result.objective == pytest.approx(expected, abs=1e-9)
    assert result.objective - result.bound <= 1e-8 * abs(result.objective)
    held = result.x[result.x != 0]
    assert len(held) == 10
    assert held.min() >= 0.01
    assert result.x.sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("name", ["port1", "port3", "port5"])
@pytest.mark.parametrize("names", [5, 15])
@pytest.mark.parametrize("weight", [0.3, 0.95, 0.99])
def test_at_most_is_never_worse_than_exactly(name: str, weight: float, names: int) -> None:
    at_most, exactly = solve(name, weight, names, False), solve(name, weight, names, True)
    assert at_most.status == exactly.status == "optimal"
    assert at_most.objective <= exactly.objective + 1e-12
