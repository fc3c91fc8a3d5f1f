"""Declarations and assignments: registers, variables, aliases, measurements into bits."""

from __future__ import annotations

from ketgate_server.quantum.circuit import Barrier, Measure, Register, Reset
from ketgate_server.quantum.openqasm import arithmetic
from ketgate_server.quantum.openqasm.conversion import convert, width_of
from ketgate_server.quantum.openqasm.evaluate import TESTS
from ketgate_server.quantum.openqasm.gate_calls import GateReader
from ketgate_server.quantum.openqasm.scope import Meaning, Variable, kind_of
from ketgate_server.quantum.openqasm.selection import select
from ketgate_server.quantum.openqasm.source import Fault
from ketgate_server.quantum.openqasm.syntax import (
    Alias,
    Assign,
    BarrierQubits,
    Call,
    Declare,
    DefineSubroutine,
    Element,
    Expr,
    Index,
    Measurement,
    Name,
    ResetQubits,
    Type,
)
from ketgate_server.quantum.openqasm.values import (
    Bits,
    Formula,
    Memory,
    Qubits,
    Value,
    describe,
    parameter,
)


class StorageReader(GateReader):
    """A reader of gates that also declares, assigns, measures and resets."""

    branches = 0
    """In how many measurement-dependent blocks the reader is."""

    def begin(self) -> None:
        self.qubit_registers: list[Register] = []
        self.bit_registers: list[Register] = []
        self.num_qubits = 0
        self.num_bits = 0
        self.parameters: list[str] = []
        self.written: set[int] = set()
        """Bits that a measurement has written."""
        self.arguments: set[str] = set()
        """Bits of the subroutine that is carried out that belong to its caller."""
        self.result_name = ""
        self.result: Memory | None = None
        """The variable that the subroutine returns, and where its caller wants it."""
        self._local_bits: dict[int, Memory] = {}
        self._named: set[str] = set()

    # --- declarations

    def declare(self, statement: Declare) -> None:
        type_, at = statement.type, statement.at
        try:
            if type_.name == "qubit":
                self._declare_qubits(statement)
            elif statement.kind == "input":
                self._declare_input(statement)
            elif type_.name == "bit" and statement.kind != "const":
                self._declare_bits(statement)
            elif statement.kind == "output":
                raise Fault(
                    f"an output of type {type_.name} is not supported", "only bits are returned"
                )
            else:
                self._declare_variable(statement)
        except Fault as fault:
            raise self.fault(
                statement.name_at if "already" in fault.problem else at,
                fault.problem,
                fault.remedy,
            ) from None

    def _extent(self, type_: Type, name: str, used: int) -> tuple[int, int]:
        """(size, 0 or 1 for the brackets) of a register; used: how many of its kind there are."""
        size = self.size(type_, f"`{name}`")
        total = used + (size or 1)
        if total > self.limits.qubits_max:
            raise self.over("quantum.program_qubits_max", self.limits.qubits_max, total)
        return size or 1, int(size > 0)

    def _declare_qubits(self, statement: Declare) -> None:
        if self.scopes.open[-1] is not self.scopes.globals:
            raise Fault("qubits can only be declared outside of blocks")
        size, many = self._extent(statement.type, statement.name, self.num_qubits)
        indices = tuple(range(self.num_qubits, self.num_qubits + size))
        self.scopes.declare(statement.name, Qubits(indices, not many))
        self.qubit_registers.append(Register(statement.name, self.num_qubits, size))
        self.num_qubits += size

    def _declare_input(self, statement: Declare) -> None:
        name = statement.type.name
        if self.scopes.open[-1] is not self.scopes.globals:
            raise Fault("inputs can only be declared outside of blocks")
        if name not in ("float", "angle"):
            raise Fault(
                f"an input of type {name} is not supported",
                "inputs are angles: float or angle; write what else the program needs as const",
            )
        self.size(statement.type, f"`{statement.name}`")
        self.scopes.declare(statement.name, Variable(parameter(statement.name), name, 0, True, 0))
        self.parameters.append(statement.name)

    def _declare_bits(self, statement: Declare) -> None:
        is_global = self.scopes.open[-1] is self.scopes.globals
        memory = None if is_global else self._local_bits.get(id(statement))
        wanted = self.result if statement.name == self.result_name else None
        if wanted is not None:
            size = self.size(statement.type, f"`{statement.name}`")
            if (size or 1) == len(wanted.bits):
                memory = Memory(wanted.bits, size == 0)
        if memory is None:
            memory = self._new_bits(statement)
            if not is_global:
                self._local_bits[id(statement)] = memory
        self.scopes.declare(statement.name, memory)
        if statement.value is not None:
            self.write(memory, statement.value, "=", statement.at)

    def _new_bits(self, statement: Declare) -> Memory:
        size, many = self._extent(statement.type, statement.name, self.num_bits)
        name, k = statement.name, 1
        while name in self._named:  # a block's own bits may be called as others
            k += 1
            name = f"{statement.name}_{k}"
        self._named.add(name)
        self.bit_registers.append(Register(name, self.num_bits, size))
        bits = tuple(range(self.num_bits, self.num_bits + size))
        self.num_bits += size
        return Memory(bits, not many)

    def _declare_variable(self, statement: Declare) -> None:
        type_ = statement.type
        if type_.name not in ("int", "uint", "float", "angle", "bool", "bit"):
            raise Fault(f"the type {type_.name} is not supported")
        width = width_of(type_.name, self.size(type_, f"`{statement.name}`"))
        value = None
        if statement.value is not None:
            value = self._converted(self._assigned(statement.value), type_.name, width)
        self.scopes.declare(
            statement.name,
            Variable(value, type_.name, width, statement.kind == "const", self.branches),
        )

    def _assigned(self, expression: Expr) -> Value:
        if isinstance(expression, Measurement):
            raise Fault(
                "only bits can take the result of a measurement",
                "declare a bit and measure into it",
            )
        return self.value(expression)

    def _converted(self, value: Value, name: str, width: int) -> Value:
        converted = convert(value, name, width)
        assert not isinstance(converted, TESTS)
        return converted

    def alias(self, statement: Alias) -> None:
        values = [self.value(part) for part in statement.parts]
        try:
            meaning: Meaning
            if all(isinstance(v, Qubits) for v in values):
                indices = tuple(q for v in values if isinstance(v, Qubits) for q in v.indices)
                if len(set(indices)) != len(indices):
                    raise Fault("a qubit is there twice")
                meaning = Qubits(indices, len(values) == 1 and values[0].single)  # type: ignore[union-attr]
            elif all(isinstance(v, Memory) for v in values):
                bits = tuple(b for v in values if isinstance(v, Memory) for b in v.bits)
                if len(set(bits)) != len(bits):
                    raise Fault("a bit is there twice")
                meaning = Memory(bits, len(values) == 1 and values[0].single)  # type: ignore[union-attr]
            else:
                raise Fault("`let` names qubits or bits", "use const for a value")
            self.scopes.declare(statement.name, meaning)
        except Fault as fault:
            raise self.fault(statement.at, fault.problem, fault.remedy) from None

    # --- assignments

    def assign(self, statement: Assign) -> None:
        target = statement.target
        try:
            name = target.base.name if _is_part(target) else getattr(target, "name", "")  # type: ignore[union-attr]
            found = self.scopes.find(name)
            if isinstance(found, Variable):
                self._assign_variable(statement, found, name)
                return
            if found is None:
                raise self.scopes.unknown(name, "the name")
            if not isinstance(found, Memory):
                raise Fault(f"`{name}` is {kind_of(found)} and cannot be assigned to")
            if name in self.arguments:
                raise Fault(
                    f"`{name}` belongs to the caller of the subroutine and cannot be written",
                    "return the result instead",
                )
        except Fault as fault:
            raise self.fault(statement.at, fault.problem, fault.remedy) from None
        memory = self.value(target)
        assert isinstance(memory, Memory)
        self.write(memory, statement.value, statement.operator, statement.at)

    def _assign_variable(self, statement: Assign, variable: Variable, name: str) -> None:
        if variable.constant:
            raise Fault(f"`{name}` is a constant and cannot be assigned to")
        if variable.branches != self.branches:
            raise Fault(
                f"the value of `{name}` would depend on a measurement",
                "only gates, resets and measurements can",
            )
        value = self._assigned(statement.value)
        target = statement.target
        if isinstance(target, Element | Index):
            self._assign_bit(statement, variable, value)
            return
        if statement.operator != "=":
            if variable.value is None:
                raise Fault(f"`{name}` has no value yet")
            value = arithmetic.binary(statement.operator[:-1], variable.value, value)
        variable.value = self._converted(value, variable.type, variable.width)

    def _assign_bit(self, statement: Assign, variable: Variable, value: Value) -> None:
        old = variable.value
        target = statement.target
        if not isinstance(old, Bits) or statement.operator != "=":
            raise Fault("only single bits of bit registers can be assigned to")
        if isinstance(target, Element):
            index = target.index
        else:
            assert isinstance(target, Index)
            index = self.known_integer(target.items[0], "an index")
        select(old, [index], True, "the register")
        index %= old.width
        bit = convert(value, "bit", 1)
        assert isinstance(bit, Bits)
        variable.value = Bits(old.value & ~(1 << index) | bit.value << index, old.width)

    def write(self, memory: Memory, value: Expr, operator: str, at: int) -> None:
        """bits = measure qubits, or what comes to the same. Raises ProgramError."""
        if operator == "=" and isinstance(value, Measurement):
            self._measure(memory, value, at)
            return
        if operator == "=" and isinstance(value, Call):
            found = self.scopes.find(value.name)
            if isinstance(found, DefineSubroutine):
                try:
                    result = self.call_subroutine(found, value, memory)
                except Fault as fault:
                    raise self.fault(value.at, fault.problem, fault.remedy) from None
                if result == memory:
                    return
                self._constant_bits(memory, result, at)
                return
        self._constant_bits(memory, self.value(value) if operator == "=" else memory, at)

    def _constant_bits(self, memory: Memory, value: Value, at: int) -> None:
        """Bits are 0 when a program begins: writing that is all that needs no measurement."""
        if value in (0, False) or (isinstance(value, Bits) and value.value == 0):
            if self.written.isdisjoint(memory.bits):
                return
            raise self.fault(
                at,
                "a bit that was measured cannot be set to 0",
                "use another bit, or measure again",
            )
        if isinstance(value, Memory | Formula | Qubits):
            raise self.fault(
                at,
                f"a bit cannot be computed from {describe(value)}",
                "bits are written by measurements only; the rest is for the reader of the result",
            )
        raise self.fault(
            at,
            "bits are written by measurements only",
            "use a const for a value that is known: const bit[2] k = …",
        )

    # --- qubits

    def _measure(self, memory: Memory, measurement: Measurement, at: int) -> None:
        qubits = self.qubits(measurement.operand)
        if len(qubits.indices) != len(memory.bits):
            raise self.fault(
                at,
                f"{len(qubits.indices)} qubit{'s' * (len(qubits.indices) != 1)} "
                f"cannot be measured into {len(memory.bits)} bit{'s' * (len(memory.bits) != 1)}",
                "give as many bits as qubits",
            )
        place = self.place(at)
        self.written.update(memory.bits)
        self.steps_left -= len(memory.bits)
        self.emit([Measure(q, b, place) for q, b in zip(qubits.indices, memory.bits, strict=True)])

    def reset(self, statement: ResetQubits) -> None:
        place = self.place(statement.at)
        self.emit([Reset(q, place) for q in self.qubits(statement.operand).indices])

    def barrier(self, statement: BarrierQubits) -> None:
        if statement.operands:
            chosen = [q for o in statement.operands for q in self.qubits(o).indices]
        elif len(self.scopes.open) == 2 and self.gate_depth:
            chosen = [
                q
                for meaning in self.scopes.open[1].values()
                if isinstance(meaning, Qubits)
                for q in meaning.indices
            ]
        else:
            chosen = list(range(max(self.num_qubits, self.hardware)))
        self.steps_left -= len(chosen)
        self.emit([Barrier(tuple(dict.fromkeys(chosen)), self.place(statement.at))])


def _is_part(target: Expr) -> bool:
    return isinstance(target, Index) and isinstance(target.base, Name)
