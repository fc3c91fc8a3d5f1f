"""What the doctor says of one thing."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How a thing stands."""

    FINE = "fine"
    ABSENT = "absent"
    """Not there, and the server runs without it."""
    FAULT = "fault"
    """The server, or what its settings name, does not work so, or leaves secrets open."""


@dataclass(frozen=True)
class Finding:
    """One thing."""

    topic: str
    """What it belongs to: "parts", "data folder"."""
    name: str
    state: State
    detail: str
    """Its version, or what is wrong. Never a secret."""
    remedy: str = ""
    """The command, or setting, that mends it; empty where it is fine."""
