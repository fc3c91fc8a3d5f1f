"""Channels of noise by their names, as Kraus operators.

Each function gives what follows one gate: a tuple of channels whose `qubits` are places in the gate's
list of qubits. Probabilities are checked here once more: a ValueError names the argument.
"""

import functools
import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ketgate_server.quantum.noise import Channel

PAULIS: dict[str, NDArray[np.complex128]] = {
    "I": np.eye(2, dtype=np.complex128),
    "X": np.array([[0, 1], [1, 0]], dtype=np.complex128),
    "Y": np.array([[0, -1j], [1j, 0]], dtype=np.complex128),
    "Z": np.array([[1, 0], [0, -1]], dtype=np.complex128),
}
COMPLETE_WITHIN = 1e-9
"""How far sum K^dagger K may be from 1, in any entry."""


def depolarizing(probability: float, num_qubits: int) -> tuple[Channel, ...]:
    """With the probability, up to 4^k / (4^k - 1), the state becomes the maximally mixed one."""
    strings = 4**num_qubits
    _within("probability", probability, 0.0, strings / (strings - 1))
    letters = ["".join(word) for word in itertools.product("IXYZ", repeat=num_qubits)]
    shares = [probability / strings] * strings
    shares[0] = 1.0 - probability * (strings - 1) / strings
    return pauli(letters, shares)


def bit_flip(probability: float, num_qubits: int) -> tuple[Channel, ...]:
    """X on each qubit by itself with the probability."""
    return _each(num_qubits, _flip("X", probability))


def phase_flip(probability: float, num_qubits: int) -> tuple[Channel, ...]:
    """Z on each qubit by itself with the probability."""
    return _each(num_qubits, _flip("Z", probability))


def amplitude_damping(probability: float, num_qubits: int) -> tuple[Channel, ...]:
    """Each qubit falls from |1> to |0> with the probability."""
    _within("probability", probability, 0.0, 1.0)
    kept = np.diag([1.0, math.sqrt(1.0 - probability)])
    fallen = np.array([[0.0, math.sqrt(probability)], [0.0, 0.0]])
    return _each(num_qubits, Channel(_stack([kept, fallen]), (0,)))


def phase_damping(probability: float, num_qubits: int) -> tuple[Channel, ...]:
    """Coherences of each qubit shrink by sqrt(1 - probability)."""
    _within("probability", probability, 0.0, 1.0)
    flipped = (1.0 - math.sqrt(1.0 - probability)) / 2.0
    return _each(num_qubits, _flip("Z", flipped))


def pauli(paulis: Sequence[str], probabilities: Sequence[float]) -> tuple[Channel, ...]:
    """A mixture of Pauli strings, letter j on the gate's qubit j; what is left of the probability
    is no error. The same string may occur twice."""
    if len(paulis) != len(probabilities) or not paulis:
        raise ValueError(
            f"probabilities: expected one for each of {len(paulis)} Pauli strings, "
            f"given {len(probabilities)}"
        )
    size = len(paulis[0])
    shares = {"I" * size: 0.0}
    for word, share in zip(paulis, probabilities, strict=True):
        if len(word) != size or not set(word) <= set(PAULIS):
            raise ValueError(f"paulis: expected {size} letters of I, X, Y, Z, given {word!r}")
        _within("probabilities", share, 0.0, 1.0 + 1e-12)
        shares[word] = shares.get(word, 0.0) + share
    total = sum(shares.values())
    if total > 1.0 + 1e-9:
        raise ValueError(f"probabilities: expected at most 1 together, given {total}")
    shares["I" * size] += max(0.0, 1.0 - total)
    kept = [(word, share) for word, share in shares.items() if share > 0.0]
    operators = [math.sqrt(share) * _pauli_matrix(word) for word, share in kept]
    return (Channel(_stack(operators), tuple(range(size)), tuple(kept)),)


