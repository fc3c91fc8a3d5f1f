"""Tokens to expressions, by precedence climbing."""

from __future__ import annotations

from ketgate_server.errors import echo
from ketgate_server.quantum.openqasm.source import ProgramError, ReadLimits, Source
from ketgate_server.quantum.openqasm.syntax import (
    Binary,
    Call,
    Cast,
    Element,
    Expr,
    Group,
    Hardware,
    Index,
    Literal,
    Name,
    Range,
    Type,
    Unary,
)
from ketgate_server.quantum.openqasm.tokens import (
    END,
    HARDWARE,
    INTEGER,
    NAME,
    REAL,
    TEXT,
    TIMING,
    tokenize,
)
from ketgate_server.quantum.openqasm.values import Bits

OPERATORS_MAX = 256
"""Operators and brackets in one expression; with the next it bounds recursion."""
NESTED_MAX = 100
DIGITS_MAX = 80
BITS_TEXT_MAX = 4_096

_POWER = 12
_UNARY = 11
_PRECEDENCE = {
    "||": 1,
    "&&": 2,
    "|": 3,
    "^": 4,
    "&": 5,
    "==": 6,
    "!=": 6,
    "<": 7,
    "<=": 7,
    ">": 7,
    ">=": 7,
    "<<": 8,
    ">>": 8,
    "+": 9,
    "-": 9,
    "*": 10,
    "/": 10,
    "%": 10,
    "**": _POWER,
}
PRECEDENCE_2 = {"==": 6, "+": 9, "-": 9, "*": 10, "/": 10, "^": _POWER}
"""Of OpenQASM 2, where ^ is the power."""

SIZED = frozenset(("int", "uint", "float", "angle", "bit", "bool", "complex"))
TIMED = {
    "duration": "durations",
    "stretch": "stretchable durations",
    "durationof": "durations",
    "complex": "complex numbers",
    "array": "arrays",
}
"""Types and functions that are refused by name."""
KEYWORDS = frozenset(
    """
    OPENQASM include defcalgrammar def cal defcal gate extern box let break continue if else end
    return for while in switch case default nop pragma input output const readonly mutable qreg
    qubit creg bool bit int uint float angle complex array void duration stretch gphase inv pow
    ctrl negctrl durationof delay reset measure barrier true false opaque
    """.split()  # noqa: SIM905
)
"""Names that a program cannot give."""
CONSTANTS = frozenset(("pi", "π", "tau", "τ", "euler", "ℇ"))


