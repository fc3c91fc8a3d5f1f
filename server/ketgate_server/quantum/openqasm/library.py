"""The gates that a program has without defining them, and what each means in gates.GATES.

Sources: the OpenQASM 3 specification (stdgates.inc), OpenQASM 2's qelib1.inc with the gates that
Qiskit added to it. Phases are those of gates.GATES, and so Qiskit's: u2 and u3 are U, also where
the text of an include gives them another global phase.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ketgate_server.quantum.circuit import Gate, Place
from ketgate_server.quantum.expression import Angle
from ketgate_server.quantum.gates import GATES

Angles = tuple[Angle, ...]


@dataclass(frozen=True, slots=True)
class LibraryGate:
    """A name of the language's libraries."""

    name: str
    num_parameters: int
    num_qubits: int
    target: str
    """Name in gates.GATES."""
    arrange: Callable[[Angles], Angles] | None = None
    """Its parameters to those of target; None: the same."""
    controls: tuple[int, ...] = ()
    sequence: tuple[tuple[str, tuple[int, ...]], ...] = ()
    """Where no single gate has this meaning: gates without parameters on the places given."""

    def gates(self, angles: Angles, qubits: tuple[int, ...], place: Place) -> list[Gate]:
        """What it does to these qubits."""
        if self.sequence:
            return [
                Gate(name, tuple(qubits[k] for k in on), place=place) for name, on in self.sequence
            ]
        if self.arrange is not None:
            angles = self.arrange(angles)
        return [Gate(self.target, qubits, angles, self.controls, 1.0, place)]


def _same(*names: str) -> dict[str, LibraryGate]:
    return {
        name: LibraryGate(name, GATES[name].num_parameters, GATES[name].num_qubits, name)
        for name in names
    }


def _other(name: str, target: str) -> dict[str, LibraryGate]:
    """Another name of the same gate."""
    spec = GATES[target]
    return {name: LibraryGate(name, spec.num_parameters, spec.num_qubits, target)}


_U2 = LibraryGate("u2", 2, 1, "u", lambda a: (math.pi / 2, a[0], a[1]))
_SHARED = (
    _same("p", "x", "y", "z", "h", "s", "sdg", "t", "tdg", "sx", "id", "rx", "ry", "rz")
    | _same("cx", "cy", "cz", "cp", "crx", "cry", "crz", "ch", "swap", "ccx", "cswap", "cu")
    | _other("u1", "p")
    | {"u2": _U2}
    | _other("u3", "u")
)

BUILTIN = _other("U", "u") | _same("gphase")
"""Of OpenQASM 3, without any include."""

BUILTIN_2 = _other("U", "u") | _other("CX", "cx")
"""Of OpenQASM 2, without any include."""

STDGATES = _SHARED | _other("CX", "cx") | _other("phase", "p") | _other("cphase", "cp")
"""stdgates.inc."""

_MORE = (
    _same("sxdg", "csx", "iswap", "ecr", "rxx", "ryy", "rzz", "rzx", "xx_plus_yy", "xx_minus_yy")
    | _same("ccz", "u")
    | _other("cu1", "cp")
    | {"cu3": LibraryGate("cu3", 3, 2, "cu", lambda a: (*a, 0.0))}
)


def _relative_toffoli() -> dict[str, LibraryGate]:
    """Margolus' gate and its sibling with three controls, as qelib1.inc defines them."""

    def turns(control: int, target: int, steps: str) -> list[tuple[str, tuple[int, ...]]]:
        on = {"h": "h", "t": "t", "d": "tdg"}
        return [(on[s], (target,)) if s in on else ("cx", (control, target)) for s in steps]

    three = [*turns(1, 2, "htcd"), *turns(0, 2, "ct"), *turns(1, 2, "cdh")]
    four = [
        *turns(2, 3, "htcdh"),
        *turns(0, 3, "ct"),
        *turns(1, 3, "cd"),
        *turns(0, 3, "ct"),
        *turns(1, 3, "cdht"),
        *turns(2, 3, "cdh"),
    ]
    return {
        "rccx": LibraryGate("rccx", 0, 3, "", sequence=tuple(three)),
        "rc3x": LibraryGate("rc3x", 0, 4, "", sequence=tuple(four)),
    }


QELIB1_FIRST = {
    name: gate
    for name, gate in (_SHARED | _MORE).items()
    if name
    in (
        "u3 u2 u1 cx id x y z h s sdg t tdg rx ry rz cz cy ch ccx crz cu1 cu3".split()  # noqa: SIM905
    )
}
"""qelib1.inc as OpenQASM 2 was published; a program may define every later name by itself."""

QELIB1_LATER = (
    (_SHARED | _MORE)
    | _relative_toffoli()
    | {
        "u0": LibraryGate("u0", 1, 1, "id", lambda _: ()),
        "c3x": LibraryGate("c3x", 0, 4, "x", None, (1, 1, 1)),
        "c4x": LibraryGate("c4x", 0, 5, "x", None, (1, 1, 1, 1)),
        "c3sqrtx": LibraryGate("c3sqrtx", 0, 4, "sx", None, (1, 1, 1)),
    }
)
"""What qelib1.inc has now."""

BEYOND_STDGATES = _MORE | _relative_toffoli()
"""Known together with stdgates.inc though it does not have them; a program may define them by
itself."""
