"""Compiled circuits."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ketgate._events import seconds
from ketgate._evidence import Resources, read_resources


@dataclass(frozen=True)
class TranspiledCircuit:
    """A circuit in the gates and coupling of a back end."""

    openqasm: str
    before: Resources
    after: Resources
    initial_layout: tuple[int, ...]
    """Physical qubit of each qubit of the program at the start."""
    final_layout: tuple[int, ...]
    """Physical qubit of each qubit of the program at the end."""
    compiler: str
    """Package and version that compiled."""
    time_s: float

    def save(self, path: Any) -> Path:
        """Write the OpenQASM to a file. Returns its path."""
        target = Path(path)
        target.write_text(self.openqasm, encoding="utf-8")
        return target

    def to_dict(self) -> dict[str, Any]:
        """In plain types, as `ketgate circuit transpile --json` prints it."""
        return asdict(self)

    def __repr__(self) -> str:
        return (
            f"TranspiledCircuit by {self.compiler} in {self.time_s:.3g} s: depth {self.before.depth} -> "
            f"{self.after.depth}, gates of two or more qubits {self.before.num_multi_qubit_gates} -> "
            f"{self.after.num_multi_qubit_gates}"
        )


def read_transpiled(told: Any) -> TranspiledCircuit:
    return TranspiledCircuit(
        openqasm=told.openqasm,
        before=read_resources(told.before),
        after=read_resources(told.after),
        initial_layout=tuple(told.initial_layout),
        final_layout=tuple(told.final_layout),
        compiler=told.compiler,
        time_s=seconds(told.compiling),
    )
