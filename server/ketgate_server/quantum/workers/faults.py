"""What a call in a worker raises, as plain values and back: an exception is not unpickled as it
was, and one of a framework may not be known in the server."""

from __future__ import annotations

import importlib
import logging
import signal
from typing import Any

from ketgate_server.errors import KetgateError, Reason
from ketgate_server.quantum.base import Stopped

MESSAGE_CHARACTERS_MAX = 2_000

log = logging.getLogger("ketgate.quantum")

Packed = dict[str, Any]


def pack(error: BaseException, group: str) -> Packed:
    """What crosses over. What is nobody's error but ours, or a framework's, goes to the log."""
    if isinstance(error, Stopped):
        return {"stopped": True}
    if isinstance(error, KetgateError):
        kind = type(error)
        state = {name: value for name, value in vars(error).items() if _plain(value)}
        return {"class": f"{kind.__module__}:{kind.__qualname__}", "state": state}
    return pack(_told(error, group), group)


def unpack(packed: Packed) -> BaseException:
    if packed.get("stopped"):
        return Stopped()
    state = dict(packed["state"])
    state["reason"] = Reason(state["reason"])
    state["message"] = str(state["message"])[:MESSAGE_CHARACTERS_MAX]
    error = _bare(packed["class"])
    Exception.__init__(error, state["message"])
    vars(error).update(state)
    return error


def lost(group: str, how: str) -> KetgateError:
    """The worker died amid a call."""
    log.error("a worker of %s died: %s", group, how)
    return KetgateError(
        Reason.INTERNAL,
        f"the worker process of {group!r} died amid the call: {how}; a new one takes the next call",
        metadata={"worker": group},
    )


def unavailable(group: str, why: str) -> KetgateError:
    """No worker can do it."""
    return KetgateError(
        Reason.BACKEND_UNAVAILABLE, f"{group!r} cannot be run: {why}", metadata={"worker": group}
    )


def how_it_ended(status: int) -> str:
    """Of a process, in words."""
    if status >= 0:
        return f"it exited with status {status}"
    hint = " (perhaps for the want of memory)" if -status == signal.SIGKILL else ""
    return f"it was ended by signal {-status}, {signal.strsignal(-status)}{hint}"


def _told(error: BaseException, group: str) -> KetgateError:
    """Of an error of no kind of ours."""
    if isinstance(error, MemoryError):
        return KetgateError(
            Reason.LIMIT_EXCEEDED,
            f"{group!r} has not enough memory for this; use fewer qubits, or another back end",
            limit="quantum.memory_bytes_max",
        )
    if isinstance(error, ModuleNotFoundError):
        return unavailable(group, f"its Python cannot import {error.name}")
    log.error("a call of %s failed", group, exc_info=error)
    return KetgateError(
        Reason.INTERNAL,
        f"{group!r} failed with {type(error).__name__}; the server's log has the cause",
        metadata={"worker": group},
    )


def _bare(name: str) -> KetgateError:
    """An instance of the class, or of the nearest that this process knows."""
    module, _, attribute = name.partition(":")
    try:
        kind = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError):
        kind = KetgateError
    if not (isinstance(kind, type) and issubclass(kind, KetgateError)):
        kind = KetgateError
    return kind.__new__(kind)


def _plain(value: object) -> bool:
    if isinstance(value, dict):
        return all(_plain(inner) for pair in value.items() for inner in pair)
    return value is None or isinstance(value, str | int | float | bool)
