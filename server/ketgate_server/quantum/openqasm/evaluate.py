"""Expressions to values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from ketgate_server.errors import LimitError
from ketgate_server.quantum.circuit import Condition, Place
from ketgate_server.quantum.openqasm import arithmetic
from ketgate_server.quantum.openqasm.conditions import (
    Both,
    Either,
    Test,
    compare,
    exclusive,
    junction,
    negated,
)
from ketgate_server.quantum.openqasm.conversion import convert, width_of
from ketgate_server.quantum.openqasm.scope import Meaning, Scopes, Variable, kind_of
from ketgate_server.quantum.openqasm.selection import positions, select
from ketgate_server.quantum.openqasm.source import Fault, ProgramError, ReadLimits, Source
from ketgate_server.quantum.openqasm.syntax import (
    Binary,
    Call,
    Cast,
    DefineSubroutine,
    Element,
    Expr,
    Group,
    Hardware,
    Index,
    Literal,
    Measurement,
    Name,
    Range,
    Type,
    Unary,
)
from ketgate_server.quantum.openqasm.values import (
    Bits,
    Memory,
    Qubits,
    Value,
    describe,
    integer,
    truth,
)

Result = Value | Test
TESTS = (Condition, Both, Either)
STEPS_FACTOR = 4
"""Statements that may be carried out, in operations_max: loops that make nothing end too."""


class Evaluator:
    """Knows the names; makes values of expressions."""

    def __init__(self, source: Source, limits: ReadLimits) -> None:
        self.source = source
        self.limits = limits
        self.scopes = Scopes()
        self.two = False
        self.steps_left = STEPS_FACTOR * limits.operations_max + 10_000
        self.hardware = 0
        """One more than the greatest $number."""
        self._by_type: dict[type, Callable[[Any], Result]] = {
            Literal: lambda e: e.value,
            Name: self._name,
            Element: self._element,
            Hardware: self._hardware,
            Index: self._index,
            Unary: self._unary,
            Binary: self._binary,
            Call: self._call,
            Cast: self._cast,
            Range: self._misplaced,
            Group: self._misplaced,
            Measurement: self._misplaced,
        }

    # --- faults and limits

    def place(self, at: int) -> Place:
        return self.source.place(at)

    def fault(self, at: int, problem: str, remedy: str = "") -> ProgramError:
        return self.source.fault(at, problem, remedy)

    def step(self) -> None:
        """Count a statement that is carried out."""
        self.steps_left -= 1
        if self.steps_left < 0:
            raise self.over("quantum.operations_max", self.limits.operations_max)

    def over(self, limit: str, allowed: int, given: int = 0) -> LimitError:
        """A limit of the program's size."""
        return LimitError(
            limit, allowed=allowed, given=max(given, allowed + 1), field=self.source.field or None
        )

    # --- values

    def evaluate(self, expression: Expr) -> Result:
        """The value; ProgramError where it has none."""
        try:
            return self._by_type[type(expression)](expression)
        except Fault as fault:
            raise self.fault(expression.at, fault.problem, fault.remedy) from None

    def value(self, expression: Expr) -> Value:
        """As evaluate, where a comparison of measured bits cannot stand."""
        result = self.evaluate(expression)
        if isinstance(result, TESTS):
            raise self.fault(
                expression.at,
                "a condition on measured bits can only be decided by `if`",
                "write if (CONDITION) { … }",
            )
        return result

    def known_integer(self, expression: Expr, what: str) -> int:
        value = self.value(expression)
        try:
            return integer(value, what)
        except Fault as fault:
            raise self.fault(expression.at, fault.problem, fault.remedy) from None

    def size(self, type_: Type, what: str) -> int:
        """The number in a type's brackets, from 1; 0 without brackets."""
        if type_.size is None:
            return 0
        size = self.known_integer(type_.size, f"the size of {what}")
        if size < 1:
            raise self.fault(type_.size.at, f"the size of {what} is {size}", "it is at least 1")
        return size

    def _misplaced(self, _: Expr) -> NoReturn:
        raise Fault("this cannot stand inside of an expression")

    def _meaning(self, name: str) -> Value:
        found: Meaning | None = self.scopes.find(name)
        if isinstance(found, Variable):
            if found.value is None:
                raise Fault(f"`{name}` has no value yet", "give it one when it is declared")
            return found.value
        if isinstance(found, Qubits | Memory):
            return found
        if found is None:
            if name in arithmetic.NAMED:
                return arithmetic.NAMED[name]
            raise self.scopes.unknown(name, "the name")
        raise Fault(f"`{name}` is {kind_of(found)}, not a value")

    def _name(self, expression: Name) -> Value:
        return self._meaning(expression.name)

    def _element(self, expression: Element) -> Value:
        name, index = expression.name, expression.index
        found = self.scopes.find(name)
        if isinstance(found, Qubits) and not found.single:
            if index < len(found.indices):
                return Qubits((found.indices[index],), True)
        elif isinstance(found, Memory) and not found.single and index < len(found.bits):
            return Memory((found.bits[index],), True)
        return select(self._meaning(name), [index], True, f"`{name}`")

    def _hardware(self, expression: Hardware) -> Value:
        if expression.index >= self.limits.qubits_max:
            raise self.over(
                "quantum.program_qubits_max", self.limits.qubits_max, expression.index + 1
            )
        self.hardware = max(self.hardware, expression.index + 1)
        return Qubits((expression.index,), True)

    def _index(self, expression: Index) -> Value:
        base = self.value(expression.base)
        if len(expression.items) != 1:
            raise Fault("only arrays have several indices, and they are not supported")
        (item,) = expression.items
        what = f"`{expression.base.name}`" if isinstance(expression.base, Name) else "this"
        if isinstance(item, Range):
            chosen = positions(self.range(item), base, what)
            return select(base, chosen, False, what)
        if isinstance(item, Group):
            return select(
                base, [self.known_integer(i, "an index") for i in item.items], False, what
            )
        return select(base, [self.known_integer(item, "an index")], True, what)

    def range(self, item: Range) -> tuple[int | None, int, int | None]:
        """First, step, last; None: the end."""
        first, step, last = (
            None if part is None else self.known_integer(part, "a bound of a range")
            for part in (item.start, item.step, item.stop)
        )
        if step == 0:
            raise self.fault(item.at, "the step of a range is 0")
        return first, 1 if step is None else step, last

    def _unary(self, expression: Unary) -> Result:
        value = self.evaluate(expression.operand)
        sign = expression.operator
        if isinstance(value, TESTS):
            if sign == "!":
                return negated(value)
            raise Fault(f"`{sign}` cannot follow from a measurement")
        if isinstance(value, Memory):
            if sign == "!" or (sign == "~" and value.single):
                return _negation(test_of(value))
            raise Fault(*_RUNTIME)
        return arithmetic.unary(sign, value)

    def _binary(self, expression: Binary) -> Result:
        sign = expression.operator
        left = self.evaluate(expression.left)
        if sign in ("&&", "||") and not isinstance(left, (Memory, *TESTS)):
            # The right side is not looked at where the left one decides.
            decided = truth(left, f"what stands before `{sign}`")
            if decided == (sign == "||"):
                return decided
        right = self.evaluate(expression.right)
        if isinstance(left, (Memory, *TESTS)) or isinstance(right, (Memory, *TESTS)):
            return _on_measured(sign, left, right)
        return arithmetic.binary(sign, left, right, real_division=self.two)

    def _cast(self, expression: Cast) -> Result:
        value = self.evaluate(expression.operand)
        name = expression.type.name
        if isinstance(value, TESTS):
            if name == "bool":
                return value
            raise Fault("a condition on measured bits cannot be converted")
        width = width_of(name, self.size(expression.type, f"`{name}`"))
        return convert(value, name, width, explicit=True)

    def _call(self, expression: Call) -> Result:
        found = self.scopes.find(expression.name)
        if isinstance(found, DefineSubroutine):
            return self.call_subroutine(found, expression, None)
        if found is None and expression.name in arithmetic.FUNCTION_NAMES:
            return arithmetic.call(expression.name, [self.value(a) for a in expression.arguments])
        if found is None:
            raise self.scopes.unknown(expression.name, "the function")
        raise Fault(f"`{expression.name}` is {kind_of(found)}, not a function")

    def call_subroutine(
        self, subroutine: DefineSubroutine, call: Call, target: Memory | None
    ) -> Value:
        raise NotImplementedError


