"""Shots of a compiled circuit: samples of one state where everything is measured at its end, else
one simulation for all shots that read the same so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ketgate_native.monitor import Monitor
from ketgate_native.statevector import Program, StateVector
from numpy.typing import NDArray

from ketgate_server.quantum.base import Precision
from ketgate_server.quantum.native.compiled import Choosing, Clearing, Compiled, Node, Reading

Values = NDArray[np.uint64]
PROBABILITY_MIN = 1e-12
LIVE_STATES = 8
"""States that wait at forks, at least; what forks beyond starts again from the beginning."""
SMALL_STATES_BYTES = 64 << 20
"""More may wait as long as they are no larger than this together."""
TALLIED_BITS_MAX = 12
"""Values of more bits are sorted to count them."""
_GOLDEN = 0x9E3779B97F4A7C15
_WORD = 0xFFFFFFFFFFFFFFFF


@dataclass(frozen=True)
class How:
    """precision, threads and monitor of every call; seed: of this circuit, 64 bits."""

    precision: Precision
    threads: int
    monitor: Monitor
    seed: int

    def state(self, num_qubits: int) -> StateVector:
        return StateVector(num_qubits, precision=self.precision.value)

    def apply(self, state: StateVector, program: Program) -> None:
        state.apply(program, threads=self.threads, monitor=self.monitor)

    def sample(self, state: StateVector, shots: int, qubits: Sequence[int], call: int) -> Values:
        seed = (self.seed + call * _GOLDEN) & _WORD
        return state.sample(shots, seed, qubits=qubits, threads=self.threads, monitor=self.monitor)

    def collapse(self, state: StateVector, qubits: Sequence[int], value: int) -> None:
        state.collapse(qubits, value, threads=self.threads, monitor=self.monitor)


def live_states_max(num_qubits: int, precision: Precision) -> int:
    """How many states wait at forks."""
    amplitude_bytes = 8 if precision is Precision.SINGLE else 16
    return max(LIVE_STATES, SMALL_STATES_BYTES // (amplitude_bytes << num_qubits))


def in_bits(value: int, bits: Sequence[int], memory: int = 0) -> int:
    """memory with bit bits[j] replaced by bit j of value, in order."""
    for j, bit in enumerate(bits):
        memory = memory & ~(1 << bit) | ((value >> j) & 1) << bit
    return memory


def occurrences(values: Values, num_bits: int) -> tuple[list[int], list[int]]:
    """The distinct values, ascending, and how often each occurs."""
    if num_bits > TALLIED_BITS_MAX:
        found, counts = np.unique(values, return_counts=True)
        return found.tolist(), counts.tolist()
    tally = np.bincount(values.view(np.int64), minlength=1)
    seen = np.flatnonzero(tally)
    return seen.tolist(), tally[seen].tolist()


def counted(values: Values, bits: Sequence[int], memory: int = 0) -> dict[int, int]:
    """Counts of memory after readings of values."""
    found, counts = occurrences(values, len(bits))
    if memory or list(bits) != list(range(len(bits))):
        found = [in_bits(value, bits, memory) for value in found]
    return dict(zip(found, counts, strict=True))


def rows(values: Values, bits: Sequence[int], num_bits: int) -> NDArray[np.uint8]:
    """(shots, num_bits), each shot's bits."""
    out = np.zeros((len(values), num_bits), dtype=np.uint8)
    for j, bit in enumerate(bits):
        out[:, bit] = (values >> np.uint64(j)) & np.uint64(1)
    return out


def exact_probabilities(state: StateVector, reading: Reading, how: How) -> dict[int, float]:
    """Above PROBABILITY_MIN."""
    weights = state.probabilities(reading.qubits, threads=how.threads, monitor=how.monitor)
    likely = np.flatnonzero(weights > PROBABILITY_MIN)
    return {
        in_bits(value, reading.bits): p
        for value, p in zip(likely.tolist(), weights[likely].tolist(), strict=True)
    }


