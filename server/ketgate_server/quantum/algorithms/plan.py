"""An algorithm as it was asked for, checked and ready to run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from ketgate_server.quantum.algorithms.runner import Runner
from ketgate_server.quantum.work import Work


@dataclass(frozen=True)
class Plan:
    """perform runs on the session that the gateway opens for work; write makes the result of what
    perform returned, all but its evidence."""

    work: Work
    """Its largest circuit, by which the back end is chosen and the need estimated."""
    perform: Callable[[Runner], Any]
    write: Callable[[Any, Runner], Message]
    repetitions: int = 1
    """Circuits that it will run, about: for the estimate."""
