"""Tokens to statements: OpenQASM 3 by recursive descent, and OpenQASM 2 as its smaller sibling."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ketgate_server.quantum.openqasm.parse_declarations import DeclarationParser
from ketgate_server.quantum.openqasm.parse_expressions import (
    KEYWORDS,
    SIZED,
    TIMED,
)
from ketgate_server.quantum.openqasm.parse_header import read_version
from ketgate_server.quantum.openqasm.source import ReadLimits, Source
from ketgate_server.quantum.openqasm.syntax import (
    Assign,
    BarrierQubits,
    Branch,
    Expr,
    For,
    GateCall,
    Jump,
    Measurement,
    Program,
    ResetQubits,
    Statement,
    Switch,
    While,
)
from ketgate_server.quantum.openqasm.tokens import ANNOTATION, END, NAME, PRAGMA

UNSUPPORTED = {
    "delay": "timing (`delay`) is",
    "box": "timing (`box`) is",
    "defcal": "pulses (`defcal`) are",
    "defcalgrammar": "pulses (`defcalgrammar`) are",
    "cal": "pulses (`cal`) are",
    "extern": "functions from outside (`extern`) are",
    "nop": "`nop` is",
}
_ONLY_IN_3 = frozenset(
    """
    qubit bit int uint float angle bool const input output def let for while switch break continue
    return end gphase inv pow ctrl negctrl
    """.split()  # noqa: SIM905
)


class Parser(DeclarationParser):
    """One program."""

    def __init__(self, source: Source, limits: ReadLimits) -> None:
        super().__init__(source, limits)
        self.depth = 0

    def program(self) -> Program:
        """The whole text. Raises ProgramError."""
        version = read_version(self)
        return Program(version, self._statements())

    def _statements(self) -> Iterator[Statement]:
        """One after the other: a program that is too long is left where that shows."""
        statements: list[Statement] = []
        while self.kinds[self.i] != END:
            self._statement(statements)
            yield from statements
            statements.clear()

    def _statement(self, into: list[Statement]) -> None:
        i = self.i
        self.operators = self.nested = 0
        kind, text = self.kinds[i], self.texts[i]
        if kind != NAME:
            if kind == ANNOTATION:  # of no meaning to this reader, as the language allows
                self.i = i + 1
            elif kind == PRAGMA:
                self._pragma()
            elif text == ";" and self.two:
                self.i = i + 1
            else:
                raise self.fault(f"expected a statement, found {self.found()}")
            return
        if text not in KEYWORDS:
            if self.kinds[i + 1] == NAME:  # a gate without parameters
                self.i = i + 1
                operands = self.operands()
                self.expect(";")
                into.append(GateCall(self.starts[i], text, [], operands, []))
            else:
                into.append(self.gate_or_assignment(i))
            return
        if self.two and text in _ONLY_IN_3 and self.texts[i + 1] not in ("(", "["):
            raise self.fault(
                f"`{text}` is OpenQASM 3, and this program says that it is OpenQASM 2.0",
                "begin it with OPENQASM 3.0;",
            )
        special = _BY_KEYWORD.get(text)
        if special is not None and not (text in SIZED and self.texts[i + 1] == "("):
            into.append(special(self, self.starts[i]))
        elif text in UNSUPPORTED:
            raise self.fault(f"{UNSUPPORTED[text]} not supported")
        elif text in TIMED:
            raise self.fault(f"{TIMED[text]} (`{text}`) are not supported")
        elif text == "pragma":
            self._pragma()
        else:
            into.append(self.gate_or_assignment(i))

    def _pragma(self) -> None:
        raise self.fault(
            "a pragma may change what the program means, and none is known",
            "remove it; noise and results are asked for in the request",
        )

    def block(self) -> list[Statement]:
        """{ statements } or one statement."""
        statements: list[Statement] = []
        self.depth += 1
        if self.depth > self.limits.nesting_max:
            raise self.fault(f"blocks are nested more than {self.limits.nesting_max} deep")
        if self.texts[self.i] == "{":
            opened = self.starts[self.i]
            self.i += 1
            while self.texts[self.i] != "}":
                if self.kinds[self.i] == END:
                    raise self.source.fault(opened, "the block is not closed", "write } after it")
                self._statement(statements)
            self.i += 1
        else:
            while not statements:  # annotations may precede it
                self._statement(statements)
        self.depth -= 1
        return statements

    def _condition(self) -> Expr:
        self.i += 1
        self.expect("(")
        condition = self.expression()
        self.expect(")")
        return condition

    def _if(self, at: int) -> Statement:
        condition = self._condition()
        then = self.block()
        otherwise: list[Statement] = []
        if self.texts[self.i] == "else" and not self.two:
            self.i += 1
            otherwise = self.block()
        return Branch(at, condition, then, otherwise)

    def _while(self, at: int) -> Statement:
        return While(at, self._condition(), self.block())

    def _for(self, at: int) -> Statement:
        self.i += 1
        if self.texts[self.i] not in SIZED:
            raise self.fault(
                f"expected the type of the loop's variable, found {self.found()}",
                "write for int i in [0:9] { … }",
            )
        type_ = self.type()
        name = self.new_name()
        self.expect("in", "a loop is written for int i in [0:9] { … }")
        values: Expr
        if self.texts[self.i] == "{":
            values = self.group()
        elif self.texts[self.i] == "[":
            self.i += 1
            values = self._item()
            self.expect("]")
        else:
            values = self.expression()
        return For(at, name, type_, values, self.block())

    def _switch(self, at: int) -> Statement:
        value = self._condition()
        self.expect("{")
        cases: list[tuple[list[Expr], list[Statement]]] = []
        default: list[Statement] = []
        while self.texts[self.i] == "case":
            self.i += 1
            labels = [self.expression()]
            while self.texts[self.i] == ",":
                self.i += 1
                labels.append(self.expression())
            self._braced("case")
            cases.append((labels, self.block()))
        if self.texts[self.i] == "default":
            self.i += 1
            self._braced("default")
            default = self.block()
        self.expect("}", "the cases of a switch come first, then `default`")
        return Switch(at, value, cases, default)

    def _braced(self, what: str) -> None:
        if self.texts[self.i] != "{":
            raise self.fault(f"expected `{{` after `{what}`, found {self.found()}")

    def _jump(self, at: int) -> Statement:
        kind = self.texts[self.i]
        self.i += 1
        value = None
        if kind == "return" and self.texts[self.i] != ";":
            value = self.measurement_or_value()
        self.expect(";")
        return Jump(at, kind, value)

    def _reset(self, at: int) -> Statement:
        self.i += 1
        operand = self.operand()
        self.expect(";")
        return ResetQubits(at, operand)

    def _barrier(self, at: int) -> Statement:
        self.i += 1
        operands = [] if self.texts[self.i] == ";" else self.operands()
        self.expect(";")
        return BarrierQubits(at, operands)

    def _measure(self, at: int) -> Statement:
        self.i += 1
        measurement = Measurement(at, self.operand())
        if self.texts[self.i] != "->":
            raise self.fault(
                f"expected `->`, found {self.found()}",
                "a measurement needs a bit for its result: b = measure q;",
            )
        self.i += 1
        target = self.operand()
        self.expect(";")
        return Assign(at, target, "=", measurement)


_BY_KEYWORD: dict[str, Callable[[Parser, int], Statement]] = {
    "include": Parser.include,
    "const": Parser.declaration,
    "input": Parser.declaration,
    "output": Parser.declaration,
    "qubit": Parser.declaration,
    "qreg": Parser.old_register,
    "creg": Parser.old_register,
    "gate": Parser.gate_definition,
    "opaque": Parser.opaque,
    "def": Parser.subroutine,
    "let": Parser.alias,
    "if": Parser._if,
    "for": Parser._for,
    "while": Parser._while,
    "switch": Parser._switch,
    "break": Parser._jump,
    "continue": Parser._jump,
    "end": Parser._jump,
    "return": Parser._jump,
    "reset": Parser._reset,
    "barrier": Parser._barrier,
    "measure": Parser._measure,
}
_BY_KEYWORD.update(dict.fromkeys(sorted(SIZED), Parser.declaration))
