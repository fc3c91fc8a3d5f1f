"""Statements that begin with a name: gates, assignments and calls of subroutines."""

from __future__ import annotations

from ketgate_server.quantum.openqasm.parse_expressions import (
    KEYWORDS,
    ExpressionParser,
)
from ketgate_server.quantum.openqasm.syntax import (
    Assign,
    Element,
    Evaluate,
    Expr,
    GateCall,
    Index,
    Measurement,
    Modifier,
    Name,
    Statement,
)
from ketgate_server.quantum.openqasm.tokens import ANNOTATION, INTEGER, NAME

_ASSIGNMENTS = frozenset(
    ("=", "+=", "-=", "*=", "/=", "&=", "|=", "^=", "<<=", ">>=", "%=", "**=", "~=")
)
_MODIFIERS = frozenset(("inv", "pow", "ctrl", "negctrl"))


class GateParser(ExpressionParser):
    """A parser of expressions that also reads what is done to qubits and variables."""

    def gate_or_assignment(self, i: int) -> Statement:
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
            operands = self.operands()
        self.expect(";")
        return GateCall(at, name, arguments, operands, modifiers)

    def operands(self) -> list[Expr]:
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
        self.operators = self.nested = 0
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
        value = self.measurement_or_value()
        self.expect(";")
        return Assign(at, target, operator, value)

    def measurement_or_value(self) -> Expr:
        if self.texts[self.i] != "measure":
            return self.expression()
        at = self.starts[self.i]
        self.i += 1
        return Measurement(at, self.operand())
