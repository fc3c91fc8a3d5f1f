"""What a circuit and its options ask of a back end, against what that one can."""

from __future__ import annotations

from ketgate_server.quantum.base import (
    Capabilities,
    NoiseMethod,
    Precision,
    RunOptions,
    Unsuitable,
)
from ketgate_server.quantum.circuit import NOWHERE, Circuit, Gate, If, Measure, Place, Reset

FEATURES = {
    "classical_control": "if",
    "reset": "reset",
    "mid_circuit_measurement": "a measurement amid the circuit",
}


def check_options(backend: str, can: Capabilities, options: RunOptions) -> None:
    """Raises Unsuitable for an option that it does not have."""
    if options.precision is Precision.SINGLE and not can.single_precision:
        raise Unsuitable(backend, "single precision", "it computes in double precision alone")
    if options.noise is not None and not can.noise:
        raise Unsuitable(backend, "noise", "it is ideal; leave the noise out, or choose another")
    if options.noise is not None and options.state_vector:
        raise Unsuitable(
            backend, "a state vector under noise", "noise leaves no pure state; ask for one of both"
        )
    if options.shots == 0 and not can.exact:
        raise Unsuitable(backend, "exact probabilities", "ask for shots")
    if options.state_vector and not can.state_vector:
        raise Unsuitable(backend, "a state vector", "it returns outcomes alone")


def check_trajectories(backend: str, options: RunOptions) -> None:
    """For a back end that simulates noise by the density matrix alone."""
    if options.noise is not None and options.noise_method is NoiseMethod.TRAJECTORIES:
        raise Unsuitable(
            backend,
            "noise by trajectories",
            "it computes the density matrix; leave the method open, or choose 'native' or 'aer'",
        )


def check_dynamics(
    backend: str, can: Capabilities, circuit: Circuit, options: RunOptions, *, expectations: bool
) -> None:
    """Raises Unsuitable for the first operation that depends on outcomes, or comes after them, if
    that cannot be done."""
    if circuit.measures_at_end:
        return
    feature, place = _first_dynamic(circuit)
    what = FEATURES[feature]
    if not getattr(can, feature):
        raise Unsuitable(backend, what, "it measures at the end alone", place)
    asked = "an expectation of a circuit" if expectations else "exact probabilities of a circuit"
    if expectations or options.shots == 0:
        why = "ask for shots" if not expectations else "run it and count outcomes"
        raise Unsuitable(backend, f"{asked} with {what}", why, place)
    if options.state_vector:
        why = "its state is another one for each outcome"
        raise Unsuitable(backend, f"the state vector of a circuit with {what}", why, place)


def check_size(backend: str, num_qubits: int, qubits_max: int, what: str) -> None:
    """what: of what there are so many."""
    if num_qubits > qubits_max:
        raise Unsuitable(
            backend,
            f"{num_qubits} qubits",
            f"{what} of more than {qubits_max} does not fit into its memory limit",
        )


def _first_dynamic(circuit: Circuit) -> tuple[str, Place]:
    """The feature that the first such operation needs, and where it is."""
    measured: set[int] = set()
    written: set[int] = set()
    for operation in circuit.operations:
        match operation:
            case If():
                return "classical_control", operation.place
            case Reset():
                return "reset", operation.place
            case Measure():
                if operation.qubit in measured or operation.bit in written:
                    return "mid_circuit_measurement", operation.place
                measured.add(operation.qubit)
                written.add(operation.bit)
            case Gate() if not measured.isdisjoint(operation.qubits):
                return "mid_circuit_measurement", operation.place
    return "mid_circuit_measurement", NOWHERE
