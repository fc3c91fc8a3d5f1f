"""Circuits to OpenQASM 3 and 2, which `read` reads to equal circuits."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from ketgate_server.errors import KetgateError, Reason
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
    Reset,
)
from ketgate_server.quantum.openqasm.definitions import DEFINITIONS, needed
from ketgate_server.quantum.openqasm.library import QELIB1_FIRST, STDGATES
from ketgate_server.quantum.openqasm.write_names import Names
from ketgate_server.quantum.openqasm.write_values import (
    angle_text,
    bits_text,
    condition_text,
    number_text,
)

_NAMES_2 = {"u": "u3", "p": "u1", "cp": "cu1"}
"""What the published qelib1.inc calls gates of the library."""


def write3(circuit: Circuit) -> str:
    """OpenQASM 3.0. Gates that stdgates.inc does not have are defined in the text: `read` knows
    them again, and other readers understand them. Raises KetgateError for an angle that is no
    number."""
    writer = _Writer(circuit)
    lines = ["OPENQASM 3.0;", 'include "stdgates.inc";']
    lines += [DEFINITIONS[name] for name in needed(circuit, STDGATES)]
    lines += [f"input float {name};" for name in writer.names.parameters.values()]
    lines += [f"qubit[{r.size}] {r.name};" for r in writer.names.qubit_registers]
    lines += [f"bit[{r.size}] {r.name};" for r in writer.names.bit_registers]
    writer.write(circuit.operations, lines, "")
    return "\n".join(lines) + "\n"


def write2(circuit: Circuit) -> str:
    """OpenQASM 2.0. What it cannot say is refused by name (KetgateError, FIELD_INVALID, with the
    place): parameters without a value, controls and powers, `else`, comparisons other than == with
    a whole register. A global phase, which no such program can observe, becomes a comment."""
    if circuit.parameters:
        raise _refusal(f"the parameter {circuit.parameters[0]!r} without a value", NOWHERE)
    writer = _Writer2(circuit)
    lines = ["OPENQASM 2.0;", 'include "qelib1.inc";']
    lines += [DEFINITIONS[name] for name in needed(circuit, QELIB1_FIRST)]
    lines += [f"qreg {r.name}[{r.size}];" for r in writer.names.qubit_registers]
    lines += [f"creg {r.name}[{r.size}];" for r in writer.names.bit_registers]
    writer.write(circuit.operations, lines, "")
    return "\n".join(lines) + "\n"


class _Writer:
    """Operations to lines of OpenQASM 3."""

    two = False

    def __init__(self, circuit: Circuit) -> None:
        self.names = Names(circuit, two=self.two)
        self.qubits, self.bits = self.names.qubits, self.names.bits

    def write(self, operations: Sequence[Operation], lines: list[str], indent: str) -> None:
        for operation in operations:
            match operation:
                case Gate():
                    lines.append(indent + self.gate(operation))
                case Measure(qubit=qubit, bit=bit):
                    lines.append(indent + self.measure(self.qubits[qubit], self.bits[bit]))
                case Reset(qubit=qubit):
                    lines.append(f"{indent}reset {self.qubits[qubit]};")
                case Barrier(qubits=()):
                    pass  # written without qubits it would be one of all
                case Barrier(qubits=some):
                    parts = bits_text(some, self.names.qubit_registers)
                    on = (
                        self._separately(some)
                        if any("{" in t for t, _ in parts) or self.two
                        else [text for text, _ in parts]
                    )
                    lines.append(f"{indent}barrier {', '.join(on)};")
                case If():
                    self.branch(operation, lines, indent)

    def _separately(self, qubits: Sequence[int]) -> list[str]:
        return [self.qubits[q] for q in qubits]

    def measure(self, qubit: str, bit: str) -> str:
        return f"{bit} = measure {qubit};"

    def gate(self, gate: Gate) -> str:
        modifiers = ""
        for value, run in groupby(gate.controls):
            count = len(list(run))
            name = "ctrl" if value else "negctrl"
            modifiers += f"{name} @ " if count == 1 else f"{name}({count}) @ "
        if gate.power == -1.0:
            modifiers += "inv @ "
        elif gate.power != 1.0:
            modifiers += f"pow({number_text(gate.power)}) @ "
        return modifiers + self.plain("U" if gate.name == "u" else gate.name, gate)

    def plain(self, name: str, gate: Gate) -> str:
        if gate.parameters:
            angles = [angle_text(angle, self.names.parameters) for angle in gate.parameters]
            name += f"({', '.join(angles)})"
        if not gate.qubits:
            return f"{name};"
        return f"{name} {', '.join([self.qubits[q] for q in gate.qubits])};"

    def branch(self, operation: If, lines: list[str], indent: str) -> None:
        text, before = self.condition(operation.condition)
        if before:
            lines.append(indent + before)
        lines.append(f"{indent}if ({text}) {{")
        self.write(operation.then, lines, indent + "  ")
        if operation.otherwise:
            lines.append(f"{indent}}} else {{")
            self.write(operation.otherwise, lines, indent + "  ")
        lines.append(f"{indent}}}")

    def condition(self, condition: Condition) -> tuple[str, str]:
        return condition_text(condition, self.names.bit_registers, self.names.fresh)


class _Writer2(_Writer):
    """Operations to lines of OpenQASM 2."""

    two = True

    def measure(self, qubit: str, bit: str) -> str:
        return f"measure {qubit} -> {bit};"

    def gate(self, gate: Gate) -> str:
        if gate.name == "gphase" and not gate.controls:
            phase = angle_text(gate.parameters[0], {})
            return f"// global phase {phase}" + (
                "" if gate.power == 1.0 else f" to the power {number_text(gate.power)}"
            )
        if gate.controls:
            raise _refusal(f"the gate `{gate.name}` with {len(gate.controls)} controls", gate.place)
        if gate.power != 1.0:
            raise _refusal(f"the gate `{gate.name}` to the power {gate.power:g}", gate.place)
        return self.plain(_NAMES_2.get(gate.name, gate.name), gate)

    def branch(self, operation: If, lines: list[str], indent: str) -> None:
        condition, place = operation.condition, operation.place
        if operation.otherwise:
            raise _refusal("`else`", place)
        register = next(
            (
                r
                for r in self.names.bit_registers
                if condition.bits == tuple(range(r.start, r.start + r.size))
            ),
            None,
        )
        if register is None or condition.comparison != "==":
            raise _refusal("a condition other than REGISTER == NUMBER", place)
        for k, inner in enumerate(operation.then):
            if isinstance(inner, If | Barrier):
                raise _refusal(f"`{type(inner).__name__.lower()}` inside of `if`", place)
            last = k == len(operation.then) - 1
            if isinstance(inner, Measure) and inner.bit in condition.bits and not last:
                # Each line asks again, and would see what this one wrote.
                raise _refusal("a measurement into the bits of its own `if`", place)
            if isinstance(inner, Gate) and inner.name == "gphase":
                continue  # of a whole shot, which nothing can tell
            body: list[str] = []
            self.write([inner], body, "")
            lines += [f"{indent}if({register.name}=={condition.value}) {line}" for line in body]


def _refusal(what: str, place: Place) -> KetgateError:
    where = f" (line {place.line}, column {place.column})" if place.line else ""
    return KetgateError(
        Reason.FIELD_INVALID,
        f"format: OpenQASM 2 cannot say {what}{where}; ask for OpenQASM 3",
        field="format",
    )
