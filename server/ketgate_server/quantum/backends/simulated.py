"""What the simulators of this folder share: a framework turns a state into the next one; outcomes,
shots and expectations are read of it here, in the same way for all.

Noise is simulated by the density matrix. Circuits that go on after a measurement are followed
branch by branch (see branching).
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from ketgate_server.parts import part_version
from ketgate_server.quantum.backends.branching import shots_by_outcome
from ketgate_server.quantum.backends.estimating import Estimate, estimate
from ketgate_server.quantum.backends.readings import (
    State,
    counts_by_outcome,
    draw,
    marginal,
    misread,
    probabilities_by_outcome,
    shuffled,
)
from ketgate_server.quantum.backends.steps import (
    Step,
    active_qubits,
    global_phase,
    renumbered,
    unconditional,
    with_noise,
)
from ketgate_server.quantum.backends.suitable import (
    check_dynamics,
    check_options,
    check_size,
    check_trajectories,
)
from ketgate_server.quantum.base import (
    BackendKind,
    Capabilities,
    CircuitOutcome,
    Description,
    ExpectationOutcome,
    Need,
    Precision,
    RunOptions,
    Stopped,
    Task,
    Unsuitable,
)
from ketgate_server.quantum.circuit import Circuit, Gate, Measure
from ketgate_server.quantum.observable import PauliSum, PauliTerm

DENSITY = "density-matrix"
CALL_S, READING_S = 5e-3, 1e-7
"""A call takes, and for each amplitude what is read of the state."""


class Simulated(ABC):
    """Implements base.Backend over a framework that evolves states."""

    isolated = True
    name: ClassVar[str]
    part: ClassVar[str]
    """In parts.PARTS."""
    text: ClassVar[str]
    """What it is, in a sentence."""
    capabilities: ClassVar[Capabilities]
    trajectories: ClassVar[bool] = False
    """Whether it draws shots under noise one by one, if asked to."""
    qubits_ceiling: ClassVar[int] = 30
    density_ceiling: ClassVar[int] = 13
    import_bytes: ClassVar[int] = 200 << 20
    """What the framework itself takes."""
    state_copies: ClassVar[int] = 6
    """Of the state, at most at once."""
    step_s: ClassVar[float] = 30e-6
    """Overhead of a gate."""
    amplitude_s: ClassVar[float] = 5e-9
    """A gate takes for each amplitude, on one thread."""

    def __init__(self, memory_bytes_max: int = 4 << 30) -> None:
        """memory_bytes_max: of one run; tells how many qubits fit."""
        self._memory_bytes_max = memory_bytes_max

    threads_max: int = 1
    """That a run uses, whatever it is given: workers tell all libraries to take one."""

    @abstractmethod
    def prepare(self) -> None:
        """Import the framework."""

    @abstractmethod
    def _evolve(
        self, steps: Sequence[Step], start: State | None, num_qubits: int, options: RunOptions
    ) -> State:
        """The state after bound steps, none of them Noise where the state is a vector. start: a
        vector, or with noise in the options a density matrix; None: all qubits in |0>."""

    def describe(self) -> Description:
        version = part_version(self.part)
        return Description(
            name=self.name,
            description=self.text,
            kind=BackendKind.SIMULATOR,
            version=f"{self.part} {version}" if version else "",
            num_qubits=self._qubits_max(Precision.DOUBLE, density=False),
            capabilities=self.capabilities,
            part=self.part,
        )

    def check(self, circuit: Circuit, options: RunOptions) -> None:
        check_options(self.name, self.capabilities, options)
        if not self.trajectories or options.shots == 0:
            check_trajectories(self.name, options)
        check_dynamics(self.name, self.capabilities, circuit, options, expectations=False)
        self._check_own(circuit, options)
        self._check_size(circuit.num_qubits if options.state_vector else None, circuit, options)

    def need(self, circuit: Circuit, options: RunOptions) -> Need:
        density = self._is_density(options)
        qubits = len(active_qubits(circuit))
        amplitudes = 1 << (2 * qubits if density else qubits)
        size = 8 if options.precision is Precision.SINGLE else 16
        gates = sum(isinstance(operation, Gate) for operation in circuit.walk())
        if density:
            gates *= 3  # each with its channel, on both sides
        return Need(
            memory_bytes=self.import_bytes + self.state_copies * amplitudes * size,
            run_s=CALL_S
            + amplitudes * READING_S
            + gates * (self.step_s + amplitudes * self.amplitude_s),
        )

    def run(
        self, circuits: Sequence[Circuit], options: RunOptions, task: Task
    ) -> Sequence[CircuitOutcome]:
        outcomes = []
        for index, circuit in enumerate(circuits):
            if task.stopped:
                raise Stopped
            self.check(circuit, options)
            started_s = time.perf_counter()
            outcome = self._run_one(circuit, options, _random(options.seed, index), task)
            outcome.running_s = time.perf_counter() - started_s
            outcomes.append(outcome)
        return outcomes

    def expectations(
        self,
        circuit: Circuit,
        observables: Sequence[PauliSum],
        options: RunOptions,
        task: Task,
        *,
        parameters: Mapping[str, float] | None = None,
        gradients: bool = False,
    ) -> ExpectationOutcome:
        check_options(self.name, self.capabilities, options)
        check_trajectories(self.name, options)
        check_dynamics(self.name, self.capabilities, circuit, options, expectations=True)
        self._check_own(circuit, options)
        started_s = time.perf_counter()
        values = dict(parameters or {})
        bound = circuit.bind(values)
        slopes = None
        if gradients:
            slopes = self._gradients(circuit, values, observables, options)
        if task.stopped:
            raise Stopped
        told = self._estimate(bound, observables, options)
        return ExpectationOutcome(
            values=told.values,
            standard_errors=told.standard_errors,
            groups=told.groups,
            gradients=slopes,
            running_s=time.perf_counter() - started_s,
            method=self._method(options),
        )

    def _gradients(
        self,
        circuit: Circuit,  # noqa: ARG002
        values: Mapping[str, float],  # noqa: ARG002
        observables: Sequence[PauliSum],  # noqa: ARG002
        options: RunOptions,  # noqa: ARG002
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        """(number of observables, number of parameters)."""
        raise Unsuitable(
            self.name, "gradients", "it has no adjoint method; choose 'native' or 'pennylane'"
        )

    def _check_own(self, circuit: Circuit, options: RunOptions) -> None:  # noqa: B027 - most can
        """Raises Unsuitable for what this one alone cannot do."""

    def _is_density(self, options: RunOptions) -> bool:
        """Whether the state is a density matrix."""
        return options.noise is not None and bool(options.noise.gates)

    def _method(self, options: RunOptions) -> str:
        return DENSITY if self._is_density(options) else ""

    def _run_one(
        self, circuit: Circuit, options: RunOptions, rng: np.random.Generator, task: Task
    ) -> CircuitOutcome:
        outcome = CircuitOutcome(method=self._method(options))
        qubits = range(circuit.num_qubits) if options.state_vector else active_qubits(circuit)
        number = {qubit: i for i, qubit in enumerate(sorted(qubits))}

        def evolve(steps: Sequence[Step], start: State | None) -> State:
            return self._evolved(steps, start, len(number), options)

        if not circuit.measures_at_end:
            counts = shots_by_outcome(
                circuit, options.noise, options.shots, rng, evolve, number, task
            )
            outcome.counts = counts
            if options.memory:
                outcome.memory = shuffled(counts, circuit.num_bits, rng)
            return outcome
        measures = [one for one in circuit.operations if isinstance(one, Measure)]
        steps = unconditional(with_noise(circuit.operations, options.noise))
        state = evolve(renumbered(steps, number), None)
        if options.state_vector:
            outcome.state_vector = state * global_phase(circuit)
        bits = [measure.bit for measure in measures]
        errors = [_readout(options, measure.qubit) for measure in measures]
        read = misread(marginal(state, [number[one.qubit] for one in measures]), errors)
        if options.shots == 0:
            outcome.probabilities = probabilities_by_outcome(read, bits)
            return outcome
        drawn = draw(read, options.shots, rng)
        outcome.counts = counts_by_outcome(drawn, bits)
        if options.memory:
            outcome.memory = np.zeros((options.shots, circuit.num_bits), dtype=np.uint8)
            for j, bit in enumerate(bits):
                outcome.memory[:, bit] = drawn >> j & 1
        return outcome

    def _estimate(
        self, circuit: Circuit, observables: Sequence[PauliSum], options: RunOptions
    ) -> Estimate:
        qubits = active_qubits(circuit)
        for observable in observables:
            qubits |= {q for q in range(circuit.num_qubits) if _support(observable) >> q & 1}
        self._check_size(len(qubits), circuit, options)
        number = {qubit: i for i, qubit in enumerate(sorted(qubits))}
        gates = [one for one in circuit.operations if isinstance(one, Gate)]
        steps = unconditional(with_noise(gates, options.noise))
        state = self._evolved(renumbered(steps, number), None, len(number), options)
        errors = [_readout(options, qubit) for qubit in number]
        numbered = [_observable(observable, number) for observable in observables]
        return estimate(state, numbered, options.shots, errors, _random(options.seed, 0))

    def _evolved(
        self, steps: Sequence[Step], start: State | None, num_qubits: int, options: RunOptions
    ) -> State:
        kind = np.complex64 if options.precision is Precision.SINGLE else np.complex128
        if steps and num_qubits:
            state = self._evolve(steps, start, num_qubits, options)
            return state.astype(kind, copy=False)
        if start is not None:
            return start
        size = 1 << num_qubits
        state = np.zeros((size, size) if self._is_density(options) else size, dtype=kind)
        state.flat[0] = 1
        return state

    def _check_size(self, qubits: int | None, circuit: Circuit, options: RunOptions) -> None:
        density = self._is_density(options)
        count = len(active_qubits(circuit)) if qubits is None else qubits
        most = self._qubits_max(options.precision, density)
        check_size(self.name, count, most, "a density matrix" if density else "a state")

    def _qubits_max(self, precision: Precision, density: bool) -> int:
        size = 8 if precision is Precision.SINGLE else 16
        fits = max(1, self._memory_bytes_max // (size * self.state_copies)).bit_length() - 1
        return min(fits // 2, self.density_ceiling) if density else min(fits, self.qubits_ceiling)


def _readout(options: RunOptions, qubit: int) -> tuple[float, float]:
    return (0.0, 0.0) if options.noise is None else options.noise.readout_error(qubit)


def _random(seed: int, index: int) -> np.random.Generator:
    """Of one circuit of a batch."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index,)))


def _support(observable: PauliSum) -> int:
    support = 0
    for term in observable.terms:
        support |= term.x | term.z
    return support


def _observable(observable: PauliSum, number: Mapping[int, int]) -> PauliSum:
    """On qubits of other numbers."""
    qubits = list(number)  # their order is that of the new numbers

    def moved(mask: int) -> int:
        return sum((mask >> qubit & 1) << i for i, qubit in enumerate(qubits))

    return PauliSum(
        tuple(PauliTerm(t.coefficient, moved(t.x), moved(t.z)) for t in observable.terms)
    )
