"""What names stand for, block by block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ketgate_server.quantum.openqasm.library import LibraryGate
from ketgate_server.quantum.openqasm.source import Fault, nearest
from ketgate_server.quantum.openqasm.syntax import DefineGate, DefineSubroutine
from ketgate_server.quantum.openqasm.values import Memory, Qubits, Value


@dataclass(slots=True)
class Variable:
    """A constant or a variable whose value is known while the program is read.

    branches: in how many measurement-dependent blocks it was declared; assigning in deeper ones
    would make its value depend on a measurement.
    """

    value: Value | None
    type: str
    width: int
    constant: bool
    branches: int


@dataclass(slots=True)
class OpaqueGate:
    name: str


Meaning = Variable | Qubits | Memory | LibraryGate | DefineGate | DefineSubroutine | OpaqueGate


def kind_of(meaning: Meaning) -> str:
    """For people."""
    match meaning:
        case Variable(constant=True):
            return "a constant"
        case Variable():
            return "a variable"
        case Qubits():
            return "a qubit" if meaning.single else "a register of qubits"
        case Memory():
            return "a bit" if meaning.single else "a register of bits"
        case DefineSubroutine():
            return "a subroutine"
    return "a gate"


class Scopes:
    """The blocks that are open, the innermost last. The first holds what is global."""

    def __init__(self) -> None:
        self.globals: dict[str, Meaning] = {}
        self.open: list[dict[str, Meaning]] = [self.globals]
        self.later: Mapping[str, LibraryGate] = {}
        """Library gates that a program may define otherwise: looked up last."""

    def find(self, name: str) -> Meaning | None:
        found = self.open[-1].get(name)
        if found is None:
            for names in reversed(self.open):
                if name in names:
                    return names[name]
            return self.later.get(name)
        return found

    def declare(self, name: str, meaning: Meaning) -> None:
        """Raises Fault where the block has the name already."""
        innermost = self.open[-1]
        if name in innermost:
            raise Fault(
                f"`{name}` is {kind_of(innermost[name])} already", "choose another name for this"
            )
        innermost[name] = meaning

    def unknown(self, name: str, what: str) -> Fault:
        """The Fault of a name that nothing has; what: a gate, a qubit, …"""
        if name in _KNOWN_ELSEWHERE and not self.later:
            return Fault(f"{what} `{name}` is unknown", 'add the line include "stdgates.inc";')
        known = [n for names in self.open for n in names] + list(self.later)
        return Fault(f"{what} `{name}` is unknown", nearest(name, known))


_KNOWN_ELSEWHERE = frozenset(
    """
    p x y z h s sdg t tdg sx id rx ry rz cx cy cz cp crx cry crz ch swap ccx cswap cu u1 u2 u3 CX
    phase cphase
    """.split()  # noqa: SIM905
)
