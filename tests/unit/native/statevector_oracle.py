"""State vectors in plain NumPy: slow, obvious, what the kernel is held against."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from ketgate_native.statevector import KernelGate
from numpy.typing import NDArray

State = NDArray[np.complex128]
PAULIS = {
    (0, 0): np.eye(2, dtype=np.complex128),
    (1, 0): np.array([[0, 1], [1, 0]], dtype=np.complex128),
    (0, 1): np.array([[1, 0], [0, -1]], dtype=np.complex128),
    (1, 1): np.array([[0, -1j], [1j, 0]], dtype=np.complex128),
}


def full_matrix(n: int, gate: KernelGate) -> State:
    """(2^n, 2^n), entry by entry from what a gate is said to mean."""
    qubits, given, control, value, _ = gate
    small = np.diag(given) if given.ndim == 1 else given
    places = np.arange(2**n)
    inner = sum((((places >> q) & 1) << k for k, q in enumerate(qubits)), np.zeros_like(places))
    mask = sum(1 << q for q in qubits)
    same = (places[:, None] & ~mask) == (places[None, :] & ~mask)
    acted = np.where(same, small[inner[:, None], inner[None, :]], 0.0)
    held = (places & control) == value
    return np.where(held[:, None], acted, np.eye(2**n))


def run(n: int, gates: Sequence[KernelGate]) -> State:
    """From |0...0>, without matrices of 4^n entries."""
    state = np.eye(1, 2**n, dtype=np.complex128)[0]
    places = np.arange(2**n)
    for qubits, given, control, value, _ in gates:
        small = np.diag(given) if given.ndim == 1 else given
        mask = sum(1 << q for q in qubits)
        base = places[((places & control) == value) & ((places & mask) == 0)]
        inner = range(len(small))
        at = np.array(
            [base | sum(((i >> k) & 1) << q for k, q in enumerate(qubits)) for i in inner]
        )
        state[at] = np.einsum("ij,jk", small, state[at])
    return state


def pauli(n: int, x: int, z: int) -> State:
    out = np.eye(1, dtype=np.complex128)
    for q in reversed(range(n)):
        out = np.kron(out, PAULIS[(x >> q) & 1, (z >> q) & 1])
    return out


def unitary(rng: np.random.Generator, k: int) -> State:
    shape = (2**k, 2**k)
    return np.linalg.qr(rng.normal(size=shape) + 1j * rng.normal(size=shape))[0]


def random_gate(rng: np.random.Generator, n: int, targets_max: int = 4) -> KernelGate:
    """Dense, diagonal, controlled, a flip, a swap: what the kernel treats differently."""
    order = rng.permutation(n).tolist()
    k = int(rng.integers(1, min(n, targets_max) + 1))
    kind = rng.random()
    matrix: NDArray[Any]
    if kind < 0.3:
        matrix = np.exp(2j * np.pi * rng.random(2**k))
    elif kind < 0.45:
        k, matrix = 1, PAULIS[1, 0]
    elif kind < 0.55 and n > 1:
        k, matrix = 2, np.eye(4, dtype=np.complex128)[[0, 2, 1, 3]]
    else:
        matrix = unitary(rng, k)
    controls = order[k : k + int(rng.integers(0, 4))] if rng.random() < 0.4 else []
    value = sum(1 << q for q in controls if rng.random() < 0.6)
    return tuple(order[:k]), matrix, sum(1 << q for q in controls), value, None


def random_gates(seed: int, n: int, count: int, targets_max: int = 4) -> list[KernelGate]:
    rng = np.random.default_rng(seed)
    return [random_gate(rng, n, targets_max) for _ in range(count)]


def random_strings(seed: int, n: int, count: int) -> tuple[Any, Any, Any]:
    """(coefficients, x, z), with strings that share their x."""
    rng = np.random.default_rng(seed)
    x = rng.choice(rng.integers(0, 2**n, size=max(1, count // 3)), size=count).astype(np.uint64)
    return rng.normal(size=count), x, rng.integers(0, 2**n, size=count).astype(np.uint64)
