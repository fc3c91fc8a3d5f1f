"""The check that a matrix is positive semidefinite."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ketgate_native import qp
from ketgate_native.monitor import Monitor


@given(st.integers(0, 2**32 - 1))
def test_it_agrees_with_the_eigenvalues(seed: int) -> None:
    random = np.random.default_rng(seed)
    n = int(random.integers(1, 70))
    B = random.normal(size=(n, int(random.integers(1, 2 * n + 1))))
    Q = B @ B.T - (random.choice([0.0, 1e-6, 0.1]) * np.eye(n))
    least = float(np.linalg.eigvalsh(Q)[0])
    found = qp.psd_check(Q)
    largest = float(np.abs(Q.diagonal()).max())
    if abs(least + 1e-10 * largest) > 1e-11 * largest:  # not on the edge itself
        assert found.is_psd == (least >= -1e-10 * largest)
    if not found.is_psd:
        assert found.eigenvector is not None
        assert found.min_eigenvalue == pytest.approx(least, rel=1e-5)
        v = found.eigenvector
        assert v @ v == pytest.approx(1.0)
        assert v @ Q @ v == pytest.approx(least, rel=1e-5, abs=1e-12)


def test_a_large_indefinite_matrix() -> None:
    n = 1100
    random = np.random.default_rng(0)
    Q = np.diag(random.uniform(1, 2, n))
    Q[3, 5] = Q[5, 3] = -4.0
    found = qp.psd_check(Q)
    exact = np.linalg.eigvalsh(Q[np.ix_([3, 5], [3, 5])])[0]
    assert found.min_eigenvalue == pytest.approx(exact, rel=1e-6)
    assert found.eigenvector is not None
    assert set(np.argsort(-np.abs(found.eigenvector))[:2].tolist()) == {3, 5}


@pytest.mark.parametrize(
    ("matrix", "is_psd"),
    [
        (np.zeros((0, 0)), True),
        (np.zeros((3, 3)), True),
        ([[1e-300]], True),
        ([[-1e-300]], False),
        ([[0.0, 1.0], [1.0, 0.0]], False),
        (np.ones((50, 50)), True),
        ([[1.0, 0.0], [0.0, -1e-11]], True),
        ([[1.0, 0.0], [0.0, -1e-9]], False),
    ],
)
def test_edges(matrix: object, is_psd: bool) -> None:
    assert qp.psd_check(matrix).is_psd is is_psd  # type: ignore[arg-type]


@pytest.mark.parametrize("isa", ["base", "avx2", "avx512"])
def test_every_instruction_set(isa: str) -> None:
    n = 131
    B = np.random.default_rng(0).normal(size=(n, n))
    try:
        assert qp.psd_check(B @ B.T, isa=isa).is_psd  # type: ignore[arg-type]
    except ValueError:
        pytest.skip(f"this CPU has no {isa}")
    assert not qp.psd_check(B @ B.T - np.eye(n), isa=isa).is_psd  # type: ignore[arg-type]


def test_it_can_be_stopped_and_refuses_what_is_no_matrix() -> None:
    monitor = Monitor(0)
    monitor.cancel()
    with pytest.raises(TimeoutError):
        qp.psd_check(np.eye(300), monitor=monitor)
    for wrong in ([[np.nan]], [[np.inf]], [[1.0, 2.0]], [1.0]):
        with pytest.raises(ValueError, match=r"^Q: "):
            qp.psd_check(wrong)
