"""The back end "native": the state-vector kernel, and with noise what native/noisy.py makes of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

import numpy as np
from ketgate_native import monitor as kernel
from ketgate_native.monitor import Monitor
from ketgate_native.statevector import Program

from ketgate_server import __version__
from ketgate_server.quantum.backends.suitable import check_dynamics, check_options, check_size
from ketgate_server.quantum.base import (
    BackendKind,
    Capabilities,
    CircuitOutcome,
    Description,
    ExpectationOutcome,
    Need,
    NoiseMethod,
    Precision,
    RunOptions,
    Stopped,
    Task,
    Unsuitable,
)
from ketgate_server.quantum.circuit import Circuit, Gate, Measure, Reset
from ketgate_server.quantum.native import estimating, noisy
from ketgate_server.quantum.native.compiled import Kept, Reading
from ketgate_server.quantum.native.shots import (
    Branches,
    How,
    counted,
    exact_probabilities,
    live_states_max,
    rows,
)
from ketgate_server.quantum.noise import NoiseModel
from ketgate_server.quantum.observable import PauliSum

Outcome = TypeVar("Outcome", CircuitOutcome, ExpectationOutcome)
QUBITS_MAX = 40
AMPLITUDE_GATE_S = 4e-10
"""A gate takes for each amplitude: fused and in the cache, on one thread."""
DENSITY_GATE_S, AMPLITUDE_NOISY_GATE_S = 2e-9, 4e-9
"""The same of a density matrix' entries, and of trajectories."""
CALL_S, GATE_S, SHOT_S = 1e-4, 3e-6, 5e-8
CAPABILITIES = Capabilities(
    exact=True,
    state_vector=True,
    noise=True,
    mid_circuit_measurement=True,
    reset=True,
    classical_control=True,
    single_precision=True,
    seeded=True,
    cancel=True,
)