_RUNTIME = (
    "numbers cannot be computed from measured bits",
    "compare them with known numbers, in `if`",
)


def test_of(value: Value) -> Test | bool:
    """A value as a condition."""
    if isinstance(value, Memory):
        if value.single:
            return Condition(value.bits, "==", 1)
        return Condition(value.bits, "!=", 0)
    return truth(value, "a condition")


def _negation(test: Test | bool) -> Test | bool:
    return (not test) if isinstance(test, bool) else negated(test)


def _as_test(value: Result) -> Test | bool:
    return value if isinstance(value, TESTS) else test_of(value)


def _on_measured(sign: str, left: Result, right: Result) -> Result:
    """An operator with a measured bit, or a condition on some, at least on one side."""
    if sign in ("&&", "||"):
        return junction(sign, _as_test(left), _as_test(right))
    single = all(
        isinstance(side, (bool, *TESTS)) or (isinstance(side, Memory) and side.single)
        for side in (left, right)
    )
    if single and sign in ("&", "|"):
        return junction(sign * 2, _as_test(left), _as_test(right))
    if single and sign in ("^", "!=", "=="):
        a, b = _as_test(left), _as_test(right)
        if isinstance(a, bool) or isinstance(b, bool):
            known, test = (a, b) if isinstance(a, bool) else (b, a)
            return test if known == (sign == "==") else _negation(test)
        odd = exclusive(a, b)
        return negated(odd) if sign == "==" else odd
    if sign not in ("==", "!=", "<", "<=", ">", ">="):
        raise Fault(*_RUNTIME)
    if isinstance(left, Memory) and isinstance(right, int | float | Bits):
        return compare(left, sign, _against(left, right))
    if isinstance(right, Memory) and isinstance(left, int | float | Bits):
        return compare(right, sign, _against(right, left), mirrored=True)
    sides = " with ".join(
        "a condition" if isinstance(side, TESTS) else describe(side) for side in (left, right)
    )
    raise Fault(f"`{sign}` cannot compare {sides}", "compare measured bits with a known number")


def _against(memory: Memory, number: Value) -> int:
    if isinstance(number, Bits) and number.width != len(memory.bits):
        raise Fault(f"{len(memory.bits)} measured bits are compared with {number.width} bits")
    return integer(number, "what measured bits are compared with")