def thermal_relaxation(
    t1_us: float,
    t2_us: float,
    duration_ns: float,
    excited_population: float,
    num_qubits: int,
) -> tuple[Channel, ...]:
    """Relaxation towards the equilibrium (time T1) and loss of phase (T2, at most 2 T1) of each
    qubit during the time. Infinite times are allowed."""
    return _each(num_qubits, relaxation(t1_us, t2_us, duration_ns, excited_population))


def relaxation(t1_us: float, t2_us: float, duration_ns: float, excited: float = 0.0) -> Channel:
    """thermal_relaxation of one qubit."""
    _within("t1_us", t1_us, 0.0, math.inf, open_low=True)
    _within("t2_us", t2_us, 0.0, 2.0 * t1_us, open_low=True)
    _within("duration_ns", duration_ns, 0.0, math.inf)
    _within("excited_population", excited, 0.0, 1.0)
    moved = -math.expm1(-duration_ns / (1000.0 * t1_us))
    coherence = math.exp(-duration_ns / (1000.0 * t2_us))
    # The Choi matrix has a block of the two diagonal operators and two jumps by themselves.
    block = np.array(
        [[1.0 - excited * moved, coherence], [coherence, 1.0 - (1.0 - excited) * moved]]
    )
    values, vectors = np.linalg.eigh(block)
    operators = [
        np.diag(math.sqrt(value) * vectors[:, k]) for k, value in enumerate(values) if value > 1e-16
    ]
    operators.reverse()
    for jump, share in (
        (np.array([[0.0, 1.0], [0.0, 0.0]]), (1.0 - excited) * moved),
        (np.array([[0.0, 0.0], [1.0, 0.0]]), excited * moved),
    ):
        if share > 0.0:
            operators.append(math.sqrt(share) * jump)
    return Channel(_stack(operators), (0,))


def kraus(operators: ArrayLike) -> tuple[Channel, ...]:
    """Kraus operators (m, 2^k, 2^k) on all qubits of the gate, the first the least significant bit;
    sum K^dagger K = 1 to 1e-9."""
    given = np.asarray(operators, dtype=np.complex128)
    size = given.shape[-1].bit_length() - 1 if given.ndim == 3 else 0
    if given.ndim != 3 or given.shape[1:] != (2**size, 2**size) or not size or not len(given):
        raise ValueError(f"kraus: expected shape (m, 2^k, 2^k), given {given.shape}")
    if not np.isfinite(given).all():
        raise ValueError("kraus: expected finite numbers")
    excess = np.abs(np.einsum("mji,mjk->ik", given.conj(), given) - np.eye(2**size)).max()
    if excess > COMPLETE_WITHIN:
        raise ValueError(
            f"kraus: expected sum K^dagger K = 1 to {COMPLETE_WITHIN}, given a sum that is "
            f"{excess:.3g} away"
        )
    return (Channel(given, tuple(range(size))),)


def pauli_matrix(word: str) -> NDArray[np.complex128]:
    """Of a string of letters, letter j on qubit j, the first the least significant bit."""
    out: NDArray[np.complex128] = np.eye(1, dtype=np.complex128)
    for letter in word:
        out = np.asarray(np.kron(PAULIS[letter], out), dtype=np.complex128)
    return out


_pauli_matrix = functools.lru_cache(maxsize=128)(pauli_matrix)
"""Few strings stand in many channels."""


def _flip(letter: str, probability: float) -> Channel:
    _within("probability", probability, 0.0, 1.0)
    return pauli(["I", letter], [1.0 - probability, probability])[0]


def _each(num_qubits: int, channel: Channel) -> tuple[Channel, ...]:
    return tuple(Channel(channel.kraus, (q,), channel.paulis) for q in range(num_qubits))


def _stack(operators: Sequence[ArrayLike]) -> NDArray[np.complex128]:
    out = np.array(operators, dtype=np.complex128)
    out.setflags(write=False)
    return out


def _within(name: str, value: float, low: float, high: float, *, open_low: bool = False) -> None:
    if not low <= value <= high or (open_low and value == low):
        border = f"above {low:g}" if open_low else f"from {low:g}"
        raise ValueError(f"{name}: expected a number {border} to {high:g}, given {value}")
