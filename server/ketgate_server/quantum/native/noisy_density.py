"""Exact noise: the density matrix as a vector of Pauli expectations.

A measurement amid the circuit splits the state by what is read; states in which the same was read
add up, so that circuits which reuse a bit stay small.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from ketgate_native.density import PAULI_QUBITS_MAX, pauli_apply
from ketgate_native.monitor import Monitor
from numpy.typing import NDArray

from ketgate_server.quantum.native.noisy_fusion import wide_transfer
from ketgate_server.quantum.native.noisy_plan import Plan
from ketgate_server.quantum.native.noisy_steps import Choice, Fused, Record, Step, Wide
from ketgate_server.quantum.noise_transfer import Transfer, transfer_of_kraus

Vector = NDArray[np.float64]
QUBITS_MAX = PAULI_QUBITS_MAX
BRANCHES_MAX = 256
BRANCHES_BYTES_MAX = 128 << 20
"""States by what was read amid the circuit; more are left to trajectories, though two may always
be."""
WIDE_QUBITS_MAX = 5
NOTHING = 1e-15


class TooManyBranches(Exception):  # noqa: N818 - a way to go, not an error
    """More outcomes amid the circuit than may be kept."""


class Density:
    """States by what was read so far: bit i of the key is classical bit i."""

    def __init__(self, plan: Plan, *, threads: int, monitor: Monitor | None) -> None:
        self._plan, self._threads, self._monitor = plan, threads, monitor
        start = np.zeros((4,) * plan.num_qubits)
        start[tuple(slice(0, 4, 3) for _ in range(plan.num_qubits))] = 1.0
        self.states: dict[int, Vector] = {0: start.reshape(-1)}
        self._go(plan.steps)

    def _go(self, steps: Sequence[Step]) -> None:
        waiting: list[Fused] = []
        for step in steps:
            if isinstance(step, Fused):
                waiting.append(step)
                continue
            if isinstance(step, Wide):
                transfer = wide_transfer(step)
                waiting.append(Fused(step.gate.qubits, transfer, np.eye(1, dtype=np.complex128)))
                continue
            self._apply(waiting)
            waiting = []
            if isinstance(step, Record):
                self._record(step)
            else:
                self._choose(step)
        self._apply(waiting)

    def _apply(self, maps: Sequence[Fused]) -> None:
        if not maps:
            return
        sizes = [len(one.qubits) for one in maps]
        qubits = [qubit for one in maps for qubit in one.qubits]
        matrices = np.concatenate([one.transfer.reshape(-1) for one in maps])
        for vector in self.states.values():
            pauli_apply(
                vector,
                self._plan.num_qubits,
                sizes,
                qubits,
                matrices,
                threads=self._threads,
                monitor=self._monitor,
            )

    def _record(self, step: Record) -> None:
        split: dict[int, Vector] = {}
        for read in (0, 1):
            transfer = _instrument(read, step.flips)
            for memory, vector in self.states.items():
                part = vector.copy()
                pauli_apply(part, self._plan.num_qubits, [1], [step.qubit], transfer.reshape(-1))
                if part[0] > NOTHING:
                    self._add(split, (memory & ~(1 << step.bit)) | (read << step.bit), part)
        self.states = split

    def _choose(self, step: Choice) -> None:
        whole = self.states
        joined: dict[int, Vector] = {}
        for holds, side in ((True, step.then), (False, step.otherwise)):
            self.states = {m: v for m, v in whole.items() if step.condition.holds(m) is holds}
            self._go(side)
            for memory, vector in self.states.items():
                self._add(joined, memory, vector)
        self.states = joined

    def _add(self, states: dict[int, Vector], memory: int, vector: Vector) -> None:
        known = states.get(memory)
        if known is None:
            states[memory] = vector
        else:
            known += vector
        if len(states) > min(BRANCHES_MAX, max(2, BRANCHES_BYTES_MAX // vector.nbytes)):
            raise TooManyBranches

    def outcomes(self) -> dict[int, float]:
        """Probability of what is read at the end, above rounding."""
        final = self._plan.final
        found: dict[int, float] = {}
        for memory, vector in self.states.items():
            letters = {record.qubit: 3 for record in final}
            flips = [record.flips for record in final]
            shares = _marginal(vector, self._plan.num_qubits, letters, flips)
            base = memory & ~sum(1 << record.bit for record in final)
            bits = [1 << record.bit for record in final]
            for index in np.flatnonzero(shares > NOTHING).tolist():
                key = base | sum(bit for k, bit in enumerate(bits) if (index >> k) & 1)
                found[key] = found.get(key, 0.0) + float(shares[index])
        return found

    def distribution(
        self, letters: Mapping[int, int], flips: Sequence[tuple[float, float]]
    ) -> Vector:
        """Of a joint measurement of Paulis, letter (1 X, 2 Y, 3 Z) by qubit, read with the errors;
        bit k of the index is the k-th of them."""
        total = sum(self.states.values())
        assert not isinstance(total, int)
        return _marginal(total, self._plan.num_qubits, letters, flips)

    def expectation(self, index: int) -> float:
        """Of the Pauli string of an index."""
        return float(sum(vector[index] for vector in self.states.values()))


def _instrument(read: int, flips: tuple[float, float]) -> Transfer:
    """What a measurement does where `read` is read."""
    was_zero, was_one = (1.0 - flips[0], flips[1]) if read == 0 else (flips[0], 1.0 - flips[1])
    kraus = np.zeros((2, 2, 2), dtype=np.complex128)
    kraus[0, 0, 0], kraus[1, 1, 1] = np.sqrt(was_zero), np.sqrt(was_one)
    return transfer_of_kraus(kraus)


def _marginal(
    vector: Vector,
    num_qubits: int,
    letters: Mapping[int, int],
    flips: Sequence[tuple[float, float]],
) -> Vector:
    """P(b) = 2^-m sum over subsets S of (-1)^(b.S) r_S, then each bit is read wrongly."""
    index = np.zeros(1, dtype=np.int64)
    for qubit, letter in letters.items():
        index = np.concatenate([index, index + letter * 4**qubit])
    assert not num_qubits or index[-1] < 4**num_qubits
    shares = vector[index]
    for k, (p1_given_0, p0_given_1) in enumerate(flips):
        pairs = shares.reshape(-1, 2, 1 << k)
        zero = (pairs[:, 0] + pairs[:, 1]) / 2.0
        one = (pairs[:, 0] - pairs[:, 1]) / 2.0
        read_one = one * (1.0 - p0_given_1) + zero * p1_given_0
        shares = np.stack([zero + one - read_one, read_one], axis=1).reshape(-1)
    return np.maximum(shares, 0.0)
