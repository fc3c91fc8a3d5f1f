"""Shots of a circuit that goes on after it measured: one simulation for all shots that have seen
the same outcomes so far.

Where n shots meet a measurement, a binomial number of them reads 1; the two parts go on by
themselves. So a teleportation costs a handful of simulations and not one a shot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ketgate_server.quantum.backends.readings import State, draw, marginal, misread, num_qubits
from ketgate_server.quantum.backends.steps import Noise, Step, renumbered, with_noise
from ketgate_server.quantum.base import Stopped, Task
from ketgate_server.quantum.circuit import Circuit, Gate, If, Measure, Reset
from ketgate_server.quantum.noise import NoiseModel

Evolve = Callable[[Sequence[Step], State | None], State]
"""The state after steps; None: all qubits in |0>."""
Rest = tuple[Step | Measure | Reset | If, ...]
PROBABILITY_MIN = 1e-14


@dataclass(frozen=True)
class _Branch:
    """Shots that saw the same outcomes."""

    shots: int
    memory: int
    state: State | None
    rest: Rest


def shots_by_outcome(
    circuit: Circuit,
    noise: NoiseModel | None,
    shots: int,
    rng: np.random.Generator,
    evolve: Evolve,
    number: Mapping[int, int],
    task: Task,
) -> dict[int, int]:
    """Counts by what the classical bits hold in the end. number: of each qubit in the state."""
    counts: dict[int, int] = {}
    open_branches = [_Branch(shots, 0, None, tuple(with_noise(circuit.operations, noise)))]
    walk = _Walk(noise, rng, evolve, number)
    while open_branches:
        if task.stopped:
            raise Stopped
        branch = open_branches.pop()
        for item in walk.onward(branch):
            if isinstance(item, _Branch):
                open_branches.append(item)
            else:
                memory, count = item
                counts[memory] = counts.get(memory, 0) + count
    return counts


class _Walk:
    """How a branch goes on."""

    def __init__(
        self,
        noise: NoiseModel | None,
        rng: np.random.Generator,
        evolve: Evolve,
        number: Mapping[int, int],
    ) -> None:
        self._noise = noise
        self._rng = rng
        self._evolve = evolve
        self._number = number

    def onward(self, branch: _Branch) -> Iterator[_Branch | tuple[int, int]]:
        """To the next outcome: the branches after it, or (memory, shots) at the end."""
        rest = branch.rest
        steps = _leading_steps(rest)
        rest = rest[len(steps) :]
        state = branch.state
        if steps or state is None:
            state = self._evolve(renumbered(steps, self._number), state)
        measures = _final_measures(rest)
        if measures is not None:
            yield from self._sampled(branch, state, measures)
            return
        first, rest = rest[0], rest[1:]
        match first:
            case If(condition=condition):
                taken = first.then if condition.holds(branch.memory) else first.otherwise
                rest = (*with_noise(taken, self._noise), *rest)
                yield _Branch(branch.shots, branch.memory, state, rest)
            case Measure():
                yield from self._measured(branch, state, first, rest)
            case Reset():
                for _, count, collapsed in self._collapsed(state, first.qubit, branch.shots):
                    yield _Branch(count, branch.memory, collapsed, rest)

    def _sampled(
        self, branch: _Branch, state: State, measures: Sequence[Measure]
    ) -> Iterator[tuple[int, int]]:
        probabilities = marginal(state, [self._number[m.qubit] for m in measures])
        read = misread(probabilities, [self._error(m.qubit) for m in measures])
        outcomes, counts = np.unique(draw(read, branch.shots, self._rng), return_counts=True)
        for outcome, count in zip(outcomes, counts, strict=True):
            memory = branch.memory
            for j, measure in enumerate(measures):
                memory = _written(memory, measure.bit, int(outcome) >> j & 1)
            yield memory, int(count)

    def _measured(
        self, branch: _Branch, state: State, measure: Measure, rest: Rest
    ) -> Iterator[_Branch]:
        errors = self._error(measure.qubit)
        for value, count, collapsed in self._collapsed(
            state, measure.qubit, branch.shots, keep_ones=True
        ):
            wrong = int(self._rng.binomial(count, errors[value])) if errors[value] else 0
            for read, shots in ((value, count - wrong), (1 - value, wrong)):
                if shots:
                    memory = _written(branch.memory, measure.bit, read)
                    yield _Branch(shots, memory, collapsed, rest)

    def _collapsed(
        self, state: State, qubit: int, shots: int, keep_ones: bool = False
    ) -> Iterator[tuple[int, int, State]]:
        """(outcome, shots that saw it, state then); without keep_ones a 1 is flipped to 0."""
        axis = self._number[qubit]
        one = float(marginal(state, [axis])[1])
        one = 0.0 if one < PROBABILITY_MIN else 1.0 if one > 1 - PROBABILITY_MIN else one
        ones = int(self._rng.binomial(shots, one))
        for value, count in ((0, shots - ones), (1, ones)):
            if count:
                yield value, count, _projected(state, axis, value, keep_ones)

    def _error(self, qubit: int) -> tuple[float, float]:
        return self._noise.readout_error(qubit) if self._noise is not None else (0.0, 0.0)


def _leading_steps(rest: Sequence[object]) -> list[Step]:
    steps: list[Step] = []
    for item in rest:
        if not isinstance(item, Gate | Noise):
            break
        steps.append(item)
    return steps


def _final_measures(rest: Sequence[object]) -> list[Measure] | None:
    """The measurements that are left, if that is all there is, each of another qubit."""
    measures = [item for item in rest if isinstance(item, Measure)]
    if len(measures) < len(rest) or len({m.qubit for m in measures}) < len(measures):
        return None
    return measures


def _written(memory: int, bit: int, value: int) -> int:
    return memory & ~(1 << bit) | value << bit


def _projected(state: State, qubit: int, value: int, keep_ones: bool) -> State:
    """The normalised state after an outcome; without keep_ones the qubit is then in |0>."""
    n = num_qubits(state)
    out = np.zeros_like(state).reshape((2,) * (n * state.ndim))
    grid = state.reshape(out.shape)
    to = value if keep_ones else 0
    at: list[int | slice] = [slice(None)] * out.ndim
    there = list(at)
    for axis in (n - 1 - qubit, 2 * n - 1 - qubit)[: state.ndim]:
        at[axis], there[axis] = value, to
    out[tuple(there)] = grid[tuple(at)]
    flat = out.reshape(state.shape)
    norm = flat.trace().real if state.ndim == 2 else np.linalg.norm(flat)
    return np.asarray(flat / norm)