class ExpressionParser:
    """Where the parser is in its tokens, and how it reads expressions."""

    def __init__(self, source: Source, limits: ReadLimits) -> None:
        self.source = source
        self.limits = limits
        tokens = tokenize(source)
        self.kinds, self.texts, self.starts = tokens.kinds, tokens.texts, tokens.starts
        self.i = 0
        self.precedence = _PRECEDENCE
        self.two = False
        """Whether the program is OpenQASM 2."""
        self.operators = self.nested = 0

    # --- tokens

    def fault(self, problem: str, remedy: str = "") -> ProgramError:
        return self.source.fault(self.starts[self.i], problem, remedy)

    def found(self) -> str:
        """The next token, for people."""
        text = self.texts[self.i]
        if self.kinds[self.i] == END:
            return "the end of the program"
        return f"`{echo(text[:24])}{'…' if len(text) > 24 else ''}`"

    def expect(self, text: str, remedy: str = "") -> None:
        """Step over the token, which must be this one."""
        if self.texts[self.i] != text:
            raise self.fault(f"expected `{text}`, found {self.found()}", remedy)
        self.i += 1

    def name(self, what: str) -> str:
        """Step over a name that the program gives or uses."""
        text = self.texts[self.i]
        if self.kinds[self.i] != NAME:
            raise self.fault(f"expected {what}, found {self.found()}")
        if text in KEYWORDS and not self.two:
            raise self.fault(f"expected {what}, found the keyword `{text}`", "choose another name")
        self.i += 1
        return text

    # --- expressions

    def expression(self) -> Expr:
        """A whole expression."""
        self.operators = self.nested = 0
        return self._climb(0)

    def _count(self) -> None:
        self.operators += 1
        if self.operators > OPERATORS_MAX:
            raise self.fault(
                f"an expression has more than {OPERATORS_MAX} operators and brackets",
                "break it into several, with `const` values",
            )

    def _climb(self, least: int) -> Expr:
        self.nested += 1
        if self.nested > NESTED_MAX:
            raise self.fault(f"an expression is nested more than {NESTED_MAX} deep")
        left = self._prefix()
        texts = self.texts
        while True:
            operator = texts[self.i]
            level = self.precedence.get(operator)
            if level is None or level <= least:
                self.nested -= 1
                return left
            at = self.starts[self.i]
            self._count()
            self.i += 1
            # The power binds to the right, everything else to the left.
            right = self._climb(level - 1 if level == _POWER else level)
            left = Binary(at, "**" if level == _POWER else operator, left, right)

    def _prefix(self) -> Expr:
        at, text = self.starts[self.i], self.texts[self.i]
        if text in ("-", "+", "!", "~") and (not self.two or text in ("-", "+")):
            self._count()
            self.i += 1
            operand = self._climb(_UNARY)
            return operand if text == "+" else Unary(at, text, operand)
        value = self._primary()
        while self.texts[self.i] == "[":
            value = self._indexed(value)
        return value

    def _primary(self) -> Expr:
        i = self.i
        kind, text, at = self.kinds[i], self.texts[i], self.starts[i]
        if kind == NAME:
            if text in KEYWORDS or text in TIMED:
                return self._keyword(at, text)
            self.i = i + 1
            if self.texts[i + 1] == "(":
                return Call(at, text, self._arguments())
            return Name(at, text)
        if kind == INTEGER:
            self.i = i + 1
            return Literal(at, self._integer(text, at))
        if kind == REAL:
            self.i = i + 1
            return Literal(at, self._real(text, at))
        if text == "(":
            self._count()
            self.i = i + 1
            inner = self._climb(0)
            self.expect(")")
            return inner
        if kind == TEXT:
            self.i = i + 1
            return Literal(at, self._bits(text, at))
        if kind == HARDWARE:
            self.i = i + 1
            return Hardware(at, self._integer(text[1:], at))
        if kind == TIMING:
            if text.endswith("im"):
                raise self.fault("complex numbers are not supported", "use real angles")
            raise self.fault("durations are not supported", "remove what depends on time")
        raise self.fault(f"expected a value, found {self.found()}")

    def _keyword(self, at: int, text: str) -> Expr:
        if text in ("true", "false"):
            self.i += 1
            return Literal(at, text == "true")
        if text in TIMED:
            raise self.fault(f"{TIMED[text]} (`{text}`) are not supported")
        if text == "pow" and self.texts[self.i + 1] == "(":
            self.i += 1
            return Call(at, text, self._arguments())
        if text in SIZED:
            cast = self.type()
            self.expect("(", f"`{text}` here converts a value: {text}(VALUE)")
            self._count()
            operand = self._climb(0)
            self.expect(")")
            return Cast(at, cast, operand)
        if text == "measure":
            raise self.fault(
                "a measurement cannot stand inside of an expression",
                "assign it to a bit first: b = measure q;",
            )
        raise self.fault(f"expected a value, found the keyword `{text}`")

    def type(self) -> Type:
        """bit[4], int, float[64] …"""
        at, name = self.starts[self.i], self.texts[self.i]
        if name in TIMED:
            raise self.fault(f"{TIMED[name]} (`{name}`) are not supported")
        self.i += 1
        size = None
        if self.texts[self.i] == "[" and name != "bool":
            self.i += 1
            size = self._climb(0)
            self.expect("]")
        return Type(at, name, size)

    def _arguments(self) -> list[Expr]:
        """(a, b, c), one place after a name."""
        self._count()
        self.i += 1
        arguments: list[Expr] = []
        while self.texts[self.i] != ")":
            arguments.append(self._climb(0))
            if self.texts[self.i] != ",":
                break
            self.i += 1
        self.expect(")")
        return arguments

    def _indexed(self, base: Expr) -> Expr:
        i = self.i
        if self.kinds[i + 1] == INTEGER and self.texts[i + 2] == "]" and isinstance(base, Name):
            self.i = i + 3
            return Element(base.at, base.name, self._integer(self.texts[i + 1], self.starts[i + 1]))
        self._count()
        self.i += 1
        if self.texts[self.i] == "{":
            items: list[Expr] = [self.group()]
        else:
            items = [self._item()]
            while self.texts[self.i] == ",":
                self.i += 1
                items.append(self._item())
        self.expect("]")
        return Index(base.at, base, items)

    def _item(self) -> Expr:
        """An index or a range in brackets."""
        at = self.starts[self.i]
        parts: list[Expr | None] = []
        while True:
            parts.append(None if self.texts[self.i] in (":", "]", ",") else self._climb(0))
            if self.texts[self.i] != ":" or len(parts) == 3:
                break
            self.i += 1
        if len(parts) == 1:
            if parts[0] is None:
                raise self.fault(f"expected an index, found {self.found()}")
            return parts[0]
        if len(parts) == 2:
            return Range(at, parts[0], None, parts[1])
        if parts[1] is None:
            raise self.fault("a range lacks its step", "write [first:step:last]")
        return Range(at, parts[0], parts[1], parts[2])

    def group(self) -> Group:
        """{a, b, c}."""
        at = self.starts[self.i]
        self.expect("{")
        items: list[Expr] = []
        while self.texts[self.i] != "}":
            items.append(self._climb(0))
            if self.texts[self.i] != ",":
                break
            self.i += 1
        self.expect("}")
        return Group(at, items)

    # --- literals

    def _integer(self, text: str, at: int) -> int:
        if len(text) < 16 and text.isdecimal():
            return int(text)
        digits = text.replace("_", "")
        if len(digits) > DIGITS_MAX:
            raise self.source.fault(at, "the number is too long", "integers have 64 bits")
        value = int(digits, 0 if digits[1:2] in ("x", "X", "b", "B", "o", "O") else 10)
        if value >= 1 << 64:
            raise self.source.fault(at, "the number is too large", "integers have 64 bits")
        return value

    def _real(self, text: str, at: int) -> float:
        value = float(text.replace("_", "")[:400])
        if value == float("inf") or len(text) > 400:
            raise self.source.fault(at, "the number is too large")
        return value

    def _bits(self, text: str, at: int) -> Bits:
        digits = text[1:-1].replace("_", "")
        if not digits or digits.strip("01") or len(digits) > BITS_TEXT_MAX:
            raise self.source.fault(
                at, "expected a value, found a text that is no string of bits", 'write as "0101"'
            )
        return Bits(int(digits, 2), len(digits))
