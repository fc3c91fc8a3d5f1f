"""An executor in plain NumPy, slow and obvious: what algorithms are tested on, so that their tests
lean on no back end."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from ketgate_server.quantum.algorithms.matrices import apply
from ketgate_server.quantum.algorithms.vqe import times
from ketgate_server.quantum.base import CircuitOutcome, ExpectationOutcome, RunOptions
from ketgate_server.quantum.circuit import Barrier, Circuit, Gate, If, Measure, Reset
from ketgate_server.quantum.observable import PauliSum, qubit_wise_groups


class PlainExecutor:
    is_native = True

    def __init__(
        self, *, shots: int = 0, seed: int = 7, time_s: float = 1e9, noise: float = 1.0
    ) -> None:
        self.options = RunOptions(shots=shots, seed=seed)
        self.stopped_after = -1
        self.calls = 0
        self._time_s = time_s
        self._noise = noise

    @property
    def stopped(self) -> bool:
        return 0 <= self.stopped_after <= self.calls

    def remaining_s(self) -> float:
        return self._time_s

    def on_stop(self, callback) -> None:
        pass

    def run(self, circuits: Sequence[Circuit], options: RunOptions) -> list[CircuitOutcome]:
        self.calls += 1
        return [self._one(circuit, options) for circuit in circuits]

    def _one(self, circuit: Circuit, options: RunOptions) -> CircuitOutcome:
        rng = np.random.default_rng(options.seed)
        if not circuit.measures_at_end:
            return CircuitOutcome(counts=self._shot_by_shot(circuit, options.shots, rng))
        gates = [op for op in circuit.operations if isinstance(op, Gate)]
        state = apply(gates, zero(circuit.num_qubits))
        measures = [op for op in circuit.operations if isinstance(op, Measure)]
        index = np.arange(len(state))
        read = np.zeros(len(state), dtype=np.int64)
        for measure in measures:
            read |= ((index >> measure.qubit) & 1) << measure.bit
        weights = np.bincount(read, weights=np.abs(state) ** 2)
        outcome = CircuitOutcome(state_vector=state)
        if options.shots:
            drawn = rng.multinomial(options.shots, weights / weights.sum())
            outcome.counts = {int(k): int(drawn[k]) for k in np.flatnonzero(drawn)}
        else:
            outcome.probabilities = {
                int(k): float(weights[k]) for k in np.flatnonzero(weights > 1e-12)
            }
        return outcome

    def _shot_by_shot(
        self, circuit: Circuit, shots: int, rng: np.random.Generator
    ) -> dict[int, int]:
        counts: dict[int, int] = {}
        for _ in range(shots):
            memory = play(circuit, rng)
            counts[memory] = counts.get(memory, 0) + 1
        return counts

    def expectations(
        self,
        circuit: Circuit,
        observables: Sequence[PauliSum],
        options: RunOptions,
        *,
        parameters: Mapping[str, float] | None = None,
        gradients: bool = False,
    ) -> ExpectationOutcome:
        self.calls += 1
        values = self._values(circuit.bind(parameters or {}), observables)
        slopes = None
        if gradients:
            assert parameters is not None
            slopes = np.zeros((len(observables), len(circuit.parameters)))
            step = 1e-6
            for k, name in enumerate(circuit.parameters):
                ends = [
                    self._values(
                        circuit.bind(dict(parameters) | {name: parameters[name] + s}), observables
                    )
                    for s in (step, -step)
                ]
                slopes[:, k] = (ends[0] - ends[1]) / (2 * step)
        errors = np.zeros(len(observables))
        groups = 0
        if options.shots:
            rng = np.random.default_rng(options.seed)
            groups = len(qubit_wise_groups(observables))
            errors[:] = self._noise / np.sqrt(options.shots)
            values = values + errors * rng.normal(size=len(values))
        return ExpectationOutcome(values, errors, groups, slopes)

    def _values(self, circuit: Circuit, observables: Sequence[PauliSum]) -> np.ndarray:
        state = apply(
            [op for op in circuit.operations if isinstance(op, Gate)], zero(circuit.num_qubits)
        )
        return np.array([np.vdot(state, times(one, state)).real for one in observables])


def zero(num_qubits: int) -> np.ndarray:
    state = np.zeros(1 << num_qubits, dtype=np.complex128)
    state[0] = 1.0
    return state


def play(circuit: Circuit, rng: np.random.Generator) -> int:
    """One shot, operation by operation."""
    state, memory = zero(circuit.num_qubits), 0

    def collapse(qubit: int) -> int:
        nonlocal state
        ones = (np.arange(len(state)) >> qubit) & 1 == 1
        p1 = float((np.abs(state[ones]) ** 2).sum())
        read = int(rng.random() < p1)
        state = np.where(ones == bool(read), state, 0.0)
        state /= np.linalg.norm(state)
        return read

    def walk(operations) -> None:
        nonlocal state, memory
        for op in operations:
            if isinstance(op, Gate):
                state = apply([op], state)
            elif isinstance(op, Measure):
                memory = memory & ~(1 << op.bit) | collapse(op.qubit) << op.bit
            elif isinstance(op, Reset):
                if collapse(op.qubit):
                    state = apply([Gate("x", (op.qubit,))], state)
            elif isinstance(op, If):
                walk(op.then if op.condition.holds(memory) else op.otherwise)
            else:
                assert isinstance(op, Barrier)

    walk(circuit.operations)
    return memory


@pytest.fixture
def executor():
    """PlainExecutor: call it for one."""
    return PlainExecutor


@pytest.fixture
def play_once():
    return play
