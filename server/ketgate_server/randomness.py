"""Random bytes of the system, drawn many at a time.

os.urandom gives up the interpreter's lock, which a call among many others must then win back: that
costs more than the bytes.
"""

import os
import threading

DRAWN_BYTES = 4096


class _Supply(threading.local):
    """A thread's own, so that no lock is needed; none is used twice."""

    content = b""
    used = 0


_supply = _Supply()


def drawn(count: int) -> bytes:
    """As os.urandom(count)."""
    supply = _supply
    start = supply.used
    if start + count > len(supply.content):
        supply.content, start = os.urandom(max(count, DRAWN_BYTES)), 0
    supply.used = start + count
    return supply.content[start : start + count]


def _forget() -> None:
    """In a process that was forked, which would else draw the same as its parent."""
    _supply.content, _supply.used = b"", 0


os.register_at_fork(after_in_child=_forget)
