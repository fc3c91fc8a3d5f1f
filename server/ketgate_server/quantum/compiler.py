"""Compilation to a back end's gates and coupling: Qiskit's, in a worker process, with the circuits that
were compiled of late at hand."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from ketgate_server.errors import KetgateError, Reason
from ketgate_server.parts import require_part
from ketgate_server.quantum.base import Stopped, Task
from ketgate_server.quantum.circuit import Circuit, Gate
from ketgate_server.quantum.transpile.target import Target, Transpiled
from ketgate_server.quantum.workers.pool import Workers

FUNCTION = "ketgate_server.quantum.transpile.qiskit_compiler:transpile"
GROUP = "transpile"
PART = "qiskit"
KEPT_MAX = 256
KEPT_OPERATIONS_MAX = 20_000
"""Of a circuit that is kept."""


@dataclass(frozen=True)
class Compiled:
    """A circuit, and what compiling it took."""

    transpiled: Transpiled
    compiling_s: float


class Compiler:
    """Threads may share it."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[object, ...], Transpiled] = OrderedDict()

    def warm(self, task: Task) -> None:
        """Start a worker that compiles."""
        nothing = Circuit(1, 0, (Gate("x", (0,)),))
        self._workers.call(FUNCTION, (nothing, Target(("x",)), 0, 0), task, group=GROUP)

    def compile(
        self, circuits: Sequence[Circuit], target: Target, level: int, seed: int, task: Task
    ) -> list[Compiled]:
        """Raises PART_NOT_INSTALLED, Unsuitable, and DEADLINE_EXCEEDED or CANCELLED."""
        require_part(PART)
        return [self._one(circuit, target, level, seed, task) for circuit in circuits]

    def _one(self, circuit: Circuit, target: Target, level: int, seed: int, task: Task) -> Compiled:
        started_s = time.monotonic()
        key = (circuit.digest, target, level, seed)
        with self._lock:
            known = self._kept.get(key)
            if known is not None:
                self._kept.move_to_end(key)
        if known is None:
            try:
                known = self._workers.call(
                    FUNCTION, (circuit, target, level, seed), task, group=GROUP
                )
            except Stopped:
                raise KetgateError(
                    Reason.DEADLINE_EXCEEDED, "the deadline passed before it was compiled"
                ) from None
            self._keep(key, known)
        return Compiled(known, time.monotonic() - started_s)

    def _keep(self, key: tuple[object, ...], known: Transpiled) -> None:
        if len(known.circuit.operations) > KEPT_OPERATIONS_MAX:
            return
        with self._lock:
            self._kept[key] = known
            while len(self._kept) > KEPT_MAX:
                self._kept.popitem(last=False)
