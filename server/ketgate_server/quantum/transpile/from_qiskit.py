"""Circuits of Qiskit's to ours. Imports Qiskit: only for worker processes and adapters."""

from __future__ import annotations

from typing import Any

from qiskit.circuit import Clbit, ControlledGate, IfElseOp, QuantumCircuit
from qiskit.circuit.classical import expr

from ketgate_server.quantum.circuit import (
    NOWHERE,
    Barrier,
    Circuit,
    Gate,
    Measure,
    Operation,
    Register,
    Reset,
)
from ketgate_server.quantum.expression import FUNCTIONS, Angle, Expression
from ketgate_server.quantum.gates import GATES
from ketgate_server.quantum.openqasm import conditions
from ketgate_server.quantum.openqasm.conditions import Test
from ketgate_server.quantum.openqasm.modifiers import folded
from ketgate_server.quantum.openqasm.source import Fault
from ketgate_server.quantum.openqasm.values import Memory
from ketgate_server.quantum.transpile.qiskit_circuit import Unconvertible

OPERATIONS_MAX = 4_000_000
_IGNORED = frozenset(("delay", "id_delay"))
_RENAMED = {"u1": "p", "u3": "u", "cu1": "cp", "U": "u", "CX": "cx"}


def from_qiskit(circuit: QuantumCircuit, *, label: str = "") -> Circuit:
    """The same circuit, global phase included. Gates that are not in the library are written out by
    Qiskit's own definitions. Delays have no meaning here and are left out.

    Raises Unconvertible.
    """
    reader = _Reader(circuit)
    operations: list[Operation] = []
    phase = _angle(circuit.global_phase)
    if phase != 0.0:
        operations.append(Gate("gphase", (), (phase,)))
    operations += reader.operations(circuit, reader.qubits, reader.bits)
    return Circuit(
        num_qubits=circuit.num_qubits,
        num_bits=circuit.num_clbits,
        operations=tuple(operations),
        qubit_registers=_registers(circuit.qregs, reader.qubits),
        bit_registers=_registers(circuit.cregs, reader.bits),
        parameters=tuple(parameter.name for parameter in circuit.parameters),
        label=label,
    )


def _registers(registers: Any, numbers: dict[Any, int]) -> tuple[Register, ...]:
    """Those that are runs of bits; Qiskit's may also overlap."""
    out = []
    for register in registers:
        places = [numbers[bit] for bit in register]
        if places and places == list(range(places[0], places[0] + len(places))):
            out.append(Register(register.name, places[0], len(places)))
    return tuple(out)


