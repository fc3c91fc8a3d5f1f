"""The back end "braket-local": Amazon Braket's local simulators, braket_sv and braket_dm.

They measure at the end alone, so what goes on after a measurement is refused. Noise is given to
them as Kraus operators, on one or two qubits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ketgate_server.quantum import gates
from ketgate_server.quantum.backends.readings import State
from ketgate_server.quantum.backends.simulated import Simulated
from ketgate_server.quantum.backends.steps import Noise, Step, with_noise
from ketgate_server.quantum.base import Capabilities, RunOptions, Unsuitable
from ketgate_server.quantum.circuit import Circuit

KRAUS_QUBITS_MAX = 2


class BraketBackend(Simulated):
    name = "braket-local"
    part = "braket"
    text = "Amazon Braket's local simulators: state vector, and density matrix with noise."
    capabilities = Capabilities(exact=True, state_vector=True, noise=True, cancel=True)
    qubits_ceiling = 26
    density_ceiling = 12
    import_bytes = 350 << 20
    step_s = 600e-6
    amplitude_s = 15e-9

    def prepare(self) -> None:
        from braket.devices import LocalSimulator

        LocalSimulator("braket_sv")

    def _check_own(self, circuit: Circuit, options: RunOptions) -> None:
        for step in with_noise(circuit.operations, options.noise):
            if isinstance(step, Noise) and len(step.qubits) > KRAUS_QUBITS_MAX:
                what = f"noise on {len(step.qubits)} qubits at once"
                raise Unsuitable(self.name, what, "it knows one and two", step.place)

    def _evolve(
        self, steps: Sequence[Step], start: State | None, num_qubits: int, options: RunOptions
    ) -> State:
        from braket.circuits import Circuit as BraketCircuit
        from braket.devices import LocalSimulator

        assert start is None, "only circuits that measure at the end come here"
        # Braket's first qubit is the most significant bit of an index: they are numbered backwards.
        circuit = BraketCircuit()
        for qubit in range(num_qubits):
            circuit.i(qubit)  # else it would leave out those that nothing acts on
        for step in steps:
            _append(circuit, step, [num_qubits - 1 - qubit for qubit in step.qubits])
        density = self._is_density(options)
        if density:
            circuit.density_matrix()
        else:
            circuit.state_vector()
        simulator = LocalSimulator("braket_dm" if density else "braket_sv")
        result = simulator.run(circuit, shots=0).result()
        return np.asarray(result.values[0])


def _append(circuit: Any, step: Step, on: Sequence[int]) -> None:
    if isinstance(step, Noise):
        circuit.kraus(targets=on[::-1], matrices=list(step.kraus))
        return
    native = NATIVE.get(step.name)
    if native is not None and not step.controls and step.power == 1.0:
        native(circuit)(*on, *step.parameters)
    else:
        circuit.unitary(matrix=gates.matrix(step), targets=on[::-1])


def _named(name: str) -> Callable[[Any], Callable[..., Any]]:
    return lambda circuit: getattr(circuit, name)


NATIVE = {
    ours: _named(theirs)
    for ours, theirs in {
        "id": "i",
        "x": "x",
        "y": "y",
        "z": "z",
        "h": "h",
        "s": "s",
        "sdg": "si",
        "t": "t",
        "tdg": "ti",
        "sx": "v",
        "sxdg": "vi",
        "p": "phaseshift",
        "rx": "rx",
        "ry": "ry",
        "rz": "rz",
        "cx": "cnot",
        "cy": "cy",
        "cz": "cz",
        "csx": "cv",
        "cp": "cphaseshift",
        "swap": "swap",
        "iswap": "iswap",
        "rxx": "xx",
        "ryy": "yy",
        "rzz": "zz",
        "ccx": "ccnot",
        "cswap": "cswap",
    }.items()
}
"""Gates of Braket by our name; only those that are equal with their phase."""