class NativeBackend:
    """Implements base.Backend. Its work runs without the GIL, so it needs no process of its own."""

    name = "native"
    isolated = False

    def __init__(
        self,
        memory_bytes_max: int = 4 << 30,
        density_qubits_max: int = noisy.DENSITY_QUBITS_MAX,
    ) -> None:
        """memory_bytes_max: of one run; tells how many qubits fit. density_qubits_max: active
        qubits of an exact density matrix; with more, noise is simulated by trajectories."""
        self._memory_bytes_max = memory_bytes_max
        self._density_qubits_max = density_qubits_max
        self._kept = Kept()

    def describe(self) -> Description:
        return Description(
            name=self.name,
            description="Ketgate's own state-vector simulator, with noise, on this server.",
            kind=BackendKind.SIMULATOR,
            version=f"ketgate-server {__version__}",
            num_qubits=self._qubits_max(Precision.DOUBLE),
            capabilities=CAPABILITIES,
        )

    def _qubits_max(self, precision: Precision) -> int:
        fits = max(1, self._memory_bytes_max // _amplitude_bytes(precision)).bit_length() - 1
        return min(fits, QUBITS_MAX)

    def check(self, circuit: Circuit, options: RunOptions) -> None:
        check_options(self.name, CAPABILITIES, options)
        check_dynamics(self.name, CAPABILITIES, circuit, options, expectations=False)
        count = circuit.num_qubits if options.state_vector else len(circuit.active_qubits)
        check_size(self.name, count, self._qubits_max(options.precision), "a state")

    def need(self, circuit: Circuit, options: RunOptions) -> Need:
        qubits = circuit.num_qubits if options.state_vector else len(circuit.active_qubits)
        if options.noise is not None and not _reads_wrong_alone((circuit,), options):
            return _noisy_need(circuit, qubits, options, self._density_qubits_max)
        gates = readings = 0
        for one in circuit.walk():
            gates += isinstance(one, Gate)
            readings += isinstance(one, Measure | Reset)
        states, runs = 1 + options.state_vector, 1.0
        if not circuit.measures_at_end:
            states += min(readings, live_states_max(qubits, options.precision))
            runs = min(float(options.shots), 2.0 ** min(readings, 30))
        amplitudes = 1 << qubits
        return Need(
            memory_bytes=states * amplitudes * _amplitude_bytes(options.precision),
            run_s=CALL_S
            + options.shots * SHOT_S
            + gates * GATE_S
            + runs * gates * amplitudes * AMPLITUDE_GATE_S / options.threads,
        )

    def run(
        self, circuits: Sequence[Circuit], options: RunOptions, task: Task
    ) -> Sequence[CircuitOutcome]:
        for circuit in circuits:
            self.check(circuit, options)
        if options.noise is not None and not _reads_wrong_alone(circuits, options):
            most = self._density_qubits_max
            done = noisy.run_noisy(circuits, options, task, density_qubits_max=most)
            return _told(done, options.noise)
        outcomes = []
        with _monitored(task) as monitor:
            for index, circuit in enumerate(circuits):
                if task.stopped:
                    raise Stopped
                how = How(options.precision, options.threads, monitor, _seed(options.seed, index))
                if options.noise is None:
                    outcomes.append(self._run(circuit, options, how))
                else:
                    outcomes.append(self._misread(circuit, options.noise, options, how))
        return outcomes

    def _misread(
        self, circuit: Circuit, noise: NoiseModel, options: RunOptions, how: How
    ) -> CircuitOutcome:
        """Shots of the pure state, each of whose bits may be read wrong."""
        outcome = self._run(circuit, replace(options, noise=None, memory=True), how)
        assert outcome.memory is not None
        bits = noisy.misread(outcome.memory, circuit, noise, how.seed)
        outcome.counts = noisy.counts(bits)
        outcome.memory = bits if options.memory else None
        return outcome

    def _run(self, circuit: Circuit, options: RunOptions, how: How) -> CircuitOutcome:
        started = time.perf_counter()
        whole = options.state_vector
        qubits = tuple(range(circuit.num_qubits)) if whole else circuit.active_qubits
        compiled = self._kept.get(circuit, qubits, options.precision)
        outcome = CircuitOutcome(compiling_s=time.perf_counter() - started)
        if circuit.measures_at_end:
            program, reading = compiled.nodes
            assert isinstance(program, Program)
            assert isinstance(reading, Reading)
            state = how.state(compiled.num_qubits)
            how.apply(state, program)
            if options.shots == 0:
                outcome.probabilities = exact_probabilities(state, reading, how)
            else:
                values = how.sample(state, options.shots, reading.qubits, 0)
                outcome.counts = counted(values, reading.bits)
                if options.memory:
                    outcome.memory = rows(values, reading.bits, circuit.num_bits)
            if whole:
                outcome.state_vector = state.amplitudes(threads=how.threads, monitor=how.monitor)
        else:
            outcome.counts = Branches(compiled, how).run(options.shots)
            if options.memory:
                outcome.memory = _shuffled(outcome.counts, circuit.num_bits, how.seed)
        outcome.running_s = time.perf_counter() - started - outcome.compiling_s
        return outcome

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
        check_options(self.name, CAPABILITIES, options)
        check_dynamics(self.name, CAPABILITIES, circuit, options, expectations=True)
        values = parameters or {}
        if options.noise is not None:
            if gradients:
                raise Unsuitable(self.name, "gradients under noise", "leave one of them out")
            bound = circuit.bind(values)
            most = self._density_qubits_max
            outcome = noisy.expectations_noisy(
                bound, observables, options, task, density_qubits_max=most
            )
            return _told([outcome], options.noise)[0]
        if gradients and options.shots:
            raise Unsuitable(self.name, "gradients of shots", "they are exact; ask for shots = 0")
        mask = estimating.support(observables)
        acted = {q for q in range(mask.bit_length()) if mask >> q & 1}
        qubits = tuple(sorted(acted.union(circuit.active_qubits)))
        check_size(self.name, len(qubits), self._qubits_max(options.precision), "a state")
        started = time.perf_counter()
        with _monitored(task) as monitor:
            how = How(options.precision, options.threads, monitor, _seed(options.seed, 0))
            wanted = estimating.renumbered(observables, qubits)
            if gradients:
                found, slopes = estimating.with_gradients(circuit, qubits, wanted, values, how)
                outcome = ExpectationOutcome(found, np.zeros(len(found)), gradients=slopes)
            else:
                outcome = self._expectations(circuit.bind(values), qubits, wanted, options, how)
        outcome.running_s = time.perf_counter() - started - outcome.compiling_s
        return outcome

    def _expectations(
        self,
        circuit: Circuit,
        qubits: tuple[int, ...],
        observables: Sequence[PauliSum],
        options: RunOptions,
        how: How,
    ) -> ExpectationOutcome:
        started = time.perf_counter()
        program, _ = self._kept.get(circuit, qubits, options.precision).nodes
        assert isinstance(program, Program)
        compiling_s = time.perf_counter() - started
        state = how.state(len(qubits))
        how.apply(state, program)
        if options.shots == 0:
            values = estimating.exact(state, observables, how)
            return ExpectationOutcome(values, np.zeros(len(values)), compiling_s=compiling_s)
        values, errors, groups = estimating.sampled(state, observables, options.shots, how)
        return ExpectationOutcome(values, errors, groups, compiling_s=compiling_s)


def _told(outcomes: Sequence[Outcome], noise: NoiseModel) -> Sequence[Outcome]:
    """Errors of readout alone need no method: they are put on the outcomes."""
    for outcome in outcomes:
        outcome.method = outcome.method if noise.gates else ""
    return outcomes


def _reads_wrong_alone(circuits: Sequence[Circuit], options: RunOptions) -> bool:
    """Whether one pure state says all: errors happen when it is read, at the end, and only there."""
    return (
        options.noise is not None
        and not options.noise.gates
        and options.shots > 0
        and not options.state_vector
        and options.noise_method is NoiseMethod.AUTO
        and all(circuit.measures_at_end for circuit in circuits)
    )


def _noisy_need(
    circuit: Circuit, qubits: int, options: RunOptions, density_qubits_max: int
) -> Need:
    """The density matrix where it fits, else trajectories."""
    gates = sum(isinstance(one, Gate) for one in circuit.walk())
    forced = options.noise_method is NoiseMethod.TRAJECTORIES
    if qubits <= density_qubits_max and not forced:
        entries = 1 << (2 * qubits)
        memory_bytes, work = 4 * 8 * entries, gates * entries * DENSITY_GATE_S
    else:
        runs = options.trajectories or options.shots or noisy.TRAJECTORIES_DEFAULT
        amplitudes = 1 << qubits
        memory_bytes = (4 + options.threads) * 16 * amplitudes
        work = runs * gates * (amplitudes * AMPLITUDE_NOISY_GATE_S + GATE_S) / options.threads
    return Need(memory_bytes, CALL_S + options.shots * SHOT_S + gates * GATE_S + work)


@contextmanager
def _monitored(task: Task) -> Iterator[Monitor]:
    if task.stopped:
        raise Stopped
    monitor = Monitor(0, time_limit_s=task.remaining_s())
    task.on_stop(monitor.cancel)
    try:
        yield monitor
    except kernel.Stopped:
        raise Stopped from None


def _amplitude_bytes(precision: Precision) -> int:
    return 8 if precision is Precision.SINGLE else 16


def _seed(seed: int, index: int) -> int:
    """Of one circuit of a batch, 64 bits; the kernel mixes it, so neighbours may be close."""
    return (seed + index * 0xD1B54A32D192ED03) & 0xFFFFFFFFFFFFFFFF


def _shuffled(
    counts: Mapping[int, int], num_bits: int, seed: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Shots in random order, as they are independent of one another."""
    outcomes = sorted(counts)
    one_each = np.array(
        [[outcome >> bit & 1 for bit in range(num_bits)] for outcome in outcomes], dtype=np.uint8
    ).reshape(len(outcomes), num_bits)
    repeated = np.repeat(one_each, [counts[one] for one in outcomes], axis=0)
    return np.random.default_rng(seed).permutation(repeated, axis=0)