class _Reader:
    """Knows the numbers of qubits and bits."""

    def __init__(self, circuit: QuantumCircuit) -> None:
        self.qubits: dict[Any, int] = {bit: k for k, bit in enumerate(circuit.qubits)}
        self.bits: dict[Any, int] = {bit: k for k, bit in enumerate(circuit.clbits)}
        self.count = 0

    def operations(
        self, circuit: QuantumCircuit, qubits: dict[Any, int], bits: dict[Any, int]
    ) -> list[Operation]:
        out: list[Operation] = []
        for instruction in circuit.data:
            operation = instruction.operation
            on = tuple([qubits[q] for q in instruction.qubits])
            name = operation.name
            match name:
                case "measure":
                    out.append(Measure(on[0], bits[instruction.clbits[0]]))
                case "reset":
                    out.append(Reset(on[0]))
                case "barrier":
                    out.append(Barrier(on))
                case "if_else":
                    out += self._branch(
                        operation, on, tuple(bits[b] for b in instruction.clbits), bits
                    )
                case _ if name not in _IGNORED:
                    self._gate(operation, on, out)
        return out

    def _gate(self, operation: Any, on: tuple[int, ...], out: list[Operation]) -> None:
        self.count += 1
        if self.count > OPERATIONS_MAX:
            raise Unconvertible(f"more than {OPERATIONS_MAX} gates")
        name = _RENAMED.get(operation.name, operation.name)
        spec = GATES.get(name)
        if name == "global_phase":
            out.append(Gate("gphase", (), (_angle(operation.params[0]),)))
            return
        if isinstance(operation, ControlledGate):
            controlled = self._controlled(operation, on)
            if controlled is not None:
                out.append(controlled)
                return
        elif (
            spec is not None
            and spec.num_qubits == len(on)
            and spec.num_parameters == len(operation.params)
        ):
            out.append(Gate(name, on, tuple([_angle(p) for p in operation.params])))
            return
        definition = getattr(operation, "definition", None)
        if definition is None:
            raise Unconvertible(f"{operation.name!r} of Qiskit")
        phase = _angle(definition.global_phase)
        if phase != 0.0:
            out.append(Gate("gphase", (), (phase,)))
        numbers = dict(zip(definition.qubits, on, strict=True))
        out += self.operations(definition, numbers, {})

    def _controlled(self, operation: Any, on: tuple[int, ...]) -> Gate | None:
        """Where what is controlled is a gate of the library."""
        base = operation.base_gate
        name = _RENAMED.get(base.name, base.name)
        count = operation.num_ctrl_qubits
        controls = tuple(operation.ctrl_state >> k & 1 for k in range(count))
        angles = tuple(_angle(p) for p in operation.params)
        if operation.name in GATES and all(controls):
            return Gate(operation.name, on, angles)
        if operation.name == "cu":
            return None  # its phase is not its base's
        spec = GATES.get(name)
        if isinstance(base, ControlledGate) or spec is None:
            return None
        if spec.num_parameters != len(angles) or spec.num_qubits + count != len(on):
            return None
        return folded(Gate(name, on, angles, controls))

    def _branch(
        self, operation: IfElseOp, on: tuple[int, ...], bits: tuple[int, ...], outer: dict[Any, int]
    ) -> list[Operation]:
        blocks = []
        for body in operation.blocks:
            qubits = dict(zip(body.qubits, on, strict=True))
            inner = dict(zip(body.clbits, bits, strict=True))
            # A phase that all or nothing of a shot gets cannot be seen.
            blocks.append(conditions.block(self.operations(body, qubits, inner)))
        then = blocks[0]
        otherwise = blocks[1] if len(blocks) > 1 else conditions.block([])
        try:
            test = self._test(operation.condition, outer)
            if isinstance(test, bool):
                return list((then if test else otherwise)[0])
            return list(conditions.branch(test, then, otherwise, NOWHERE, OPERATIONS_MAX)[0])
        except Fault as fault:
            raise Unconvertible(fault.problem) from None

    # --- conditions

    def _test(self, condition: Any, bits: dict[Any, int]) -> Test | bool:
        if isinstance(condition, tuple):
            target, value = condition
            memory = _memory(target, bits)
            return conditions.compare(memory, "==", int(value))
        return self._expression(condition, bits)

    def _expression(self, node: expr.Expr, bits: dict[Any, int]) -> Test | bool:
        match node:
            case expr.Value(value=value):
                return bool(value)
            case expr.Var(var=var):
                memory = _memory(var, bits)
                return conditions.compare(memory, "!=", 0)
            case expr.Cast(operand=operand):
                return self._expression(operand, bits)
            case expr.Unary(op=expr.Unary.Op.LOGIC_NOT | expr.Unary.Op.BIT_NOT, operand=operand):
                test = self._expression(operand, bits)
                return not test if isinstance(test, bool) else conditions.negated(test)
            case expr.Binary(op=op, left=left, right=right) if op.name in _JUNCTIONS:
                a, b = self._expression(left, bits), self._expression(right, bits)
                return conditions.junction(_JUNCTIONS[op.name], a, b)
            case expr.Binary(op=op, left=left, right=right) if op.name in _SIGNS:
                left, right = _bare(left), _bare(right)
                sign = _SIGNS[op.name]
                if isinstance(left, expr.Var) and isinstance(right, expr.Value):
                    return conditions.compare(_memory(left.var, bits), sign, int(right.value))
                if isinstance(right, expr.Var) and isinstance(left, expr.Value):
                    return conditions.compare(
                        _memory(right.var, bits), sign, int(left.value), mirrored=True
                    )
        raise Unconvertible("a condition that is not a comparison of measured bits")


_JUNCTIONS = {"LOGIC_AND": "&&", "LOGIC_OR": "||"}
_SIGNS = {
    "EQUAL": "==",
    "NOT_EQUAL": "!=",
    "LESS": "<",
    "LESS_EQUAL": "<=",
    "GREATER": ">",
    "GREATER_EQUAL": ">=",
}


def _bare(node: expr.Expr) -> expr.Expr:
    while isinstance(node, expr.Cast):
        node = node.operand
    return node


def _memory(target: Any, bits: dict[Any, int]) -> Memory:
    if isinstance(target, Clbit):
        return Memory((bits[target],), True)
    try:
        return Memory(tuple(bits[b] for b in target), False)
    except (TypeError, KeyError):
        raise Unconvertible("a condition on a variable") from None


# --- parameters


def _angle(value: Any) -> Angle:
    try:
        return float(value)
    except TypeError:
        return _from_sympy(value.sympify())


def _from_sympy(node: Any) -> Angle:
    if node.is_Symbol:
        return Expression("parameter", (str(node.name),))
    if node.is_number:
        return float(node)
    parts = [_from_sympy(argument) for argument in node.args]
    operator = {"Add": "+", "Mul": "*", "Pow": "**"}.get(type(node).__name__)
    if operator is not None:
        out = parts[0]
        for part in parts[1:]:
            out = Expression(operator, (out, part))
        return out
    name = {"asin": "arcsin", "acos": "arccos", "atan": "arctan"}.get(
        type(node).__name__, type(node).__name__
    )
    if name not in FUNCTIONS or len(parts) != 1:
        raise Unconvertible(f"the function {name} of a parameter")
    return Expression(name, (parts[0],))
