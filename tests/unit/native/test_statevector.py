"""The state-vector kernel: programs against plain NumPy on every instruction set and precision."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ketgate_native.statevector import KernelGate, Precision, Program, StateVector

from .statevector_oracle import PAULIS, full_matrix, random_gates, run, unitary


def available() -> list[str]:
    found = []
    for isa in ("base", "avx2", "avx512"):
        try:
            StateVector(1, isa=isa)
        except ValueError:
            continue
        found.append(isa)
    return found


every_isa = pytest.mark.parametrize("isa", available())
every_precision = pytest.mark.parametrize(
    ("precision", "tolerance"), [("double", 1e-13), ("single", 2e-6)]
)
EXACT = {"double": 1e-13, "single": 2e-6}


def after(n: int, gates: list[KernelGate], **options: Any) -> Any:
    threads, fuse = options.pop("threads", 1), options.pop("fuse", True)
    state = StateVector(n, **options)
    state.apply(Program(n, gates, fuse=fuse, **options), threads=threads)
    return state.amplitudes()


def test_the_oracle_is_the_product_of_whole_matrices() -> None:
    gates, state = random_gates(9, 4, 20), np.eye(16)[0]
    for gate in gates:
        state = full_matrix(4, gate) @ state
    np.testing.assert_allclose(run(4, gates), state, atol=1e-13, rtol=0)


@every_isa
@pytest.mark.parametrize("precision", EXACT)
@pytest.mark.parametrize("fuse", [True, False])
def test_random_circuits_are_those_of_numpy(isa: str, precision: Precision, fuse: bool) -> None:
    for seed in range(25):
        n = 1 + seed % 8
        gates = random_gates(seed, n, 4 * n)
        found = after(n, gates, precision=precision, isa=isa, fuse=fuse)
        np.testing.assert_allclose(found, run(n, gates), atol=EXACT[precision], rtol=0)


@every_isa
@every_precision
@pytest.mark.parametrize("targets", [1, 2, 3, 4, 5])
def test_a_gate_on_any_qubits(
    isa: str, precision: Precision, tolerance: float, targets: int
) -> None:
    """Targets that are lanes of a vector, that are not, and mixed."""
    rng = np.random.default_rng(targets)
    spread: list[KernelGate] = [((q,), unitary(rng, 1), 0, 0, None) for q in range(8)]
    for low in range(targets + 1):
        qubits = (*rng.permutation(3)[:low].tolist(), *(3 + rng.permutation(5)).tolist())[:targets]
        for matrix in (unitary(rng, targets), np.exp(1j * rng.normal(size=2**targets))):
            rest = [q for q in range(8) if q not in qubits]
            for controls in ([], rest[:1], rest[-1:], rest[:2]):
                mask = sum(1 << q for q in controls)
                gates = [*spread, (qubits, matrix, mask, mask & 0b10101010, None)]
                found = after(8, gates, precision=precision, isa=isa)
                np.testing.assert_allclose(found, run(8, gates), atol=tolerance, rtol=0)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 7), count=st.integers(0, 30), seed=st.integers(0, 2**32), fuse=st.booleans()
)
def test_any_circuit_keeps_the_norm_and_is_that_of_numpy(
    n: int, count: int, seed: int, fuse: bool
) -> None:
    gates = random_gates(seed, n, count)
    found = after(n, gates, fuse=fuse)
    assert abs(np.linalg.norm(found) - 1.0) < 1e-12
    np.testing.assert_allclose(found, run(n, gates), atol=1e-13, rtol=0)


@pytest.mark.parametrize("precision", EXACT)
def test_blocks_of_large_states(precision: Precision) -> None:
    """Above 15 qubits memory is gone through in blocks, whose qubits change from pass to pass."""
    for seed in range(3):
        gates = random_gates(seed, 17, 60)
        assert Program(17, gates, precision=precision).num_passes > 1
        found = after(17, gates, precision=precision, threads=2)
        np.testing.assert_allclose(found, run(17, gates), atol=EXACT[precision], rtol=0)


@every_isa
def test_the_same_bytes_whatever_the_threads(isa: str) -> None:
    gates = random_gates(3, 17, 60)
    one, two = (after(17, gates, isa=isa, threads=threads) for threads in (1, 2))
    assert one.tobytes() == two.tobytes()


def test_a_program_and_its_inverse_leave_the_start() -> None:
    gates = random_gates(5, 9, 50)
    inverse: list[KernelGate] = [
        (qubits, matrix.conj().T.copy(), control, value, None)
        for qubits, matrix, control, value, _ in reversed(gates)
    ]
    found = after(9, gates + inverse)
    assert abs(found[0] - 1.0) < 1e-12


def test_a_state_goes_on_where_a_program_with_swaps_left_it() -> None:
    """Swaps only exchange names, so the next program finds qubits elsewhere."""
    first, second = random_gates(8, 6, 30), random_gates(9, 6, 30)
    state = StateVector(6)
    state.apply(Program(6, first))
    state.apply(Program(6, second))
    np.testing.assert_allclose(state.amplitudes(), run(6, first + second), atol=1e-13, rtol=0)


def test_what_cancels_leaves_the_state_alone() -> None:
    flip = PAULIS[1, 0]
    gates: list[KernelGate] = [((0,), flip, 2, 2, None), ((0,), flip, 2, 2, None)]
    np.testing.assert_allclose(after(2, gates), [1, 0, 0, 0], atol=1e-15)
    assert Program(2, [((0,), np.eye(2, dtype=complex), 0, 0, None)]).num_gates == 0


def test_matrices_need_not_be_unitary() -> None:
    rng = np.random.default_rng(2)
    gates: list[KernelGate] = [
        ((1, 3), rng.normal(size=(4, 4)).astype(complex), 0, 0, None) for _ in range(3)
    ]
    gates += [((2, 0), np.array([1.0, 0.0, 0.5, 2j]), 0, 0, None)]
    np.testing.assert_allclose(after(4, gates), run(4, gates), rtol=1e-12)


def test_fusion_makes_fewer_clusters_and_diagonal_ones() -> None:
    rng = np.random.default_rng(4)
    phases: list[KernelGate] = [
        ((k, 7), np.exp(1j * rng.normal(size=4)), 0, 0, None) for k in range(7)
    ]
    assert Program(8, phases).clusters == [(8, True)]
    assert Program(8, phases, fuse=False).num_clusters == 7
    layers = [((q,), unitary(rng, 1), 0, 0, None) for _ in range(10) for q in range(4)]
    assert Program(4, layers).num_clusters <= 2  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("gate", "words"),
    [
        (((0, 0), np.eye(4, dtype=complex), 0, 0, None), "distinct qubits below 3"),
        (((3,), np.eye(2, dtype=complex), 0, 0, None), "distinct qubits below 3"),
        (((0,), np.eye(2, dtype=complex), 1, 1, None), "distinct qubits below 3"),
        (((0,), np.eye(2, dtype=complex), 8, 8, None), "expected controls among 3 qubits"),
        (((0,), np.eye(2, dtype=complex), 2, 4, None), "expected controls among 3 qubits"),
        (((0,), np.eye(4, dtype=complex), 0, 0, None), "expected complex128 of shape"),
        (((0,), np.eye(2), 0, 0, None), "expected complex128 of shape"),
        (((0,), np.ones((2, 2, 2), complex), 0, 0, None), "expected complex128 of shape"),
        (((0,), np.eye(2, dtype=complex), 0, 0, np.ones((1, 4, 4))), "generators like"),
    ],
)
def test_what_is_no_gate_is_refused_by_its_place(gate: Any, words: str) -> None:
    fine: KernelGate = ((0,), np.eye(2, dtype=complex), 0, 0, None)
    with pytest.raises(ValueError, match=rf"gates\[1\]: .*{words}"):
        Program(3, [fine, gate])


def test_programs_of_another_kind_are_refused() -> None:
    state = StateVector(3)
    for program in (Program(2, []), Program(3, [], precision="single")):
        with pytest.raises(ValueError, match="expected one for 3 qubits and double"):
            state.apply(program)
    with pytest.raises(ValueError, match="given one for base"):
        StateVector(3, isa=available()[-1]).apply(Program(3, [], isa="base"))
    with pytest.raises(ValueError, match="num_qubits: expected an integer from 0 to 40, given 41"):
        StateVector(41)
    with pytest.raises(ValueError, match="precision: expected 'double' or 'single'"):
        StateVector(1, precision="half")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="isa: expected"):
        StateVector(1, isa="mmx")
