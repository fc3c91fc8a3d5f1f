"""What a job at a provider keeps in the store between its turns: a versioned JSON document."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Self

VERSION = 1


class Stage(StrEnum):
    """How far it is. From ASKED it goes back to FREE only where the provider does not have it."""

    FREE = "free"
    """Nothing is at the provider."""
    ASKED = "asked"
    """It was, or was about to be, asked to take the work; its answer is not known."""
    THERE = "there"
    """It has the work, under `job`."""


@dataclass(frozen=True)
class Handle:
    """The state of one job at one provider. Times are microseconds since 1970."""

    stage: Stage
    provider: str
    backend: str
    tag: str
    """Unique for ever; on the work at the provider."""
    job: str = ""
    """The provider's id."""
    asked_us: int = 0
    """When it was last asked to take the work."""
    asked: int = 0
    """How often it was asked to take the work."""
    words: str = ""
    """Why the last question was not answered."""
    submitted_us: int = 0
    """When its id was learnt."""
    status: str = ""
    """As it was last told."""
    delay_s: float = 0.0
    """Before the turn that has this handle."""
    refused_since_us: int = 0
    """Since when it refuses our credentials without a break; 0: it does not."""

    def to(self, **changes: Any) -> Self:
        """Another, with changes."""
        return replace(self, **changes)

    def pack(self) -> bytes:
        return json.dumps({"version": VERSION} | asdict(self)).encode()

    @classmethod
    def unpack(cls, handle: bytes) -> Self:
        """Raises ValueError for what is no handle, or of another version."""
        read = json.loads(handle)
        version = read.pop("version", None)
        if version != VERSION:
            raise ValueError(f"handle: expected version {VERSION}, given {version!r}")
        return cls(**read | {"stage": Stage(read["stage"])})
