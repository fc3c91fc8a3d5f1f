"""Adjoint gradients of the state-vector kernel against finite differences of plain NumPy."""

from typing import Any

import numpy as np
import pytest
from ketgate_native.monitor import Monitor, Stopped
from ketgate_native.statevector import KernelGate, Precision, Program, StateVector

from .statevector_oracle import PAULIS, pauli, random_gate, random_strings, run

STEP = 1e-5


def turning(rng: np.random.Generator, n: int) -> tuple[Any, Any, Any, Any]:
    """A rotation about a random Pauli string of up to three qubits: (qubits, generator, controls).
    With Zs alone it is diagonal."""
    order = rng.permutation(n).tolist()
    k = int(rng.integers(1, min(n, 3) + 1))
    letters = [((0, 1), (1, 0), (1, 1))[rng.integers(0, 3)] for _ in range(k)]
    if rng.random() < 0.4:
        letters = [(0, 1)] * k
    string = np.eye(1)
    for letter in letters:
        string = np.kron(PAULIS[letter], string)
    controls = order[k : k + 1] if rng.random() < 0.3 else []
    return tuple(order[:k]), -0.5j * string, sum(1 << q for q in controls), len(string)


def rotated(angle: float, generator: Any) -> Any:
    return np.cos(angle / 2) * np.eye(len(generator)) + 2 * np.sin(angle / 2) * generator


def circuit(seed: int, n: int, turns: int) -> tuple[list[Any], list[float]]:
    """Fixed gates and turns, and the angles of the turns."""
    rng = np.random.default_rng(seed)
    parts: list[Any] = []
    for _ in range(turns):
        parts.append(turning(rng, n))
        if rng.random() < 0.5:
            parts.append(random_gate(rng, n, 2))
    return parts, rng.uniform(-3, 3, turns).tolist()


def gates_at(parts: list[Any], angles: list[float]) -> list[KernelGate]:
    left, gates = list(angles), []
    for part in parts:
        if len(part) == 5:
            gates.append(part)
            continue
        qubits, generator, control, _ = part
        matrix = rotated(left.pop(0), generator)
        gates.append((qubits, matrix, control, control, generator[None]))
    return gates


def value(n: int, gates: list[KernelGate], observable: tuple[Any, Any, Any]) -> float:
    psi = run(n, gates)
    terms = zip(*observable, strict=True)
    return sum(c * np.vdot(psi, pauli(n, int(x), int(z)) @ psi).real for c, x, z in terms)


def found(n: int, gates: list[KernelGate], observable: Any, **options: Any) -> Any:
    threads = options.pop("threads", 1)
    program = Program(n, gates, gradient=True, **options)
    options.pop("fuse", None)
    state = StateVector(n, **options)
    state.apply(program, threads=threads)
    before = state.amplitudes()
    slopes = state.gradient(program, *observable, threads=threads)
    np.testing.assert_array_equal(state.amplitudes(), before)
    return slopes


@pytest.mark.parametrize("fuse", [True, False])
@pytest.mark.parametrize(("precision", "tolerance"), [("double", 1e-8), ("single", 2e-5)])
def test_gradients_are_those_of_finite_differences(
    precision: Precision, tolerance: float, fuse: bool
) -> None:
    for seed in range(8):
        n = 1 + seed % 5
        parts, angles = circuit(seed, n, 10)
        observable = random_strings(seed, n, 6)
        slopes = found(n, gates_at(parts, angles), observable, precision=precision, fuse=fuse)
        for k in range(len(angles)):
            ends = []
            for step in (-STEP, STEP):
                moved = [a + step * (j == k) for j, a in enumerate(angles)]
                ends.append(value(n, gates_at(parts, moved), observable))
            expected = (ends[1] - ends[0]) / (2 * STEP)
            assert slopes[k] == pytest.approx(expected, abs=tolerance), (seed, k)


@pytest.mark.parametrize("isa", ["base", "avx2"])
def test_every_instruction_set_has_the_same_gradient(isa: str) -> None:
    parts, angles = circuit(3, 9, 40)
    gates, observable = gates_at(parts, angles), random_strings(3, 9, 12)
    try:
        slopes = found(9, gates, observable, isa=isa)
    except ValueError:
        pytest.skip(f"this CPU lacks {isa}")
    np.testing.assert_allclose(slopes, found(9, gates, observable), atol=1e-12)


def test_blocks_of_large_states_have_the_same_gradient_whatever_the_threads() -> None:
    parts, angles = circuit(4, 17, 40)
    gates, observable = gates_at(parts, angles), random_strings(4, 17, 8)
    one, two = (found(17, gates, observable, threads=threads) for threads in (1, 2))
    assert one.tobytes() == two.tobytes()
    np.testing.assert_allclose(one, found(17, gates, observable, fuse=False), atol=1e-11)


def test_a_gradient_needs_its_program_and_can_be_stopped() -> None:
    parts, angles = circuit(5, 16, 5)
    gates, observable = gates_at(parts, angles), random_strings(5, 16, 3)
    state, monitor = StateVector(16), Monitor(0)
    with pytest.raises(ValueError, match="made with gradient=True"):
        state.gradient(Program(16, gates), *observable)
    monitor.cancel()
    with pytest.raises(Stopped):
        state.gradient(Program(16, gates, gradient=True), *observable, monitor=monitor)


def test_no_slots_no_slopes() -> None:
    program = Program(2, [], gradient=True)
    assert StateVector(2).gradient(program, [1.0], [0], [1]).shape == (0,)
