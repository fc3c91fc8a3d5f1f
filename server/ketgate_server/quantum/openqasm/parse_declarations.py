"""Statements that give something a name: registers, variables, aliases, gates, subroutines."""

from __future__ import annotations

from ketgate_server.quantum.openqasm.parse_expressions import (
    CONSTANTS,
    SIZED,
    TIMED,
)
from ketgate_server.quantum.openqasm.parse_gates import GateParser
from ketgate_server.quantum.openqasm.syntax import (
    Alias,
    Argument,
    Declare,
    DefineGate,
    DefineSubroutine,
    Include,
    Opaque,
    Statement,
    Type,
)
from ketgate_server.quantum.openqasm.tokens import END, TEXT


class DeclarationParser(GateParser):
    """A parser of gates that also reads declarations and definitions."""

    def include(self, at: int) -> Statement:
        self.i += 1
        if self.kinds[self.i] != TEXT:
            raise self.fault(f"expected the name of a file in quotes, found {self.found()}")
        file = self.texts[self.i][1:-1]
        self.i += 1
        self.expect(";")
        return Include(at, file)

    def declaration(self, at: int) -> Statement:
        kind = self.texts[self.i] if self.texts[self.i] in ("const", "input", "output") else ""
        self.i += bool(kind)
        text = self.texts[self.i]
        if text == "qubit" and not kind:
            type_ = self._sized("qubit")
        elif text in SIZED or text in TIMED:
            type_ = self.type()
        else:
            raise self.fault(
                f"expected a type, found {self.found()}",
                f"for example {kind or 'qubit'}{' float' if kind else '[2]'} NAME",
            )
        name_at = self.starts[self.i]
        name = self.new_name()
        value = None
        if self.texts[self.i] == "=":
            if kind == "input" or type_.name == "qubit":
                raise self.fault(f"{name} cannot be given a value here")
            self.i += 1
            value = self.measurement_or_value()
        elif kind == "const":
            raise self.fault(f"the constant {name} lacks its value", "write = VALUE")
        self.expect(";")
        return Declare(at, kind, type_, name, name_at, value)

    def _sized(self, name: str) -> Type:
        """qubit or qubit[n]."""
        at = self.starts[self.i]
        self.i += 1
        size = None
        if self.texts[self.i] == "[":
            self.i += 1
            size = self.expression()
            self.expect("]")
        return Type(at, name, size)

    def new_name(self) -> str:
        """A name that the program gives to something."""
        name = self.name("a name")
        if name in CONSTANTS or name == "U":
            self.i -= 1
            raise self.fault(f"`{name}` is a name of the language", "choose another name")
        return name

    def old_register(self, at: int) -> Statement:
        name = "qubit" if self.texts[self.i] == "qreg" else "bit"
        self.i += 1
        name_at = self.starts[self.i]
        register = self.new_name()
        size = None
        if self.texts[self.i] == "[":
            self.i += 1
            size = self.expression()
            self.expect("]")
        elif self.two:
            raise self.fault(f"the register {register} lacks its size", f"write {register}[SIZE]")
        self.expect(";")
        return Declare(at, "", Type(at, name, size), register, name_at, None)

    def alias(self, at: int) -> Statement:
        self.i += 1
        name = self.new_name()
        self.expect("=")
        parts = [self.expression()]
        while self.texts[self.i] == "++":
            self.i += 1
            parts.append(self.expression())
        self.expect(";")
        return Alias(at, name, parts)

    def gate_definition(self, at: int) -> Statement:
        self.i += 1
        name = self.new_name()
        parameters: list[str] = []
        if self.texts[self.i] == "(":
            self.i += 1
            parameters = self._names(")", "the name of a parameter")
            self.expect(")")
        qubits = self._names("{", "the name of a qubit")
        if not qubits:
            raise self.fault(f"the gate {name} has no qubits", "write their names before {")
        body = self.block()
        return DefineGate(at, name, parameters, qubits, body)

    def _names(self, end: str, what: str) -> list[str]:
        names: list[str] = []
        while self.texts[self.i] != end:
            at = self.i
            names.append(self.name(what))
            if names[-1] in names[:-1]:
                self.i = at
                raise self.fault(f"`{names[-1]}` is there twice", "give each its own name")
            if len(names) > 256:
                raise self.fault("more than 256 names")
            if self.texts[self.i] != ",":
                break
            self.i += 1
        return names

    def opaque(self, at: int) -> Statement:
        self.i += 1
        name = self.new_name()
        while self.texts[self.i] != ";":
            if self.kinds[self.i] == END:
                self.expect(";")
            self.i += 1
        self.i += 1
        return Opaque(at, name)

    def subroutine(self, at: int) -> Statement:
        self.i += 1
        name = self.new_name()
        self.expect("(")
        arguments: list[Argument] = []
        while self.texts[self.i] != ")":
            arguments.append(self._argument())
            if self.texts[self.i] != ",":
                break
            self.i += 1
        self.expect(")")
        result = None
        if self.texts[self.i] == "->":
            self.i += 1
            if self.texts[self.i] not in SIZED and self.texts[self.i] not in TIMED:
                raise self.fault(f"expected the type of the result, found {self.found()}")
            result = self.type()
        return DefineSubroutine(at, name, arguments, result, self.block())

    def _argument(self) -> Argument:
        text = self.texts[self.i]
        if text in ("readonly", "mutable"):
            raise self.fault("arrays are not supported")
        if text in ("qubit", "qreg"):
            type_ = self._sized("qubit")
        elif text in SIZED or text in TIMED:
            type_ = self.type()
        elif text == "creg":
            type_ = Type(self._sized("bit").at, "bit", None)
        else:
            raise self.fault(f"expected the type of an argument, found {self.found()}")
        name = self.new_name()
        if self.texts[self.i] == "[" and text in ("qreg", "creg"):
            self.i += 1
            type_ = Type(type_.at, type_.name, self.expression())
            self.expect("]")
        return Argument(type_, name)

    def block(self) -> list[Statement]:
        """{ statements } or one statement."""
        raise NotImplementedError
