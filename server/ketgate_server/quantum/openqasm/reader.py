"""A whole program to a circuit: includes, definitions of gates and subroutines, and the result."""

from __future__ import annotations

from ketgate_server.quantum.circuit import Circuit, Gate, Operation
from ketgate_server.quantum.openqasm import library
from ketgate_server.quantum.openqasm.control import ControlReader, Leave
from ketgate_server.quantum.openqasm.conversion import convert, width_of
from ketgate_server.quantum.openqasm.evaluate import TESTS
from ketgate_server.quantum.openqasm.recognition import library_gate
from ketgate_server.quantum.openqasm.scope import Meaning, OpaqueGate, Variable
from ketgate_server.quantum.openqasm.source import Fault, ReadLimits, Source
from ketgate_server.quantum.openqasm.syntax import (
    Alias,
    Argument,
    Assign,
    BarrierQubits,
    Branch,
    Call,
    Declare,
    DefineGate,
    DefineSubroutine,
    Evaluate,
    For,
    GateCall,
    Include,
    Jump,
    Measurement,
    Name,
    Opaque,
    Program,
    ResetQubits,
    Statement,
    Switch,
    While,
)
from ketgate_server.quantum.openqasm.values import Memory, Qubits, Value, describe, parameter


class Reader(ControlReader):
    """Reads one program."""

    def __init__(self, source: Source, limits: ReadLimits) -> None:
        super().__init__(source, limits)
        self.begin()
        self.out: list[Operation] = []
        self.operations_left = limits.operations_max
        self.loops: list[int] = []
        self.by_type = {
            GateCall: self.gate_call,
            Assign: self.assign,
            Declare: self.declare,
            Branch: self.branching,
            For: self.for_loop,
            ResetQubits: self.reset,
            BarrierQubits: self.barrier,
            Include: self._include,
            DefineGate: self._define_gate,
            DefineSubroutine: self._define_subroutine,
            Opaque: self._opaque,
            Alias: self.alias,
            While: self.while_loop,
            Switch: self.switch,
            Jump: self.jump,
            Evaluate: self._evaluate,
        }

    def circuit(self, program: Program, label: str, digest: str) -> Circuit:
        """What the program says. Raises ProgramError or LimitError."""
        self.two = program.version[0] == 2
        self.scopes.globals.update(library.BUILTIN_2 if self.two else library.BUILTIN)
        try:
            self.run(program.statements)
        except Leave as leave:
            if leave.kind != "end":
                raise AssertionError(leave.kind) from None
        if self.hardware and self.num_qubits:
            raise self.fault(
                0, "a program names hardware qubits ($0) and declares qubits", "do one of both"
            )
        return Circuit(
            num_qubits=max(self.num_qubits, self.hardware),
            num_bits=self.num_bits,
            operations=tuple(self.out),
            qubit_registers=tuple(self.qubit_registers),
            bit_registers=tuple(self.bit_registers),
            parameters=tuple(self.parameters),
            label=label,
            source_digest=digest,
        )

    # --- includes and definitions

    def _include(self, statement: Include) -> None:
        wanted = "qelib1.inc" if self.two else "stdgates.inc"
        file = statement.file
        if file != wanted:
            if file in ("qelib1.inc", "stdgates.inc"):
                version = "3" if self.two else "2"
                raise self.fault(
                    statement.at,
                    f"`{file}` belongs to OpenQASM {version}",
                    f'include "{wanted}", or change the first line of the program',
                )
            raise self.fault(
                statement.at, "other files are not read", f'only "{wanted}" can be included'
            )
        if self.scopes.open[-1] is not self.scopes.globals:
            raise self.fault(statement.at, "an include stands inside of a block")
        gates = library.QELIB1_FIRST if self.two else library.STDGATES
        for name in self.scopes.globals.keys() & gates.keys():
            if self.scopes.globals[name] != gates[name]:
                raise self.fault(
                    statement.at,
                    f"`{name}` of the include is declared already",
                    "include it first, and choose another name",
                )
        self.scopes.globals.update(gates)
        self.scopes.later = library.QELIB1_LATER if self.two else library.BEYOND_STDGATES

    def _define_gate(self, statement: DefineGate) -> None:
        self._only_globally(statement.at, "gates")
        for inner in statement.body:
            if not isinstance(inner, GateCall | BarrierQubits):
                raise self.fault(
                    inner.at, "only gates and barriers can be part of a gate", "use a subroutine"
                )
        # Carried out once with its parameters unknown, so that a mistake is told where it stands
        # and not where the gate is used, if ever.
        left, hidden, parameters = self.operations_left, self.hardware, statement.parameters
        self.expand(
            statement,
            [parameter(name) for name in parameters],
            tuple(range(len(statement.qubits))),
            statement.at,
        )
        self.operations_left, self.hardware = left, hidden
        meaning: Meaning = statement
        known = library_gate(statement, self._sample)
        if known is not None:
            meaning = known
        self._declare(statement.name, meaning, statement.at)

    def _sample(self, statement: DefineGate, angles: tuple[float, ...]) -> list[Gate]:
        """The gates of a definition, on qubits 0 to n - 1."""
        operations = self.expand(
            statement, angles, tuple(range(len(statement.qubits))), statement.at
        )
        return [operation for operation in operations if isinstance(operation, Gate)]

    def _declare(self, name: str, meaning: Meaning, at: int) -> None:
        try:
            self.scopes.declare(name, meaning)
        except Fault as fault:
            raise self.fault(at, fault.problem, fault.remedy) from None

    def _only_globally(self, at: int, what: str) -> None:
        if self.scopes.open[-1] is not self.scopes.globals:
            raise self.fault(at, f"{what} can only be defined outside of blocks")

    def _opaque(self, statement: Opaque) -> None:
        if statement.name not in self.scopes.globals:  # qelib1.inc may know it
            self._declare(statement.name, OpaqueGate(statement.name), statement.at)

    # --- subroutines

    def _define_subroutine(self, statement: DefineSubroutine) -> None:
        self._only_globally(statement.at, "subroutines")
        self._declare(statement.name, statement, statement.at)

    def _evaluate(self, statement: Evaluate) -> None:
        if not isinstance(statement.value, Call):
            raise self.fault(
                statement.at, "a value by itself does nothing", "expected a gate or an assignment"
            )
        self.evaluate(statement.value)

    def call_subroutine(
        self, subroutine: DefineSubroutine, call: Call, target: Memory | None
    ) -> Value:
        """Carry it out in place; its result. target: the bits that its result is for."""
        if len(call.arguments) != len(subroutine.arguments):
            raise Fault(
                f"`{call.name}` takes {len(subroutine.arguments)} arguments, "
                f"{len(call.arguments)} are given"
            )
        names: dict[str, Meaning] = {}
        given: set[str] = set()
        for argument, expression in zip(subroutine.arguments, call.arguments, strict=True):
            meaning = self._argument(argument, self.value(expression), expression.at)
            if isinstance(meaning, Memory):
                given.add(argument.name)
                if target is not None and not set(target.bits).isdisjoint(meaning.bits):
                    raise Fault("the result is written into bits that are also an argument")
            names[argument.name] = meaning
        saved = (
            self.scopes.open, self.arguments, self.result, self.result_name, self.call_branches,
            self.loops,
        )  # fmt: skip
        self.scopes.open = [self._visible()]
        self.arguments, self.call_branches, self.loops = given, self.branches, []
        self.result, self.result_name = target, _returned_name(subroutine.body)
        result: Value | None = None
        try:
            self.inside(subroutine.body, names, call.at)
        except Leave as leave:
            if leave.kind != "return":
                raise
            result = leave.value
        finally:
            (
                self.scopes.open, self.arguments, self.result, self.result_name,
                self.call_branches, self.loops,
            ) = saved  # fmt: skip
        return self._result(subroutine, result)

    def _visible(self) -> dict[str, Meaning]:
        """What a subroutine sees of what is global: not the variables and the bits."""
        return {
            name: meaning
            for name, meaning in self.scopes.globals.items()
            if not isinstance(meaning, Memory)
            and not (isinstance(meaning, Variable) and not meaning.constant)
        }

    def _argument(self, argument: Argument, value: Value, at: int) -> Meaning:
        type_ = argument.type
        size = self.size(type_, f"`{argument.name}`")
        if type_.name == "qubit" or (type_.name == "bit" and isinstance(value, Memory)):
            parts: tuple[int, ...] = ()
            if isinstance(value, Qubits) and type_.name == "qubit":
                parts = value.indices
            elif isinstance(value, Memory):
                parts = value.bits
            if len(parts) != (size or 1):
                wanted = f"{type_.name}[{size}]" if size else type_.name
                raise self.fault(
                    at, f"the argument `{argument.name}` is {wanted}, {describe(value)} is given"
                )
            if isinstance(value, Memory):
                return Memory(value.bits, size == 0)
            return Qubits(parts, size == 0)
        try:
            width = width_of(type_.name, size)
            held = convert(value, type_.name, width)
        except Fault as fault:
            raise self.fault(at, fault.problem, fault.remedy) from None
        assert not isinstance(held, TESTS)
        return Variable(held, type_.name, width, False, self.branches)

    def returned(self, statement: Jump) -> Value | None:
        """The value of a return; a measurement goes to where the caller wants it."""
        if statement.value is None:
            return None
        if not isinstance(statement.value, Measurement):
            return self.value(statement.value)
        if self.result is None:
            raise self.fault(
                statement.at,
                "the measurement that the subroutine returns has no bit to go to",
                "assign the call to a bit",
            )
        self.write(self.result, statement.value, "=", statement.at)
        return self.result

    def _result(self, subroutine: DefineSubroutine, value: Value | None) -> Value:
        kind = subroutine.result
        if kind is None:
            return False
        if value is None:
            raise Fault(f"`{subroutine.name}` ends without returning a value")
        if isinstance(value, Memory):
            if kind.name not in ("bit", "bool"):
                raise Fault("measured bits can only be returned as bits")
            return value
        held = convert(value, kind.name, width_of(kind.name, self.size(kind, "the result")))
        assert not isinstance(held, TESTS)
        return held


def _returned_name(body: list[Statement]) -> str:
    """The variable that the last statement returns."""
    last = body[-1] if body else None
    if isinstance(last, Jump) and last.kind == "return" and isinstance(last.value, Name):
        return last.value.name
    return ""
