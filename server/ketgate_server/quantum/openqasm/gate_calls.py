"""Calls of gates to operations: broadcasting, modifiers, and gates that the program defines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from ketgate_server.quantum.circuit import Gate, Operation
from ketgate_server.quantum.expression import Angle
from ketgate_server.quantum.openqasm.evaluate import Evaluator
from ketgate_server.quantum.openqasm.library import LibraryGate
from ketgate_server.quantum.openqasm.modifiers import controlled, inverse, raised
from ketgate_server.quantum.openqasm.scope import Meaning, OpaqueGate, Variable, kind_of
from ketgate_server.quantum.openqasm.source import Fault
from ketgate_server.quantum.openqasm.syntax import (
    BarrierQubits,
    DefineGate,
    Element,
    Expr,
    GateCall,
    Modifier,
)
from ketgate_server.quantum.openqasm.values import Formula, Qubits, describe, integer


def _angles(values: Sequence[float | Formula]) -> tuple[Angle, ...]:
    if not values:
        return ()
    return tuple([v.expression if isinstance(v, Formula) else v for v in values])


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' * (number != 1)}"


class GateReader(Evaluator):
    """An evaluator that also carries out gates, into `out`."""

    out: list[Operation]
    gate_depth = 0

    def gate_call(self, call: GateCall) -> None:
        """Append what the call does. Raises ProgramError."""
        place = call.place
        if place is None:
            place = call.place = self.place(call.at)
        gate = self.scopes.find(call.name)
        if type(gate) is not LibraryGate and not isinstance(gate, DefineGate):
            self._no_gate(call, gate)
        angles = [self._angle(a) for a in call.arguments]
        if type(gate) is LibraryGate and not call.modifiers:
            # Nearly every call of nearly every program.
            single = self._single_qubits(call.operands)
            if (
                len(single) == gate.num_qubits == len(call.operands)
                and len(angles) == gate.num_parameters
                and len(set(single)) == len(single)
            ):
                self.emit(gate.gates(_angles(angles), tuple(single), place))
                return
        groups = [self.qubits(operand) for operand in call.operands]
        if call.modifiers:
            values, powers = self._modifiers(call.modifiers)
        else:
            values, powers = (), []
        self._check_shape(call, gate, len(angles), len(groups), len(values))
        for qubits in self._broadcast(call, groups):
            if len(set(qubits)) != len(qubits):
                self._twice(call, qubits)
            if type(gate) is LibraryGate and not powers:
                self.emit(gate.gates(_angles(angles), qubits, place))
                continue
            inner: Sequence[Operation]
            if isinstance(gate, LibraryGate):
                inner = gate.gates(_angles(angles), qubits[len(values) :], place)
            else:
                inner = self.expand(gate, angles, qubits[len(values) :], call.at)
            if powers:
                inner = self._modified(inner, powers, qubits, call.at)
            self.emit(inner)

    def emit(self, operations: Sequence[Operation]) -> None:
        self.out += operations
        if len(self.out) > self.operations_left:
            raise self.over("quantum.operations_max", self.limits.operations_max)

    operations_left = 0
    """How long `out` may become."""

    # --- the parts of a call

    def _single_qubits(self, operands: list[Expr]) -> list[int]:
        """The qubits, if all operands are written as register[number]; fewer if not."""
        found: list[int] = []
        for operand in operands:
            if type(operand) is not Element:
                break
            register = self.scopes.find(operand.name)
            if type(register) is not Qubits or register.single:
                break
            if operand.index >= len(register.indices):
                break
            found.append(register.indices[operand.index])
        return found

    def _angle(self, argument: Expr) -> float | Formula:
        value = self.value(argument)
        if isinstance(value, float | Formula):
            return value
        if isinstance(value, int):
            return float(value)
        raise self.fault(
            argument.at, f"the parameter of a gate is to be a number, not {describe(value)}"
        )

    def qubits(self, operand: Expr) -> Qubits:
        value = self.value(operand)
        if isinstance(value, Qubits):
            return value
        raise self.fault(operand.at, f"expected a qubit, found {describe(value)}")

    def _no_gate(self, call: GateCall, gate: Meaning | None) -> NoReturn:
        if gate is None:
            unknown = self.scopes.unknown(call.name, "the gate")
            raise self.fault(call.at, unknown.problem, unknown.remedy)
        if isinstance(gate, OpaqueGate):
            raise self.fault(
                call.at,
                f"the gate `{call.name}` is opaque: what it does is not known",
                "define it with gate … { … }",
            )
        raise self.fault(call.at, f"`{call.name}` is {kind_of(gate)}, not a gate")

    def _check_shape(
        self,
        call: GateCall,
        gate: LibraryGate | DefineGate,
        angles: int,
        operands: int,
        controls: int,
    ) -> None:
        if isinstance(gate, LibraryGate):
            wanted_angles, wanted = gate.num_parameters, gate.num_qubits
        else:
            wanted_angles, wanted = len(gate.parameters), len(gate.qubits)
        if angles != wanted_angles:
            raise self.fault(
                call.at,
                f"the gate `{call.name}` takes {_count(wanted_angles, 'parameter')}, "
                f"{angles} {'is' if angles == 1 else 'are'} given",
            )
        if operands != wanted + controls:
            extra = f" and {_count(controls, 'control')}" if controls else ""
            raise self.fault(
                call.at,
                f"the gate `{call.name}` acts on {_count(wanted, 'qubit')}{extra}, "
                f"{operands} {'is' if operands == 1 else 'are'} given",
            )

    def _broadcast(self, call: GateCall, groups: list[Qubits]) -> list[tuple[int, ...]]:
        """One tuple of qubits for each time that the gate acts."""
        if all([group.single for group in groups]):  # noqa: C419 - a generator is twice as slow
            return [tuple([group.indices[0] for group in groups])]
        sizes = {len(group.indices) for group in groups if not group.single}
        if len(sizes) != 1:
            raise self.fault(
                call.at,
                "the registers have different sizes: "
                + " and ".join(str(len(g.indices)) for g in groups if not g.single),
                "a gate acts on registers element by element",
            )
        (size,) = sizes
        self.steps_left -= size
        columns = [g.indices * size if g.single else g.indices for g in groups]
        return list(zip(*columns, strict=True))

    def _twice(self, call: GateCall, qubits: tuple[int, ...]) -> NoReturn:
        place = next(k for k, qubit in enumerate(qubits) if qubit in qubits[:k])
        raise self.fault(
            call.operands[place].at,
            f"the gate `{call.name}` is given the same qubit twice",
            "its qubits are to be different",
        )

    # --- modifiers

    def _modifiers(
        self, modifiers: list[Modifier]
    ) -> tuple[tuple[int, ...], list[tuple[str, tuple[int, ...] | float]]]:
        """Values of all controls in the order of their qubits; and the modifiers, innermost
        first, each with its controls' values or its exponent."""
        steps: list[tuple[str, tuple[int, ...] | float]] = []
        values: tuple[int, ...] = ()
        for modifier in modifiers:
            if modifier.kind in ("ctrl", "negctrl"):
                count = 1
                if modifier.argument is not None:
                    count = self.known_integer(modifier.argument, "the number of controls")
                if not 1 <= count <= self.limits.qubits_max:
                    raise self.fault(modifier.at, f"{count} is no number of controls", "at least 1")
                mine = (int(modifier.kind == "ctrl"),) * count
                values += mine
                steps.append(("ctrl", mine))
            elif modifier.kind == "inv":
                steps.append(("pow", -1.0))
            else:
                assert modifier.argument is not None
                exponent = self._angle(modifier.argument)
                if isinstance(exponent, Formula):
                    raise self.fault(
                        modifier.argument.at,
                        "the exponent of pow depends on a parameter",
                        "use a known number",
                    )
                steps.append(("pow", exponent))
        return values, steps[::-1]

    def _modified(
        self,
        operations: Sequence[Operation],
        steps: list[tuple[str, tuple[int, ...] | float]],
        qubits: tuple[int, ...],
        at: int,
    ) -> Sequence[Operation]:
        controls = sum(len(what) for _, what in steps if isinstance(what, tuple))
        for _, what in steps:
            if isinstance(what, tuple):
                mine = qubits[controls - len(what) : controls]
                controls -= len(what)
                operations = [
                    controlled(o, what, mine) if isinstance(o, Gate) else o for o in operations
                ]
            else:
                try:
                    operations = self._power(operations, what)
                except Fault as fault:
                    raise self.fault(at, fault.problem, fault.remedy) from None
        return operations

    def _power(self, operations: Sequence[Operation], exponent: float) -> Sequence[Operation]:
        if len(operations) == 1 and isinstance(operations[0], Gate):
            return [raised(operations[0], exponent)]
        times = integer(exponent, "the exponent of a gate that the program defines")
        if len(operations) * abs(times) > self.operations_left:
            raise self.over("quantum.operations_max", self.limits.operations_max)
        if times < 0:
            operations = [inverse(o) if isinstance(o, Gate) else o for o in reversed(operations)]
        return list(operations) * abs(times)

    # --- gates that the program defines

    def expand(
        self,
        gate: DefineGate,
        angles: Sequence[float | Formula],
        qubits: tuple[int, ...],
        at: int,
    ) -> list[Operation]:
        """What a defined gate does to these qubits; its body sees only what is global."""
        self.gate_depth += 1
        if self.gate_depth > self.limits.nesting_max:
            raise self.fault(at, f"gates are nested more than {self.limits.nesting_max} deep")
        scopes, out, left = self.scopes.open, self.out, self.operations_left
        names: dict[str, Meaning] = {
            name: Variable(angle, "angle", 0, True, 0)
            for name, angle in zip(gate.parameters, angles, strict=True)
        }
        names.update(
            (name, Qubits((qubit,), True)) for name, qubit in zip(gate.qubits, qubits, strict=True)
        )
        self.scopes.open = [self.scopes.globals, names]
        inside: list[Operation] = []
        self.out = inside
        self.operations_left = left - len(out)
        try:
            for statement in gate.body:
                self.step()
                if isinstance(statement, GateCall):
                    self.gate_call(statement)
                elif isinstance(statement, BarrierQubits):
                    self.barrier(statement)
        finally:
            self.scopes.open, self.out, self.operations_left = scopes, out, left
            self.gate_depth -= 1
        return inside

    def barrier(self, statement: BarrierQubits) -> None:
        """Append a barrier; without operands on every qubit."""
        raise NotImplementedError
