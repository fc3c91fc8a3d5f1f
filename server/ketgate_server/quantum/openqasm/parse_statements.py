"""Tokens to statements: OpenQASM 3 by recursive descent, and OpenQASM 2 as its smaller sibling."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ketgate_server.quantum.openqasm.parse_expressions import (
    CONSTANTS,
    KEYWORDS,
    SIZED,
    TIMED,
    ExpressionParser,
)
from ketgate_server.quantum.openqasm.parse_header import read_version
from ketgate_server.quantum.openqasm.source import ReadLimits, Source
from ketgate_server.quantum.openqasm.syntax import (
    Alias,
    Argument,
    Assign,
    BarrierQubits,
    Branch,
    Declare,
    DefineGate,
    DefineSubroutine,
    Element,
    Evaluate,
    Expr,
    For,
    GateCall,
    Include,
    Index,
    Jump,
    Measurement,
    Modifier,
    Name,
    Opaque,
    Program,
    ResetQubits,
    Statement,
    Switch,
    Type,
    While,
)
from ketgate_server.quantum.openqasm.tokens import ANNOTATION, END, INTEGER, NAME, PRAGMA, TEXT

UNSUPPORTED = {
    "delay": "timing (`delay`) is",
    "box": "timing (`box`) is",
    "defcal": "pulses (`defcal`) are",
    "defcalgrammar": "pulses (`defcalgrammar`) are",
    "cal": "pulses (`cal`) are",
    "extern": "functions from outside (`extern`) are",
    "nop": "`nop` is",
}
_ASSIGNMENTS = frozenset(
    ("=", "+=", "-=", "*=", "/=", "&=", "|=", "^=", "<<=", ">>=", "%=", "**=", "~=")
)
_MODIFIERS = frozenset(("inv", "pow", "ctrl", "negctrl"))
_ONLY_IN_3 = frozenset(
    """
    qubit bit int uint float angle bool const input output def let for while switch break continue
    return end gphase inv pow ctrl negctrl
    """.split()  # noqa: SIM905
)


class Parser(ExpressionParser):
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

    # --- statements

    def _statement(self, into: list[Statement]) -> None:
        i = self.i
        self.operators = 0
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
                operands = self._operands()
                self.expect(";")
                into.append(GateCall(self.starts[i], text, [], operands, []))
            else:
                into.append(self._gate_or_assignment(i))
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
            into.append(self._gate_or_assignment(i))

    def _pragma(self) -> None:
        raise self.fault(
            "a pragma may change what the program means, and none is known",
            "remove it; noise and results are asked for in the request",
        )

    def _gate_or_assignment(self, i: int) -> Statement:
        """What begins with a name: a gate, an assignment, or a call of a subroutine."""
        texts, at = self.texts, self.starts[i]
        if texts[i] in _MODIFIERS and texts[i + 1][:1] in ("@", "("):
            return self._gate_call(at, self._modifiers())
        if texts[i] == "gphase":
            return self._gate_call(at, [])
        if texts[i + 1][:1] == "$":
            return self._gate_call(at, [])
        if texts[i + 1] == "(":
            close = self._closing(i + 1)
            if self.kinds[close + 1] == NAME or texts[close + 1][:1] == "$":
                return self._gate_call(at, [])
        target = self.expression()
        operator = texts[self.i]
        if operator in _ASSIGNMENTS:
            return self._assignment(at, target, operator)
        if operator == ";":
            self.i += 1
            return Evaluate(at, target)
        if isinstance(target, Name | Element | Index) and self.kinds[self.i] == NAME:
            raise self.fault(
                f"expected `;`, found {self.found()}", "a gate takes no duration in brackets"
            )
        raise self.fault(f"expected `=` or `;`, found {self.found()}")

    def _closing(self, i: int) -> int:
        """Index of the bracket that closes the one at i."""
        depth = 0
        for k in range(i, len(self.texts) - 1):
            text = self.texts[k]
            if text == "(":
                depth += 1
            elif text == ")":
                depth -= 1
                if not depth:
                    return k
            elif text in (";", "{", "}"):
                break
        raise self.source.fault(self.starts[i], "the bracket is not closed", "write ) after it")

    def _gate_call(self, at: int, modifiers: list[Modifier]) -> GateCall:
        texts = self.texts
        if texts[self.i] == "gphase":
            name = "gphase"
            self.i += 1
        else:
            name = self.name("the name of a gate")
        arguments: list[Expr] = []
        if texts[self.i] == "(":
            self.i += 1
            while texts[self.i] != ")":
                arguments.append(self.expression())
                if texts[self.i] != ",":
                    break
                self.i += 1
            self.expect(")")
        operands: list[Expr] = []
        if texts[self.i] != ";" or name != "gphase":
            operands = self._operands()
        self.expect(";")
        return GateCall(at, name, arguments, operands, modifiers)

    def _operands(self) -> list[Expr]:
        operands = [self.operand()]
        while self.texts[self.i] == ",":
            self.i += 1
            operands.append(self.operand())
        return operands

    def operand(self) -> Expr:
        """A qubit, a register or a part of one."""
        i, texts = self.i, self.texts
        if self.kinds[i] == NAME and texts[i + 1] == "[" and texts[i] not in KEYWORDS:
            # name[number], as nearly all are
            if self.kinds[i + 2] == INTEGER and texts[i + 3] == "]" and texts[i + 4] in ",;":
                self.i = i + 4
                return Element(
                    self.starts[i], texts[i], self._integer(texts[i + 2], self.starts[i + 2])
                )
        elif self.kinds[i] != NAME and texts[i][:1] != "$":
            raise self.fault(f"expected a qubit, found {self.found()}")
        self.operators = 0
        return self._prefix()

    def _modifiers(self) -> list[Modifier]:
        modifiers: list[Modifier] = []
        while self.texts[self.i] in _MODIFIERS:
            at, kind = self.starts[self.i], self.texts[self.i]
            self.i += 1
            argument = None
            if self.texts[self.i] == "(" and kind != "inv":
                self.i += 1
                argument = self.expression()
                self.expect(")")
            elif kind == "pow":
                raise self.fault("pow lacks its exponent", "write pow(2) @")
            if self.kinds[self.i] == ANNOTATION:
                raise self.fault("a modifier needs a space after its @", f"write `{kind} @ `")
            self.expect("@", f"a modifier is written `{kind} @ `")
            modifiers.append(Modifier(at, kind, argument))
            if len(modifiers) > self.limits.nesting_max:
                raise self.fault(f"more than {self.limits.nesting_max} modifiers on one gate")
        return modifiers

    def _assignment(self, at: int, target: Expr, operator: str) -> Assign:
        if not isinstance(target, Name | Element | Index):
            raise self.source.fault(at, "only a variable or a part of one can be assigned to")
        self.i += 1
        value = self._measurement_or_value()
        self.expect(";")
        return Assign(at, target, operator, value)

    def _measurement_or_value(self) -> Expr:
        if self.texts[self.i] != "measure":
            return self.expression()
        at = self.starts[self.i]
        self.i += 1
        return Measurement(at, self.operand())

    # --- declarations

    def _include(self, at: int) -> Statement:
        self.i += 1
        if self.kinds[self.i] != TEXT:
            raise self.fault(f"expected the name of a file in quotes, found {self.found()}")
        file = self.texts[self.i][1:-1]
        self.i += 1
        self.expect(";")
        return Include(at, file)

    def _declaration(self, at: int) -> Statement:
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
            value = self._measurement_or_value()
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

    def _old_register(self, at: int) -> Statement:
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

    def _alias(self, at: int) -> Statement:
        self.i += 1
        name = self.new_name()
        self.expect("=")
        parts = [self.expression()]
        while self.texts[self.i] == "++":
            self.i += 1
            parts.append(self.expression())
        self.expect(";")
        return Alias(at, name, parts)

    def _gate_definition(self, at: int) -> Statement:
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

    def _opaque(self, at: int) -> Statement:
        self.i += 1
        name = self.new_name()
        while self.texts[self.i] != ";":
            if self.kinds[self.i] == END:
                self.expect(";")
            self.i += 1
        self.i += 1
        return Opaque(at, name)

    def _subroutine(self, at: int) -> Statement:
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

    # --- control

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
            value = self._measurement_or_value()
        self.expect(";")
        return Jump(at, kind, value)

    # --- qubits

    def _reset(self, at: int) -> Statement:
        self.i += 1
        operand = self.operand()
        self.expect(";")
        return ResetQubits(at, operand)

    def _barrier(self, at: int) -> Statement:
        self.i += 1
        operands = [] if self.texts[self.i] == ";" else self._operands()
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
    "include": Parser._include,
    "const": Parser._declaration,
    "input": Parser._declaration,
    "output": Parser._declaration,
    "qubit": Parser._declaration,
    "qreg": Parser._old_register,
    "creg": Parser._old_register,
    "gate": Parser._gate_definition,
    "opaque": Parser._opaque,
    "def": Parser._subroutine,
    "let": Parser._alias,
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
_BY_KEYWORD.update(dict.fromkeys(sorted(SIZED), Parser._declaration))
