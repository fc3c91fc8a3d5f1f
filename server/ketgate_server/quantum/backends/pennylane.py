"""The back end "pennylane": PennyLane's lightning.qubit, and default.mixed with noise.

Gradients are lightning's adjoint method, carried to the program's parameters by the chain rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ketgate_server.quantum import gates
from ketgate_server.quantum.backends.pennylane_gradients import gradients
from ketgate_server.quantum.backends.readings import State
from ketgate_server.quantum.backends.simulated import Simulated
from ketgate_server.quantum.backends.steps import Noise, Step, renumbered
from ketgate_server.quantum.base import Capabilities, Precision, RunOptions, Unsuitable
from ketgate_server.quantum.circuit import Circuit
from ketgate_server.quantum.observable import PauliSum


class PennylaneBackend(Simulated):
    name = "pennylane"
    part = "pennylane"
    text = "PennyLane: lightning.qubit with adjoint gradients, and default.mixed with noise."
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
    density_ceiling = 10
    import_bytes = 350 << 20
    step_s = 60e-6
    amplitude_s = 4e-9

    def prepare(self) -> None:
        import pennylane

        pennylane.device("lightning.qubit", wires=1)

    def _check_own(self, circuit: Circuit, options: RunOptions) -> None:  # noqa: ARG002
        if self._is_density(options) and options.precision is Precision.SINGLE:
            raise Unsuitable(
                self.name, "noise in single precision", "default.mixed computes in double alone"
            )

    def _evolve(
        self, steps: Sequence[Step], start: State | None, num_qubits: int, options: RunOptions
    ) -> State:
        import pennylane as qml

        # PennyLane's first wire is the most significant bit of an index.
        backwards = {qubit: num_qubits - 1 - qubit for qubit in range(num_qubits)}
        wires = list(range(num_qubits))
        table = native_gates()
        operations = [operation(step, table) for step in renumbered(steps, backwards)]
        density = self._is_density(options)
        if start is not None:
            prepare = qml.QubitDensityMatrix if density else qml.StatePrep
            operations.insert(0, prepare(start, wires=wires))
        if density:
            device = qml.device("default.mixed", wires=wires)
            # Of all wires: qml.state would leave out those that no operation is on.
            reading = qml.density_matrix(wires=wires)
        else:
            kind = np.complex64 if options.precision is Precision.SINGLE else np.complex128
            device = qml.device("lightning.qubit", wires=wires, c_dtype=kind)
            reading = qml.state()
        return np.asarray(device.execute(qml.tape.QuantumScript(operations, [reading])))

    def _gradients(
        self,
        circuit: Circuit,
        values: Mapping[str, float],
        observables: Sequence[PauliSum],
        options: RunOptions,
    ) -> NDArray[np.float64]:
        if options.noise is not None or options.shots:
            raise Unsuitable(
                self.name, "gradients with noise or shots", "the adjoint method is exact and ideal"
            )
        return gradients(self.name, circuit, values, observables, native_gates(), operation)


def operation(step: Step, table: Mapping[str, Callable[..., Any]]) -> Any:
    """As PennyLane has it."""
    import pennylane as qml

    if isinstance(step, Noise):
        return qml.QubitChannel(list(step.kraus), wires=step.qubits[::-1])
    if step.name in table and not step.controls and step.power == 1.0:
        return table[step.name](*step.parameters, wires=step.qubits)
    return qml.QubitUnitary(gates.matrix(step), wires=step.qubits[::-1])


def native_gates() -> dict[str, Callable[..., Any]]:
    """Gates of PennyLane by our name; only those that are equal with their phase."""
    import pennylane as qml

    return {
        "id": qml.Identity,
        "x": qml.PauliX,
        "y": qml.PauliY,
        "z": qml.PauliZ,
        "h": qml.Hadamard,
        "s": qml.S,
        "t": qml.T,
        "sx": qml.SX,
        "p": qml.PhaseShift,
        "rx": qml.RX,
        "ry": qml.RY,
        "rz": qml.RZ,
        "cx": qml.CNOT,
        "cy": qml.CY,
        "cz": qml.CZ,
        "ch": qml.CH,
        "cp": qml.ControlledPhaseShift,
        "crx": qml.CRX,
        "cry": qml.CRY,
        "crz": qml.CRZ,
        "swap": qml.SWAP,
        "iswap": qml.ISWAP,
        "rxx": qml.IsingXX,
        "ryy": qml.IsingYY,
        "rzz": qml.IsingZZ,
        "ccx": qml.Toffoli,
        "cswap": qml.CSWAP,
    }
