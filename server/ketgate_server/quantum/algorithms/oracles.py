"""Phase oracles: what a search looks for, as circuits that flip the sign of exactly those states."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ketgate_server.quantum.circuit import Gate, Operation


class MarkedOracle:
    """Flips listed numbers; bit i of a number is qubit i. No further qubits."""

    def __init__(self, num_bits: int, states: Sequence[int]) -> None:
        self.num_bits = num_bits
        self.ancillas = 0
        self.states = sorted(set(states))

    def holds(self, state: int) -> bool:
        return state in self._set

    @property
    def _set(self) -> set[int]:
        return set(self.states)

    def solutions(self) -> NDArray[np.int64] | None:
        return np.array(self.states, dtype=np.int64)

    def operations(self) -> list[Operation]:
        out: list[Operation] = []
        qubits = tuple(range(self.num_bits))
        for state in self.states:
            values = tuple((state >> q) & 1 for q in qubits)
            out += phase_flip(qubits, values)
        return out


class FormulaOracle:
    """Flips assignments that satisfy a formula in conjunctive normal form.

    One ancilla a clause, computed and uncomputed; it is 1 where the clause holds. A literal of a
    variable alone needs none.
    """

    def __init__(self, num_variables: int, clauses: Sequence[Sequence[int]]) -> None:
        """clauses: literals +k or -k, k from 1. An empty clause cannot hold."""
        self.num_bits = num_variables
        kept = [tuple(sorted(set(clause), key=abs)) for clause in clauses]
        # A clause with k and -k always holds.
        kept = [clause for clause in kept if not any(-literal in clause for literal in clause)]
        self.clauses = list(dict.fromkeys(kept))
        self._units = [clause[0] for clause in self.clauses if len(clause) == 1]
        self._wide = [clause for clause in self.clauses if len(clause) != 1]
        self.ancillas = len(self._wide)

    def holds(self, state: int) -> bool:
        return all(
            any((state >> (abs(x) - 1) & 1) == (x > 0) for x in clause) for clause in self.clauses
        )

    def solutions(self) -> NDArray[np.int64] | None:
        """All of them, by looking at every assignment; None beyond 24 variables."""
        if self.num_bits > 24:
            return None
        states = np.arange(1 << self.num_bits, dtype=np.int64)
        fine = np.ones(len(states), dtype=bool)
        for clause in self.clauses:
            one = np.zeros(len(states), dtype=bool)
            for literal in clause:
                one |= ((states >> (abs(literal) - 1)) & 1) == (literal > 0)
            fine &= one
        return np.flatnonzero(fine)

    def operations(self) -> list[Operation]:
        if any(x in self._units and -x in self._units for x in self._units):
            return []  # a variable that must be both: nothing is flipped
        compute: list[Operation] = []
        for k, clause in enumerate(self._wide):
            ancilla = self.num_bits + k
            compute.append(Gate("x", (ancilla,)))
            # Undone where every literal is false.
            variables = tuple(abs(x) - 1 for x in clause)
            values = tuple(int(x < 0) for x in clause)
            compute.append(Gate("x", (*variables, ancilla), controls=values))
        units = sorted(set(self._units), key=abs)
        qubits = (*(abs(x) - 1 for x in units), *(self.num_bits + k for k in range(self.ancillas)))
        values = (*(int(x > 0) for x in units), *(1 for _ in range(self.ancillas)))
        flip: list[Operation] = (
            phase_flip(qubits, values) if qubits else [Gate("gphase", (), (np.pi,))]
        )
        return [*compute, *flip, *reversed(compute)]


def phase_flip(qubits: Sequence[int], values: Sequence[int]) -> list[Operation]:
    """-1 where the qubits have the values."""
    *controls, target = qubits
    *wanted, last = values
    flip = Gate("z", (*controls, target), controls=tuple(wanted))
    if last:
        return [flip]
    return [Gate("x", (target,)), flip, Gate("x", (target,))]


def diffusion(qubits: Sequence[int]) -> list[Operation]:
    """2|s><s| - 1 about the uniform superposition s of the qubits, exact to the sign."""
    layer: list[Operation] = [Gate("h", (q,)) for q in qubits]
    # 1 - 2|0><0| flips the sign of zero alone; a global -1 makes it the reflection.
    flip = phase_flip(qubits, (0,) * len(qubits))
    return [*layer, *flip, *layer, Gate("gphase", (), (np.pi,))]
