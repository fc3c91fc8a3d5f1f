"""A device as an emulator needs it, whatever it was read from."""

from __future__ import annotations

from dataclasses import dataclass

from ketgate_server.cached import cached_property
from ketgate_server.quantum.base import Calibration
from ketgate_server.quantum.calibration import USELESS

ENTANGLERS = ("cz", "ecr", "cx", "xx_plus_yy")
_NONE = (1.0, "")


@dataclass(frozen=True)
class Device:
    """Immutable."""

    name: str
    """Of the back end, for example "emulator/ibm_torino"."""
    description: str
    num_qubits: int
    coupling: tuple[tuple[int, int], ...]
    """Directed pairs that the gate of two acts on."""
    basis_gates: tuple[str, ...]
    calibration: Calibration
    part: str = "native"
    version: str = ""

    @cached_property
    def entanglers(self) -> tuple[str, ...]:
        """Its gates of two that circuits can be compiled to."""
        return tuple(name for name in ENTANGLERS if name in self.basis_gates)

    @cached_property
    def errors(self) -> dict[tuple[str, tuple[int, ...]], float]:
        """Average error by gate and qubits; "measure" by qubit. One that is not told counts as
        twice the greatest of its kind that is in order: nothing is placed there for want of a
        figure."""
        told = {(one.gate, one.qubits): one.error for one in self.calibration.gates}
        for qubit in range(self.num_qubits):
            told[("measure", (qubit,))] = None
        for one in self.calibration.qubits:
            wrong = [p for p in (one.p1_given_0, one.p0_given_1) if p is not None]
            told[("measure", (one.qubit,))] = sum(wrong) / 2.0 if wrong else None
        greatest: dict[str, float] = {}
        for (gate, _), error in told.items():
            if error is not None and error < USELESS:
                greatest[gate] = max(greatest.get(gate, 0.0), error)
        return {
            use: 2.0 * greatest.get(use[0], 0.0) if error is None else error
            for use, error in told.items()
        }

    @cached_property
    def edges(self) -> dict[tuple[int, int], tuple[float, str]]:
        """(error, gate) of the best gate by directed pair, without what is out of order."""
        out: dict[tuple[int, int], tuple[float, str]] = {}
        known = {gate.gate for gate in self.calibration.gates}
        for pair in self.coupling:
            found = [
                (self.errors.get((name, pair), 0.0), name)
                for name in self.entanglers
                if (name, pair) in self.errors or name not in known
            ]
            if found and min(found)[0] < USELESS:
                out[pair] = min(found)
        return out

    @cached_property
    def neighbours(self) -> dict[int, tuple[int, ...]]:
        """By qubit, whichever the direction; rising."""
        out: dict[int, set[int]] = {qubit: set() for qubit in range(self.num_qubits)}
        for a, b in self.edges:
            out[a].add(b)
            out[b].add(a)
        return {qubit: tuple(sorted(others)) for qubit, others in out.items()}

    def edge_error(self, a: int, b: int) -> float:
        """Of the better direction."""
        return min(self.edges.get((a, b), _NONE)[0], self.edges.get((b, a), _NONE)[0])

    def entangle(self, a: int, b: int) -> tuple[str, tuple[int, int]]:
        """The gate for cx from a to b, and the order of qubits that it has: as asked for, where
        both orders are equally good."""
        forth, back = self.edges.get((a, b), _NONE), self.edges.get((b, a), _NONE)
        return (forth[1], (a, b)) if forth[0] <= back[0] else (back[1], (b, a))
