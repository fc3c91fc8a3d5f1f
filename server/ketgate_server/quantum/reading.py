"""Where programs are read: a small one where it arrives, a large one in a worker process.

Reading is Python, 40 microseconds an operation: in the server, a large program would keep all other
calls from running for as long as it takes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

from ketgate_server.errors import KetgateError, LimitError, Reason
from ketgate_server.quantum.base import Stopped, Task
from ketgate_server.quantum.circuit import Circuit
from ketgate_server.quantum.openqasm.read import ReadLimits, keep, known, read
from ketgate_server.quantum.task import RunTask
from ketgate_server.quantum.work import Caller
from ketgate_server.quantum.workers.pool import Workers

BYTES_HERE_MAX = 32 << 10
OPERATIONS_HERE_MAX = 2_000
"""A short text can have many, by its loops: reading stops there and begins anew in a worker."""
READ_S_MAX = 120.0
"""For a program within its limits, the wait for a worker included, where nobody has less time."""

FUNCTION = "ketgate_server.quantum.openqasm.read:read"
GROUP = "openqasm"

_workers: Workers | None = None


@dataclass(frozen=True)
class Patience:
    """How long whoever wants a program waits for it. until_s: time.monotonic(). words: how long that
    was, for an error; field: what said so, where the request did."""

    until_s: float
    words: str
    field: str | None = None
    is_cancelled: Callable[[], bool] = lambda: False
    on_cancel: Callable[[Callable[[], None]], None] = lambda _: None

    def over(self, program: str) -> KetgateError:
        if self.is_cancelled():
            return KetgateError(Reason.CANCELLED, f"{program}: the caller went away meanwhile")
        return KetgateError(
            Reason.DEADLINE_EXCEEDED,
            f"{program}: the program was not read {self.words}; give it more time, or write it shorter",
            field=self.field or program,
        )


_patience: ContextVar[Patience | None] = ContextVar("patience", default=None)


@contextmanager
def within(
    limit_s: float,
    words: str,
    *,
    field: str | None = None,
    is_cancelled: Callable[[], bool] | None = None,
    on_cancel: Callable[[Callable[[], None]], None] | None = None,
) -> Iterator[None]:
    """What is read inside has to be read in so many seconds from now; of limits within limits the
    sooner holds. is_cancelled, on_cancel: of the caller, where he may go away."""
    outer, until_s = _patience.get(), time.monotonic() + limit_s
    if outer is not None:
        is_cancelled, on_cancel = (
            is_cancelled or outer.is_cancelled,
            on_cancel or outer.on_cancel,
        )
        if outer.until_s <= until_s:
            until_s, words, field = outer.until_s, outer.words, outer.field
    own = Patience(
        until_s, words, field, is_cancelled or (lambda: False), on_cancel or (lambda _: None)
    )
    token = _patience.set(own)
    try:
        yield
    finally:
        _patience.reset(token)


def use(workers: Workers | None) -> None:
    """Read what is large there; None: everything here, as in a process that does one job."""
    global _workers
    _workers = workers


def by_limit(limit_s: float, field: str) -> AbstractContextManager[None]:
    """As within, for a limit of the request. field: its path."""
    return within(limit_s, f"within {limit_s:g} s ({field})", field=field)


def by_caller(caller: Caller) -> AbstractContextManager[None]:
    """As within, until the deadline of a call or a job, or until its caller goes away."""
    return within(
        caller.deadline_s - time.monotonic(),
        "before the deadline",
        is_cancelled=caller.is_cancelled,
        on_cancel=caller.on_cancel,
    )


def read_program(text: str, *, label: str, limits: ReadLimits, field: str) -> Circuit:
    """As openqasm.read.read, and DEADLINE_EXCEEDED where it was not read in time, CANCELLED where the
    caller went away."""
    with within(READ_S_MAX, f"within {READ_S_MAX:g} s"):
        patience = _patience.get()
        assert patience is not None
        return _read_in(patience, text, label, limits, field)


def _read_in(patience: Patience, text: str, label: str, limits: ReadLimits, field: str) -> Circuit:
    workers = _workers
    if workers is None:
        circuit = read(text, label=label, limits=limits, field=field)
        if time.monotonic() >= patience.until_s:  # seen only now: there is no worker to end
            raise patience.over(field)
        return circuit
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
    circuit = _read_there(workers, patience, text, label, limits, field)
    keep(text, label, limits, circuit)
    return circuit


def warm(workers: Workers, task: Task) -> None:
    """Start a worker that reads."""
    workers.call(FUNCTION, ("OPENQASM 3; qubit q;",), task, group=GROUP)


def _read_there(
    workers: Workers, patience: Patience, text: str, label: str, limits: ReadLimits, field: str
) -> Circuit:
    task = RunTask(patience.until_s, patience.is_cancelled, patience.on_cancel)
    named = {"label": label, "limits": limits, "field": field}
    try:
        circuit: Circuit = workers.call(FUNCTION, (text,), task, named, group=GROUP)
    except Stopped:
        raise patience.over(field) from None
    finally:
        task.finish()
    return circuit
