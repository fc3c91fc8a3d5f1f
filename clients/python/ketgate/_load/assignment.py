"""What a worker is told to do: one line of JSON on its standard input."""

import json
from dataclasses import asdict, dataclass
from typing import Self


@dataclass(frozen=True)
class Assignment:
    """One worker's share of a run."""

    address: str
    ca_certificates: str | None
    token: str | None
    insecure: bool

    scenario: str
    seed: int
    worker: int
    workers: int
    """This worker is number `worker` of so many."""

    rate: float
    """Calls a second of all workers together; 0: a closed loop."""
    arrivals: str
    loops: int
    """Closed loops of this worker."""

    warm_up_s: float
    duration_s: float
    timeout_s: float
    in_flight_max: int
    calls_max: int
    connections: int

    def to_line(self) -> str:
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def from_line(cls, line: str) -> Self:
        return cls(**json.loads(line))
