"""Gradients of expectations by lightning's adjoint method."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ketgate_server.quantum.base import Unsuitable
from ketgate_server.quantum.circuit import Circuit, Gate
from ketgate_server.quantum.expression import Angle, Expression, evaluate, slope
from ketgate_server.quantum.observable import PauliSum, PauliTerm

TRAINABLE = {"rx", "ry", "rz", "p", "crx", "cry", "crz", "cp", "rxx", "ryy", "rzz"}
"""Gates of one angle that the adjoint method takes as they are."""


def gradients(
    backend: str,
    circuit: Circuit,
    values: Mapping[str, float],
    observables: Sequence[PauliSum],
    table: Mapping[str, Callable[..., Any]],
    operation: Callable[..., Any],
) -> NDArray[np.float64]:
    """(number of observables, number of the circuit's parameters), in radians.

    table, operation: of the module pennylane. Raises Unsuitable for a gate whose angle depends on a
    parameter and that the adjoint method has no generator of.
    """
    import pennylane as qml
    from pennylane.devices import ExecutionConfig

    out = np.zeros((len(observables), len(circuit.parameters)))
    made, trainable, angles = [], [], []
    place = 0
    for gate in _gates(backend, circuit):
        numbers = tuple(evaluate(angle, values) for angle in gate.parameters)
        one = operation(replace(gate, parameters=numbers), table)
        made.append(one)
        if _depends(gate):
            trainable.append(place)
            angles.append(gate.parameters[0])
        place += len(one.data)  # a matrix counts as one parameter
    if not trainable or not observables:
        return out
    tape = qml.tape.QuantumScript(
        made,
        [qml.expval(_observable(observable)) for observable in observables],
        trainable_params=trainable,
    )
    wires = list(reversed(range(circuit.num_qubits)))
    device = qml.device("lightning.qubit", wires=wires)
    config = ExecutionConfig(gradient_method="adjoint", use_device_gradient=True)
    slopes = np.asarray(device.compute_derivatives(tape, config), dtype=np.float64)
    slopes = slopes.reshape(len(observables), len(trainable))
    chain = np.array(
        [[slope(angle, values, name) for name in circuit.parameters] for angle in angles]
    )
    return np.asarray(slopes @ chain)


def _gates(backend: str, circuit: Circuit) -> list[Gate]:
    """All gates, those of a parameter written as ones that have a generator."""
    gates: list[Gate] = []
    for one in circuit.operations:
        if not isinstance(one, Gate) or not one.qubits:
            continue  # a phase of the whole state changes no expectation
        if not _depends(one) or (_is_plain(one) and one.name in TRAINABLE):
            gates.append(one)
        elif _is_plain(one) and one.name == "u":
            # Up to a phase of the whole state.
            theta, phi, lam = one.parameters
            for name, angle in (("rz", lam), ("ry", theta), ("rz", phi)):
                gates.append(replace(one, name=name, parameters=(angle,)))
        elif _is_plain(one) and one.name == "rzx":
            turn = Gate("h", one.qubits[1:], place=one.place)
            gates += [turn, replace(one, name="rzz"), turn]
        else:
            name = "a controlled " * bool(one.controls) + one.name
            name += f" raised to {one.power:g}" * (one.power != 1.0)
            why = "the adjoint method here knows no generator of it; choose 'native'"
            raise Unsuitable(backend, f"the gradient of {name}", why, one.place)
    return gates


def _is_plain(gate: Gate) -> bool:
    return not gate.controls and gate.power == 1.0


def _depends(gate: Gate) -> bool:
    return any(_is_variable(angle) for angle in gate.parameters)


def _is_variable(angle: Angle) -> bool:
    return isinstance(angle, Expression)


def _observable(observable: PauliSum) -> Any:
    import pennylane as qml

    terms = observable.terms or (PauliTerm(0.0, 0, 0),)
    return qml.Hamiltonian([term.coefficient for term in terms], [_word(term) for term in terms])


def _word(term: PauliTerm) -> Any:
    import pennylane as qml

    letters = {}
    for qubit in range((term.x | term.z).bit_length()):
        x, z = term.x >> qubit & 1, term.z >> qubit & 1
        if x or z:
            letters[qubit] = "Y" if x and z else "X" if x else "Z"
    if not letters:
        return qml.Identity(0)
    return qml.pauli.PauliWord(letters).operation()
