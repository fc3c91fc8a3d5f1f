"""Where programs are read: a small one where it arrives, a large one in a worker process.

Reading is Python, 40 microseconds an operation: in the server, a large program would keep all other
calls from running for as long as it takes.
"""

from __future__ import annotations

import time
from dataclasses import replace

from ketgate_server.errors import KetgateError, LimitError, Reason
from ketgate_server.quantum.base import Stopped, Task
from ketgate_server.quantum.circuit import Circuit
from ketgate_server.quantum.openqasm.read import ReadLimits, keep, known, read
from ketgate_server.quantum.task import RunTask
from ketgate_server.quantum.workers.pool import Workers

BYTES_HERE_MAX = 32 << 10
OPERATIONS_HERE_MAX = 2_000
"""A short text can have many, by its loops: reading stops there and begins anew in a worker."""
READ_S_MAX = 120.0
"""For a program within its limits, the wait for a worker included."""

FUNCTION = "ketgate_server.quantum.openqasm.read:read"
GROUP = "openqasm"

_workers: Workers | None = None


def use(workers: Workers | None) -> None:
    """Read what is large there; None: everything here, as in a process that does one job."""
    global _workers
    _workers = workers


def read_program(text: str, *, label: str, limits: ReadLimits, field: str) -> Circuit:
    """As openqasm.read.read, and DEADLINE_EXCEEDED where no worker came free."""
    workers = _workers
    if workers is None:
        return read(text, label=label, limits=limits, field=field)
    found = known(text, label, limits)
    if found is not None:
        return found
    # Beyond its limit a text is refused at once, without a worker.
    if len(text) <= BYTES_HERE_MAX or len(text) > limits.program_bytes_max:
        here = replace(limits, operations_max=min(limits.operations_max, OPERATIONS_HERE_MAX))
        try:
            circuit = read(text, label=label, limits=here, field=field)
        except LimitError:
            if here == limits or len(text) > BYTES_HERE_MAX:
                raise
        else:
            return circuit
    circuit = _read_there(workers, text, label, limits, field)
    keep(text, label, limits, circuit)
    return circuit


def warm(workers: Workers, task: Task) -> None:
    """Start a worker that reads."""
    workers.call(FUNCTION, ("OPENQASM 3; qubit q;",), task, group=GROUP)


def _read_there(workers: Workers, text: str, label: str, limits: ReadLimits, field: str) -> Circuit:
    task = RunTask(time.monotonic() + READ_S_MAX)
    named = {"label": label, "limits": limits, "field": field}
    try:
        circuit: Circuit = workers.call(FUNCTION, (text,), task, named, group=GROUP)
    except Stopped:
        raise KetgateError(
            Reason.DEADLINE_EXCEEDED,
            f"{field}: the program was not read within {READ_S_MAX:g} s; try again later, or write "
            "it shorter",
            field=field,
        ) from None
    finally:
        task.finish()
    return circuit
