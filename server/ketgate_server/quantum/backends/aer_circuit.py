"""Circuits as Aer takes them: its own gates where it has them under the same phase, others as
matrices, noise as Kraus instructions, conditions as expressions on bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ketgate_server.quantum import gates
from ketgate_server.quantum.backends.steps import Noise, Step, renumbered, with_noise
from ketgate_server.quantum.circuit import Circuit, Condition, Gate, If, Measure, Operation, Reset
from ketgate_server.quantum.noise import NoiseModel

_NAMES = "id x y z h s sdg t tdg sx sxdg p rx ry rz u cx cy cz cp swap ecr rxx ryy rzz rzx ccx"
NATIVE = frozenset(_NAMES.split())
"""Gates of both of Aer's simulators, under the names that Qiskit's circuits have for them."""
MIRRORED = {"<": ("<", 0), "<=": ("<", 1), ">": (">=", 1), ">=": (">=", 0)}


def translate(circuit: Circuit, noise: NoiseModel | None, number: Mapping[int, int]) -> Any:
    """A QuantumCircuit. number: of each active qubit there; bits keep theirs."""
    from qiskit import QuantumCircuit

    out = QuantumCircuit(len(number), circuit.num_bits)
    _fill(out, circuit.operations, noise, number)
    return out


def append(circuit: Any, step: Step) -> None:
    from qiskit.circuit.library import UnitaryGate
    from qiskit.quantum_info import Kraus

    if isinstance(step, Noise):
        circuit.append(Kraus(list(step.kraus)).to_instruction(), step.qubits)
    elif step.name in NATIVE and not step.controls and step.power == 1.0:
        getattr(circuit, step.name)(*step.parameters, *step.qubits)
    else:
        circuit.append(UnitaryGate(gates.matrix(step), check_input=False), step.qubits)


def _fill(
    out: Any,
    operations: Sequence[Operation],
    noise: NoiseModel | None,
    number: Mapping[int, int],
) -> None:
    for step in with_noise(operations, noise):
        match step:
            case Gate() | Noise():
                append(out, renumbered([step], number)[0])
            case Measure():
                out.measure(number[step.qubit], step.bit)
            case Reset():
                out.reset(number[step.qubit])
            case If():
                _branch(out, step, noise, number)


def _branch(out: Any, step: If, noise: NoiseModel | None, number: Mapping[int, int]) -> None:
    holds = _expression(step.condition, out.clbits)
    if isinstance(holds, bool):  # whatever was measured
        _fill(out, step.then if holds else step.otherwise, noise, number)
        return
    with out.if_test(holds) as otherwise:
        _fill(out, step.then, noise, number)
    if step.otherwise:
        with otherwise:
            _fill(out, step.otherwise, noise, number)


def _expression(condition: Condition, clbits: Sequence[Any]) -> Any:
    """The condition as an expression of Qiskit, or a bool where the bits do not matter."""
    bits = [clbits[bit] for bit in condition.bits]
    if condition.comparison in ("==", "!="):
        holds = _equal(bits, condition.value)
        return _negated(holds) if condition.comparison == "!=" else holds
    sense, more = MIRRORED[condition.comparison]
    below = _below(bits, condition.value + more)
    return below if sense == "<" else _negated(below)


def _equal(bits: Sequence[Any], value: int) -> Any:
    from qiskit.circuit.classical import expr

    if not 0 <= value < 1 << len(bits):
        return False
    out: Any = True
    for k, bit in enumerate(bits):
        same = expr.lift(bit) if value >> k & 1 else expr.logic_not(bit)
        out = same if out is True else expr.logic_and(out, same)
    return out


def _below(bits: Sequence[Any], value: int) -> Any:
    """Whether the number that the bits hold is below the value: from the lowest bit up."""
    from qiskit.circuit.classical import expr

    if value <= 0 or value >= 1 << len(bits):
        return value > 0
    out: Any = False
    for k, bit in enumerate(bits):
        zero = expr.logic_not(bit)
        if value >> k & 1:
            out = zero if out is False else expr.logic_or(zero, out)
        elif out is not False:
            out = expr.logic_and(zero, out)
    return out


def _negated(holds: Any) -> Any:
    from qiskit.circuit.classical import expr

    return not holds if isinstance(holds, bool) else expr.logic_not(holds)
