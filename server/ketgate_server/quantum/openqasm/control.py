"""Blocks: conditions, loops, switches and subroutines.

What is known is decided here; what was measured becomes If operations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from ketgate_server.quantum.circuit import Operation
from ketgate_server.quantum.openqasm.conditions import Block, Test, block, branch, compare
from ketgate_server.quantum.openqasm.conversion import convert, width_of
from ketgate_server.quantum.openqasm.evaluate import TESTS, test_of
from ketgate_server.quantum.openqasm.scope import Meaning, Variable
from ketgate_server.quantum.openqasm.source import Fault
from ketgate_server.quantum.openqasm.storage import StorageReader
from ketgate_server.quantum.openqasm.syntax import (
    Branch,
    Expr,
    For,
    Group,
    Jump,
    Range,
    Statement,
    Switch,
    While,
)
from ketgate_server.quantum.openqasm.values import Bits, Memory, Value, describe, integer


class Leave(Exception):  # noqa: N818 - a jump out of blocks
    """break, continue, end or return with its value."""

    def __init__(self, kind: str, value: Value | None = None) -> None:
        super().__init__(kind)
        self.kind = kind
        self.value = value


class ControlReader(StorageReader):
    """A reader that also carries out blocks."""

    by_type: dict[type, Callable[[Any], None]]
    block_depth = 0
    loops: list[int]
    """Of each loop that is open: in how many measurement-dependent blocks it stands."""

    def run(self, statements: Iterable[Statement]) -> None:
        for statement in statements:
            self.steps_left -= 1
            if self.steps_left < 0:
                self.step()
            self.by_type[type(statement)](statement)

    def inside(self, statements: Sequence[Statement], names: dict[str, Meaning], at: int) -> None:
        """Carry out a block with names of its own."""
        self.block_depth += 1
        if self.block_depth > self.limits.nesting_max:
            raise self.fault(
                at, f"blocks and calls are nested more than {self.limits.nesting_max} deep"
            )
        self.scopes.open.append(names)
        try:
            self.run(statements)
        finally:
            self.scopes.open.pop()
            self.block_depth -= 1

    # --- if and switch

    def condition(self, expression: Expr) -> Test | bool:
        result = self.evaluate(expression)
        if isinstance(result, TESTS):
            return result
        try:
            return test_of(result)
        except Fault as fault:
            raise self.fault(expression.at, fault.problem, fault.remedy) from None

    def branching(self, statement: Branch) -> None:
        test = self.condition(statement.condition)
        if isinstance(test, bool):
            self.inside(statement.then if test else statement.otherwise, {}, statement.at)
            return
        then = self._apart(statement.then, statement.at)
        otherwise = self._apart(statement.otherwise, statement.at)
        self._append(test, then, otherwise, statement.at)

    def _apart(self, statements: Sequence[Statement], at: int) -> Block:
        """What a block does that may not happen."""
        out, left = self.out, self.operations_left
        inside: list[Operation] = []
        self.out, self.operations_left = inside, left - len(out)
        self.branches += 1
        try:
            self.inside(statements, {}, at)
        finally:
            self.branches -= 1
            self.out, self.operations_left = out, left
        return block(inside)

    def _append(self, test: Test, then: Block, otherwise: Block, at: int) -> None:
        room = self.operations_left - len(self.out)
        try:
            operations, count, depth = branch(test, then, otherwise, self.place(at), room)
        except Fault as fault:
            raise self.fault(at, fault.problem, fault.remedy) from None
        if depth > self.limits.nesting_max:
            raise self.fault(
                at,
                f"conditions on measured bits, written out, are nested more than "
                f"{self.limits.nesting_max} deep",
                "write them one after the other",
            )
        self.operations_left -= count - len(operations)
        self.emit(operations)

    def switch(self, statement: Switch) -> None:
        value = self.value(statement.value)
        cases = [
            ([self._label(label) for label in labels], body) for labels, body in statement.cases
        ]
        if not isinstance(value, Memory):
            number = self.known_integer(statement.value, "what a switch decides by")
            chosen = next((body for labels, body in cases if number in labels), statement.default)
            self.inside(chosen, {}, statement.at)
            return
        rest = self._apart(statement.default, statement.at)
        room = self.operations_left - len(self.out)
        for labels, body in reversed(cases):
            then = self._apart(body, statement.at)
            for label in reversed(labels):
                try:
                    test = compare(value, "==", label)
                    if isinstance(test, bool):
                        if test:
                            rest = then
                        continue
                    rest = branch(test, then, rest, self.place(statement.at), room)
                except Fault as fault:
                    raise self.fault(statement.at, fault.problem, fault.remedy) from None
        operations, count, depth = rest
        if depth > self.limits.nesting_max:
            raise self.fault(
                statement.at,
                f"a switch on measured bits has more than {self.limits.nesting_max} cases, "
                "those inside of it included",
            )
        self.operations_left -= count - len(operations)
        self.emit(operations)

    def _label(self, label: Expr) -> int:
        return self.known_integer(label, "the value of a case")

    # --- loops

    def for_loop(self, statement: For) -> None:
        kind = statement.type.name
        width = width_of(kind, self.size(statement.type, f"`{statement.name}`"))
        self.loops.append(self.branches)
        try:
            for value in self._values(statement.values):
                self.step()
                try:
                    held = convert(value, kind, width)
                except Fault as fault:
                    raise self.fault(statement.at, fault.problem, fault.remedy) from None
                assert not isinstance(held, TESTS)
                variable = Variable(held, kind, width, False, self.branches)
                if not self._once(statement.body, {statement.name: variable}, statement.at):
                    break
        finally:
            self.loops.pop()

    def _once(self, body: Sequence[Statement], names: dict[str, Meaning], at: int) -> bool:
        """One turn of a loop; whether it goes on."""
        try:
            self.inside(body, names, at)
        except Leave as leave:
            if leave.kind == "break":
                return False
            if leave.kind != "continue":
                raise
        return True

    def _values(self, values: Expr) -> Iterable[Value]:
        if isinstance(values, Range):
            first, step, last = self.range(values)
            if first is None or last is None:
                raise self.fault(values.at, "the range of a loop lacks an end", "[first:last]")
            return range(first, last + (1 if step > 0 else -1), step)
        if isinstance(values, Group):
            return [self.value(item) for item in values.items]
        value = self.value(values)
        if isinstance(value, Bits):
            return _each_bit(value)
        raise self.fault(
            values.at,
            f"a loop goes over a range or a set, not over {describe(value)}",
            "for example for int i in [0:3] { … }",
        )

    def while_loop(self, statement: While) -> None:
        self.loops.append(self.branches)
        try:
            while True:
                self.step()
                test = self.condition(statement.condition)
                if not isinstance(test, bool):
                    raise self.fault(
                        statement.condition.at,
                        "a loop that depends on measured bits is not supported",
                        "write it as a fixed number of turns with `if` inside",
                    )
                if not test or not self._once(statement.body, {}, statement.at):
                    break
        finally:
            self.loops.pop()

    # --- jumps

    def jump(self, statement: Jump) -> None:
        kind = statement.kind
        if kind in ("break", "continue"):
            if not self.loops:
                raise self.fault(statement.at, f"`{kind}` stands outside of a loop")
            depends = self.branches > self.loops[-1]
        elif kind == "end":
            depends = self.branches > 0
        elif self.call_branches is None:
            raise self.fault(statement.at, "`return` stands outside of a subroutine")
        else:
            depends = self.branches > self.call_branches
        if depends:
            raise self.fault(
                statement.at,
                f"`{kind}` that depends on measured bits is not supported",
                "put what follows into the branches of the `if`",
            )
        raise Leave(kind, self.returned(statement) if kind == "return" else None)

    call_branches: int | None = None
    """In how many measurement-dependent blocks the running subroutine was called; None outside of
    all."""

    def returned(self, statement: Jump) -> Value | None:
        raise NotImplementedError


def _each_bit(bits: Bits) -> Iterator[int]:
    return (bits.value >> k & 1 for k in range(bits.width))


__all__ = ["ControlReader", "Leave", "integer"]
