"""Circuits to Qiskit's. Imports Qiskit: only for worker processes and adapters.

Qubits, bits and the order in gates are the same on both sides; global phases are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from qiskit.circuit import (
    CircuitInstruction,
    ClassicalRegister,
    IfElseOp,
    Parameter,
    QuantumCircuit,
    QuantumRegister,
)
from qiskit.circuit import Measure as QiskitMeasure
from qiskit.circuit import Reset as QiskitReset
from qiskit.circuit.classical import expr
from qiskit.circuit.library import Barrier as QiskitBarrier
from qiskit.circuit.library import UnitaryGate, get_standard_gate_name_mapping

from ketgate_server.quantum.circuit import (
    NOWHERE,
    Barrier,
    Circuit,
    Condition,
    Gate,
    If,
    Measure,
    Operation,
    Place,
    Register,
    Reset,
)
from ketgate_server.quantum.expression import Angle, Expression
from ketgate_server.quantum.gates import GATES, matrix

MATRIX_QUBITS_MAX = 6
"""Qubits up to which a gate that Qiskit has no class for is passed as one matrix."""


class Unconvertible(ValueError):  # noqa: N818 - a property of what was given
    """One side cannot say what the other does. what: the operation, in words."""

    def __init__(self, what: str, place: Place = NOWHERE) -> None:
        where = f" at line {place.line}, column {place.column}" if place.line else ""
        super().__init__(f"{what}{where}")
        self.what = what
        self.place = place


def to_qiskit(
    circuit: Circuit, *, as_matrix: Callable[[Gate], bool] | None = None
) -> QuantumCircuit:
    """The same circuit. Parameters without a value become Qiskit's, of the same names.

    as_matrix: whether to pass a gate as its matrix, where what runs it does not know it otherwise.
    Raises Unconvertible.
    """
    out = QuantumCircuit(name=circuit.label or None)
    _add_registers(out, circuit)
    parameters = {name: Parameter(name) for name in circuit.parameters}
    _Writer(out, parameters, as_matrix).write(circuit.operations)
    return out


def _add_registers(out: QuantumCircuit, circuit: Circuit) -> None:
    if _covers(circuit.qubit_registers, circuit.num_qubits):
        for register in circuit.qubit_registers:
            out.add_register(QuantumRegister(register.size, register.name))
    else:
        out.add_register(QuantumRegister(circuit.num_qubits, "q"))
    if _covers(circuit.bit_registers, circuit.num_bits):
        for register in circuit.bit_registers:
            out.add_register(ClassicalRegister(register.size, register.name))
    else:
        out.add_register(ClassicalRegister(circuit.num_bits, "c"))


def _covers(registers: Sequence[Register], count: int) -> bool:
    """Whether the registers, in their order, are all there is."""
    at = 0
    for register in registers:
        if register.start != at:
            return False
        at += register.size
    return at == count and len({register.name for register in registers}) == len(registers)


@cache
def classes() -> dict[str, Any]:
    """Qiskit's class of each gate of the library; the names are the same."""
    known = get_standard_gate_name_mapping()
    return {name: known[name].base_class for name in GATES if name != "gphase"}


