"""What a run is to do, checked."""

import math
from dataclasses import dataclass

from ketgate._errors import InvalidArgument
from ketgate._load import arrivals
from ketgate._load.scenarios import SCENARIOS

RATE_MAX = 100_000.0
LOOPS_MAX = 1_024
DURATION_S_MAX = 3_600.0
CALLS_MAX = 10_000_000
"""A run ends by itself: by its duration, and never later than this many calls."""


@dataclass(frozen=True)
class LoadSettings:
    """One run. Exactly one of rate and closed is above 0."""

    scenario: str = "small-solve"
    """A key of SCENARIOS."""
    rate: float = 0.0
    """Open loop: calls a second, whether the ones before are answered or not."""
    closed: int = 0
    """Closed loop: so many callers, each of which waits for its answer before it calls again."""
    duration_s: float = 10.0
    """Time that is measured."""
    warm_up_s: float = 1.0
    """Time before it, under the same load, that is not."""
    arrivals: str = arrivals.POISSON
    """Open loop: poisson, as from many independent callers, or uniform."""
    seed: int = 1
    """Draws the requests and the arrivals."""
    processes: int = 1
    """Processes that send."""
    connections: int = 1
    """Connections of each process."""
    timeout_s: float = 10.0
    """Deadline of each call."""
    in_flight_max: int = 1_000
    """Open loop: calls in flight of each process; beyond it calls wait while their latency runs."""

    def __post_init__(self) -> None:
        if self.scenario not in SCENARIOS:
            _refuse("scenario", f"one of {', '.join(SCENARIOS)}", self.scenario)
        if self.arrivals not in arrivals.KINDS:
            _refuse("arrivals", f"one of {', '.join(arrivals.KINDS)}", self.arrivals)
        if (self.rate != 0) == (self.closed != 0):
            _refuse(
                "rate",
                "calls a second (--rate 100, an open loop) or callers (--closed 8, a closed one)",
                "both" if self.rate else "neither",
            )
        _between("rate", self.rate, 0.0, RATE_MAX)
        _between("closed", self.closed, 0, LOOPS_MAX)
        _between("duration", self.duration_s, 0.1, DURATION_S_MAX)
        _between("warm_up", self.warm_up_s, 0.0, DURATION_S_MAX)
        _between("seed", self.seed, 0, 2**63 - 1)
        _between("processes", self.processes, 1, 64)
        _between("connections", self.connections, 1, 64)
        _between("timeout", self.timeout_s, 0.001, 600.0)
        _between("in_flight", self.in_flight_max, 1, 100_000)
        if 0 < self.closed < self.processes:
            _refuse("processes", f"at most as many as closed loops, {self.closed}", self.processes)
        calls = self.rate * (self.duration_s + self.warm_up_s)
        if calls > CALLS_MAX:
            _refuse("rate", f"at most {CALLS_MAX} calls in the whole run", f"{calls:.0f}")


def _between(name: str, value: float, least: float, greatest: float) -> None:
    if not math.isfinite(value) or not least <= value <= greatest:
        _refuse(name, f"{least} to {greatest}", value)


def _refuse(name: str, expected: str, given: object) -> None:
    raise InvalidArgument(f"{name}: expected {expected}, given {given}", field=name)
