"""The back end "aer": Qiskit Aer's state vector and density matrix simulators.

Shots are drawn by Aer itself, through measurements, resets and branches; noise is its density
matrix, or, by trajectories, its state vector with a Kraus operator drawn for each shot.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ketgate_server.quantum.backends.aer_circuit import append, translate
from ketgate_server.quantum.backends.readings import State
from ketgate_server.quantum.backends.simulated import Simulated
from ketgate_server.quantum.backends.steps import Step, active_qubits
from ketgate_server.quantum.base import (
    Capabilities,
    CircuitOutcome,
    NoiseMethod,
    Precision,
    RunOptions,
    Stopped,
    Task,
)
from ketgate_server.quantum.circuit import Circuit, Measure
from ketgate_server.quantum.noise import NoiseModel

TRAJECTORIES = "trajectories"
SEEDS = 1 << 31
THREADS_MAX = 64
"""Its own threads, of which each run tells the number."""


class AerError(Exception):
    """Aer could not do it; the message is its own."""


class AerBackend(Simulated):
    name = "aer"
    part = "aer"
    text = "Qiskit Aer: state vector; density matrix or trajectories with noise."
    capabilities = Capabilities(
        exact=True,
        state_vector=True,
        noise=True,
        mid_circuit_measurement=True,
        reset=True,
        classical_control=True,
        single_precision=True,
        cancel=True,
    )
    trajectories = True
    threads_max = THREADS_MAX
    step_s = 20e-6
    amplitude_s = 1.5e-9

    def prepare(self) -> None:
        import qiskit_aer.noise  # noqa: F401

    def _is_density(self, options: RunOptions) -> bool:
        return super()._is_density(options) and not _by_trajectories(options)

    def _method(self, options: RunOptions) -> str:
        if options.noise is not None and options.noise.gates and _by_trajectories(options):
            return TRAJECTORIES
        return super()._method(options)

    def _evolve(
        self, steps: Sequence[Step], start: State | None, num_qubits: int, options: RunOptions
    ) -> State:
        from qiskit import QuantumCircuit

        assert start is None, "Aer itself goes on after measurements"
        circuit = QuantumCircuit(num_qubits)
        for step in steps:
            append(circuit, step)
        density = self._is_density(options)
        if density:
            circuit.save_density_matrix(label="state")
        else:
            circuit.save_statevector(label="state")
        method = "density_matrix" if density else "statevector"
        result = self._results(circuit, options, method, shots=1, seed=0)
        return np.asarray(result.data(0)["state"])

    def _run_one(
        self, circuit: Circuit, options: RunOptions, rng: np.random.Generator, task: Task
    ) -> CircuitOutcome:
        measures = any(isinstance(operation, Measure) for operation in circuit.walk())
        if options.shots == 0 or options.state_vector or not measures:
            return super()._run_one(circuit, options, rng, task)
        if task.stopped:
            raise Stopped
        number = {qubit: i for i, qubit in enumerate(sorted(active_qubits(circuit)))}
        theirs = translate(circuit, options.noise, number)
        outcome = CircuitOutcome(method=self._method(options))
        result = self._results(
            theirs,
            options,
            "density_matrix" if self._is_density(options) else "statevector",
            shots=options.shots,
            seed=int(rng.integers(SEEDS)),
            noise_model=_readout(options.noise, number),
        )
        told = result.data(0)
        outcome.counts = {int(key, 16): int(count) for key, count in told["counts"].items()}
        if options.memory:
            shots = [int(shot, 16) for shot in told["memory"]]
            outcome.memory = _bits(shots, circuit.num_bits)
        return outcome

    def _results(
        self,
        circuit: Any,
        options: RunOptions,
        method: str,
        *,
        shots: int,
        seed: int,
        noise_model: Any = None,
    ) -> Any:
        from qiskit_aer import AerSimulator

        simulator = AerSimulator(
            method=method,
            precision="single" if options.precision is Precision.SINGLE else "double",
            max_parallel_threads=options.threads,
            max_memory_mb=max(1, self._memory_bytes_max >> 20),
            **({} if noise_model is None else {"noise_model": noise_model}),
        )
        job = simulator.run(circuit, shots=shots, seed_simulator=seed, memory=options.memory)
        result = job.result()
        if not result.success:
            raise AerError(str(result.status))
        return result


def _by_trajectories(options: RunOptions) -> bool:
    return options.noise_method is NoiseMethod.TRAJECTORIES and options.shots > 0


def _readout(noise: NoiseModel | None, number: dict[int, int]) -> Any:
    """Aer's model of the errors of readout; None where there are none."""
    from qiskit_aer.noise import NoiseModel as AerNoiseModel
    from qiskit_aer.noise import ReadoutError

    errors = {} if noise is None else {q: noise.readout_error(q) for q in number}
    if not any(up or down for up, down in errors.values()):
        return None
    model = AerNoiseModel()
    for qubit, (up, down) in errors.items():
        model.add_readout_error(ReadoutError([[1 - up, up], [down, 1 - down]]), [number[qubit]])
    return model


def _bits(shots: Sequence[int], num_bits: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    width = max(1, -(-num_bits // 8))
    packed = np.frombuffer(b"".join(shot.to_bytes(width, "little") for shot in shots), np.uint8)
    rows = np.unpackbits(packed.reshape(len(shots), width), axis=1, bitorder="little")
    return rows[:, :num_bits]
