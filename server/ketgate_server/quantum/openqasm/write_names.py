"""Names for a circuit's registers and parameters that the written language allows."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ketgate_server.quantum.circuit import Circuit, Register
from ketgate_server.quantum.gates import GATES
from ketgate_server.quantum.openqasm.arithmetic import FUNCTION_NAMES, NAMED
from ketgate_server.quantum.openqasm.library import QELIB1_LATER, STDGATES
from ketgate_server.quantum.openqasm.parse_expressions import KEYWORDS

_TAKEN = frozenset({*GATES, *STDGATES, *QELIB1_LATER, *KEYWORDS, *NAMED, *FUNCTION_NAMES, "U"})
_FORM_3 = re.compile(r"[^\W\d]\w*")
_FORM_2 = re.compile(r"[a-z][A-Za-z0-9_]*")


class Names:
    """What qubits, bits and parameters are called. A name that the language does not allow, or
    that something has already, is replaced."""

    def __init__(self, circuit: Circuit, *, two: bool) -> None:
        self._form = _FORM_2 if two else _FORM_3
        self._given: set[str] = set()
        self._counts: dict[str, int] = {}
        # Parameters first: a caller gives values by their names.
        self.parameters = {name: self.fresh(name) for name in circuit.parameters}
        self.qubit_registers = self._registers(circuit.qubit_registers, circuit.num_qubits, "q")
        self.bit_registers = self._registers(circuit.bit_registers, circuit.num_bits, "c")
        self.qubits = _elements(self.qubit_registers)
        self.bits = _elements(self.bit_registers)

    def fresh(self, wanted: str) -> str:
        """The name, or one like it."""
        name = wanted if self._form.fullmatch(wanted) and wanted not in _TAKEN else f"{wanted}_"
        if not self._form.fullmatch(name):
            name = "v_"
        base, k = name.rstrip("0123456789"), self._counts.get(wanted, 0)
        while name in self._given or name in _TAKEN:
            k += 1
            name = f"{base}{k}"
        self._counts[wanted] = k
        self._given.add(name)
        return name

    def _registers(
        self, registers: Sequence[Register], count: int, default: str
    ) -> tuple[Register, ...]:
        at = 0
        for register in registers:
            if register.start != at or register.size < 1:
                break
            at += register.size
        else:
            if at == count:
                return tuple(Register(self.fresh(r.name), r.start, r.size) for r in registers)
        return (Register(self.fresh(default), 0, count),) if count else ()


def _elements(registers: Sequence[Register]) -> list[str]:
    return [f"{r.name}[{k}]" for r in registers for k in range(r.size)]
