"""The back end "cirq": Cirq's state vector and density matrix simulators.

Cirq evolves the state between measurements; outcomes are drawn from it here. Gates that Cirq has
under the same phase are its own; all others are given to it as their matrix.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ketgate_server.quantum import gates
from ketgate_server.quantum.backends.readings import State
from ketgate_server.quantum.backends.simulated import Simulated
from ketgate_server.quantum.backends.steps import Noise, Step
from ketgate_server.quantum.base import Capabilities, Precision, RunOptions


class CirqBackend(Simulated):
    name = "cirq"
    part = "cirq"
    text = "Google's Cirq: state vector, and density matrix with noise."
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
    step_s = 60e-6
    amplitude_s = 8e-9

    def prepare(self) -> None:
        import cirq

        cirq.Simulator()

    def _evolve(
        self, steps: Sequence[Step], start: State | None, num_qubits: int, options: RunOptions
    ) -> State:
        import cirq

        qubits = cirq.LineQubit.range(num_qubits)
        table = _native()
        circuit = cirq.Circuit(_operation(step, qubits, table) for step in steps)
        kind = np.complex64 if options.precision is Precision.SINGLE else np.complex128
        # Cirq's first qubit is the most significant bit of an index.
        order = qubits[::-1]
        initial: Any = 0 if start is None else start
        if self._is_density(options):
            density = cirq.DensityMatrixSimulator(dtype=kind, split_untangled_states=False)
            result = density.simulate(circuit, qubit_order=order, initial_state=initial)
            return np.asarray(result.final_density_matrix)
        simulator = cirq.Simulator(dtype=kind, split_untangled_states=False)
        final = simulator.simulate(circuit, qubit_order=order, initial_state=initial)
        return np.asarray(final.final_state_vector)


def _operation(step: Step, qubits: Sequence[Any], table: dict[str, Callable[..., Any]]) -> Any:
    import cirq

    on = [qubits[qubit] for qubit in step.qubits]
    if isinstance(step, Noise):
        return cirq.KrausChannel(list(step.kraus), validate=False).on(*reversed(on))
    if step.name in table and not step.controls and step.power == 1.0:
        return table[step.name](*step.parameters).on(*on)
    matrix = gates.matrix(step)
    return cirq.MatrixGate(matrix, unitary_check=False).on(*reversed(on))


def _native() -> dict[str, Callable[..., Any]]:
    """Gates of Cirq by our name, of our parameters; only those that are equal with their phase."""
    import cirq

    constant = {
        "id": cirq.I,
        "x": cirq.X,
        "y": cirq.Y,
        "z": cirq.Z,
        "h": cirq.H,
        "s": cirq.S,
        "sdg": cirq.S**-1,
        "t": cirq.T,
        "tdg": cirq.T**-1,
        "sx": cirq.X**0.5,
        "sxdg": cirq.X**-0.5,
        "cx": cirq.CNOT,
        "cz": cirq.CZ,
        "swap": cirq.SWAP,
        "iswap": cirq.ISWAP,
        "ccx": cirq.CCX,
        "ccz": cirq.CCZ,
        "cswap": cirq.CSWAP,
    }
    table: dict[str, Callable[..., Any]] = {
        name: (lambda gate=gate: gate) for name, gate in constant.items()
    }
    return table | {
        "rx": cirq.rx,
        "ry": cirq.ry,
        "rz": cirq.rz,
        "p": lambda angle: cirq.ZPowGate(exponent=angle / math.pi),
        "cp": lambda angle: cirq.CZPowGate(exponent=angle / math.pi),
        "rzz": lambda angle: cirq.ZZPowGate(exponent=angle / math.pi, global_shift=-0.5),
    }
