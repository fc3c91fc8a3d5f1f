"""OpenQASM text to a circuit; with a cache, since the same program is run again and again."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict

from ketgate_server.errors import LimitError
from ketgate_server.quantum.circuit import Circuit
from ketgate_server.quantum.openqasm.parse_statements import Parser
from ketgate_server.quantum.openqasm.reader import Reader
from ketgate_server.quantum.openqasm.source import DEFAULT_LIMITS, ProgramError, ReadLimits, Source

__all__ = ["DEFAULT_LIMITS", "ProgramError", "ReadLimits", "read"]

CACHE_OPERATIONS_MAX = 400_000
"""Operations of all circuits that are kept; about 300 bytes each."""
CACHE_CIRCUITS_MAX = 1_024

_Key = tuple[bytes, str, ReadLimits]
_cache: OrderedDict[_Key, tuple[Circuit, int]] = OrderedDict()
_cached_weight = 0
_lock = threading.Lock()


def read(
    text: str, *, label: str = "", limits: ReadLimits = DEFAULT_LIMITS, field: str = "openqasm"
) -> Circuit:
    """The circuit that a program of OpenQASM 3.0 or 2.0 says.

    field: the path of the text in the request, for errors. Raises ProgramError (PROGRAM_INVALID with
    the metadata `line` and `column`) and LimitError. Safe to call from many threads.

    >>> read("OPENQASM 3; qubit q; U(0, 0, 0) q;").num_qubits
    1
    """
    encoded = text.encode("utf-8", "surrogatepass")
    if len(encoded) > limits.program_bytes_max:
        raise LimitError(
            "quantum.program_bytes_max",
            allowed=limits.program_bytes_max,
            given=len(encoded),
            field=field or None,
        )
    found = known(text, label, limits)
    if found is not None:
        return found
    circuit = _read(text, label, limits, field, hashlib.sha256(encoded).hexdigest())
    keep(text, label, limits, circuit)
    return circuit


def known(text: str, label: str, limits: ReadLimits) -> Circuit | None:
    """What was read of the same text before, if it is still at hand."""
    key = _key(text, label, limits)
    with _lock:
        found = _cache.get(key)
        if found is None:
            return None
        _cache.move_to_end(key)
        return found[0]


def _read(text: str, label: str, limits: ReadLimits, field: str, digest: str) -> Circuit:
    source = Source(text, field)
    try:
        program = Parser(source, limits).program()
        return Reader(source, limits).circuit(program, label, digest)
    except RecursionError:
        # Every nesting has a limit of its own; this holds where the caller's stack is deep already.
        raise source.fault(0, "the program is nested too deeply", "make it simpler") from None


def _key(text: str, label: str, limits: ReadLimits) -> _Key:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest(), label, limits


def keep(text: str, label: str, limits: ReadLimits, circuit: Circuit) -> None:
    """Have it at hand for the next time, if it is not large."""
    global _cached_weight
    key = _key(text, label, limits)
    weight = 1 + sum(1 for _ in circuit.walk())
    if weight > CACHE_OPERATIONS_MAX // 4:
        return
    with _lock:
        if key not in _cache:
            _cache[key] = (circuit, weight)
            _cached_weight += weight
        while _cached_weight > CACHE_OPERATIONS_MAX or len(_cache) > CACHE_CIRCUITS_MAX:
            _, (_, gone) = _cache.popitem(last=False)
            _cached_weight -= gone