@dataclass
class _Fork:
    """A state before a reading, and the results with which shots have yet to go on. state None: it
    is made again from the history, the results of all readings before."""

    state: StateVector | None
    rest: tuple[Node, ...]
    memory: int
    history: tuple[int, ...]
    values: list[int]
    counts: list[int]


class Branches:
    """All shots of a circuit that goes on after it measured.

    Where shots meet a reading, its results are drawn for all of them at once; each distinct result
    goes on by itself, depth first, with a copy of the state.
    """

    def __init__(self, compiled: Compiled, how: How) -> None:
        self._compiled = compiled
        self._how = how
        self._draws = 0
        self._forks: list[_Fork] = []
        self._live_max = live_states_max(compiled.num_qubits, how.precision)
        self._counts: dict[int, int] = {}

    def run(self, shots: int) -> dict[int, int]:
        """Counts by what the classical bits hold in the end."""
        state = self._how.state(self._compiled.num_qubits)
        self._onward(state, self._compiled.nodes, 0, shots, ())
        while self._forks:
            fork = self._forks[-1]
            value, count = fork.values.pop(), fork.counts.pop()
            if not fork.values:
                self._forks.pop()
            state = self._again(fork) if fork.state is None else fork.state
            if fork.values and fork.state is not None:
                state = state.copy()
            memory = self._read(state, fork.rest[0], value, fork.memory)
            self._onward(state, fork.rest[1:], memory, count, (*fork.history, value))
        return self._counts

    def _again(self, fork: _Fork) -> StateVector:
        """The circuit from its beginning, as the history reads it."""
        state = self._how.state(self._compiled.num_qubits)
        rest, memory = self._to_reading(state, self._compiled.nodes, 0), 0
        for value in fork.history:
            memory = self._read(state, rest[0], value, memory)
            rest = self._to_reading(state, rest[1:], memory)
        return state

    def _to_reading(
        self, state: StateVector, rest: tuple[Node, ...], memory: int
    ) -> tuple[Node, ...]:
        """Run to the next node at which something random happens."""
        while rest:
            node = rest[0]
            if isinstance(node, Program):
                self._how.apply(state, node)
                rest = rest[1:]
            elif isinstance(node, Choosing):
                rest = (node.then if node.condition.holds(memory) else node.otherwise) + rest[1:]
            else:
                break
        return rest

    def _read(self, state: StateVector, node: Node, value: int, memory: int) -> int:
        if isinstance(node, Reading):
            self._how.collapse(state, node.qubits, value)
            return in_bits(value, node.bits, memory)
        assert isinstance(node, Clearing)
        self._how.collapse(state, (node.qubit,), value)
        if value:
            self._how.apply(state, node.flip)
        return memory

    def _onward(
        self,
        state: StateVector,
        rest: tuple[Node, ...],
        memory: int,
        shots: int,
        history: tuple[int, ...],
    ) -> None:
        """To the next reading, or to the end."""
        rest = self._to_reading(state, rest, memory)
        if not rest:
            self._counts[memory] = self._counts.get(memory, 0) + shots
            return
        node = rest[0]
        assert isinstance(node, Reading | Clearing)
        qubits = node.qubits if isinstance(node, Reading) else (node.qubit,)
        values = self._how.sample(state, shots, qubits, self._draws)
        self._draws += 1
        if len(rest) == 1:
            bits = node.bits if isinstance(node, Reading) else ()
            for value, count in zip(*occurrences(values, len(qubits)), strict=True):
                read = in_bits(value, bits, memory)
                self._counts[read] = self._counts.get(read, 0) + count
            return
        found, counts = occurrences(values, len(qubits))
        live = sum(fork.state is not None for fork in self._forks)
        kept = state if len(found) == 1 or live < self._live_max else None
        self._forks.append(_Fork(kept, rest, memory, history, found, counts))