class _Writer:
    """Appends operations to a circuit of Qiskit's."""

    def __init__(
        self,
        out: QuantumCircuit,
        parameters: Mapping[str, Parameter],
        as_matrix: Callable[[Gate], bool] | None,
    ) -> None:
        self.out = out
        self.parameters = parameters
        self.as_matrix = as_matrix
        self.qubits: Mapping[int, Any] = dict(enumerate(out.qubits))
        self.bits: Mapping[int, Any] = dict(enumerate(out.clbits))

    def write(self, operations: Sequence[Operation]) -> None:
        qubits, out = self.qubits, self.out
        measure, reset = QiskitMeasure(), QiskitReset()
        made: Any
        for operation in operations:
            on: list[Any] = []
            bits: list[Any] = []
            match operation:
                case Gate(name="gphase", controls=()):
                    out.global_phase += operation.power * self.angle(operation.parameters[0])
                    continue
                case Gate():
                    made = self.gate(operation)
                    on = [qubits[q] for q in operation.qubits]
                case Measure(qubit=qubit, bit=bit):
                    made, on, bits = measure, [qubits[qubit]], [self.bits[bit]]
                case Reset(qubit=qubit):
                    made, on = reset, [qubits[qubit]]
                case Barrier(qubits=some):
                    made, on = QiskitBarrier(len(some)), [qubits[q] for q in some]
                case If():
                    made, on, bits = self.branch(operation)
            out._append(CircuitInstruction(made, on, bits))

    def angle(self, angle: Angle) -> Any:
        return to_parameter(angle, self.parameters) if isinstance(angle, Expression) else angle

    def gate(self, gate: Gate) -> Any:
        """A gate of Qiskit's with this gate's meaning on its qubits."""
        if self.as_matrix is not None and self.as_matrix(gate):
            return _matrix_gate(gate)
        count = len(gate.controls)
        if gate.power == 1.0 and gate.name != "gphase":
            base = classes()[gate.name](*[self.angle(a) for a in gate.parameters])
        elif len(gate.qubits) <= MATRIX_QUBITS_MAX or gate.name == "gphase":
            return _matrix_gate(gate)
        else:
            base = _matrix_gate(
                Gate(gate.name, gate.qubits[count:], gate.parameters, (), gate.power, gate.place)
            )
        if not count:
            return base
        state = sum(value << k for k, value in enumerate(gate.controls))
        return base.control(count, ctrl_state=state, annotated=False)

    # --- conditions

    def branch(self, operation: If) -> tuple[Any, list[Any], list[Any]]:
        used_qubits, used_bits = used(operation)
        qubits = [self.qubits[q] for q in sorted(used_qubits)]
        # Registers of conditions inside are needed whole.
        registers = [
            register
            for register in self.out.cregs
            if any(self.bits[b] in register for b in used_bits)
        ]
        bits = list(dict.fromkeys(bit for register in registers for bit in register))
        then = self._body(operation.then, qubits, bits, registers)
        otherwise = None
        if operation.otherwise:
            otherwise = self._body(operation.otherwise, qubits, bits, registers)
        made = IfElseOp(self.condition(operation.condition, registers), then, otherwise)
        return made, qubits, bits

    def _body(
        self, operations: Sequence[Operation], qubits: list[Any], bits: list[Any], registers: Any
    ) -> QuantumCircuit:
        body = QuantumCircuit(qubits, bits, *registers)
        inner = _Writer(body, self.parameters, self.as_matrix)
        inner.qubits, inner.bits = self.qubits, self.bits
        inner.write(operations)
        return body

    def condition(self, condition: Condition, registers: Sequence[ClassicalRegister]) -> Any:
        """As Qiskit writes it: (register or bit, value), or an expression."""
        bits = [self.bits[b] for b in condition.bits]
        value, comparison = condition.value, condition.comparison
        if len(bits) == 1 and comparison in ("==", "!="):
            return bits[0], value if comparison == "==" else 1 - value
        whole = next((r for r in registers if list(r) == bits), None)
        if whole is not None and 0 <= value < 1 << len(bits):
            if comparison == "==":
                return whole, value
            return _COMPARISONS[comparison](whole, value)
        return _bitwise(bits, comparison, value)


_COMPARISONS = {
    "==": expr.equal,
    "!=": expr.not_equal,
    "<": expr.less,
    "<=": expr.less_equal,
    ">": expr.greater,
    ">=": expr.greater_equal,
}


def _bitwise(bits: list[Any], comparison: str, value: int) -> expr.Expr:
    """A comparison of bits that are no register: from the least significant bit on."""
    equal, less = expr.lift(value >> len(bits) == 0), expr.lift(value >> len(bits) > 0)
    for k, bit in enumerate(bits):
        if value >> k & 1:
            less = expr.logic_or(expr.logic_not(bit), less)
            equal = expr.logic_and(bit, equal)
        else:
            less = expr.logic_and(expr.logic_not(bit), less)
            equal = expr.logic_and(expr.logic_not(bit), equal)
    match comparison:
        case "==":
            return equal
        case "!=":
            return expr.logic_not(equal)
        case "<":
            return less
        case ">=":
            return expr.logic_not(less)
        case "<=":
            return expr.logic_or(less, equal)
    return expr.logic_not(expr.logic_or(less, equal))


def used(operation: Operation) -> tuple[set[int], set[int]]:
    """Qubits and bits that an operation touches or reads."""
    match operation:
        case Measure(qubit=qubit, bit=bit):
            return {qubit}, {bit}
        case Reset(qubit=qubit):
            return {qubit}, set()
        case If(condition=condition, then=then, otherwise=otherwise):
            qubits: set[int] = set()
            bits = set(condition.bits)
            for inner in (*then, *otherwise):
                more_qubits, more_bits = used(inner)
                qubits |= more_qubits
                bits |= more_bits
            return qubits, bits
        case Gate(qubits=some) | Barrier(qubits=some):
            return set(some), set()


def _matrix_gate(gate: Gate) -> UnitaryGate:
    if any(isinstance(angle, Expression) for angle in gate.parameters):
        raise Unconvertible(f"the gate {gate.name} with a power and a parameter", gate.place)
    if len(gate.qubits) > 2 * MATRIX_QUBITS_MAX:
        raise Unconvertible(f"the gate {gate.name} on {len(gate.qubits)} qubits", gate.place)
    return UnitaryGate(matrix(gate), label=gate.name, check_input=False)


def to_parameter(angle: Angle, parameters: Mapping[str, Parameter]) -> Any:
    """An expression over Qiskit's parameters. KeyError for one that is not among them."""
    if not isinstance(angle, Expression):
        return angle
    if angle.operator == "parameter":
        (name,) = angle.arguments
        assert isinstance(name, str)
        return parameters[name]
    parts = [to_parameter(a, parameters) for a in angle.arguments if not isinstance(a, str)]
    match angle.operator, parts:
        case "neg", [a]:
            return -a
        case "+", [a, b]:
            return a + b
        case "-", [a, b]:
            return a - b
        case "*", [a, b]:
            return a * b
        case "/", [a, b]:
            return a / b
        case "**", [a, b]:
            return a**b
        case "sqrt", [a]:
            return a**0.5
    return getattr(parts[0], angle.operator)()
