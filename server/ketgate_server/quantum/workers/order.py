"""What a worker is told to do, and what the work sees of its caller."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Marker(Enum):
    """Stands for something that is there only where the call is made."""

    TASK = "task"


TASK = Marker.TASK
"""Among the arguments of a call: the caller's task, as the worker sees it."""


@dataclass(frozen=True)
class Subject:
    """An object that a worker hosts: its methods are called there."""

    digest: str
    pickled: bytes = field(repr=False)
    """May hold credentials, so it is never shown."""


@dataclass(frozen=True)
class Order:
    """One call."""

    function: str
    """ "module:function", or the name of a method of the subject."""
    arguments: tuple[Any, ...] = ()
    named: Mapping[str, Any] = field(default_factory=dict)
    subject: Subject | None = None


class OrderTask:
    """Implements base.Task. Every method may be called from any thread."""

    def __init__(self, remaining_s: float = math.inf) -> None:
        self._end_s = time.monotonic() + remaining_s
        self._lock = threading.Lock()
        self._stopped = False
        self._callbacks: list[Callable[[], None]] = []

    @property
    def stopped(self) -> bool:
        return self._stopped or time.monotonic() >= self._end_s

    def remaining_s(self) -> float:
        return max(0.0, self._end_s - time.monotonic())

    def on_stop(self, callback: Callable[[], None]) -> None:
        with self._lock:
            if not self._stopped:
                self._callbacks.append(callback)
                return
        callback()

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()
