"""What came back: a histogram of latencies for each operation, and counts of what failed and why.

Histograms are HdrHistogram's: three significant digits from 1 us to 10 min; the sum of two is that
of all their calls.
"""

import threading
from collections import Counter
from typing import Any

from ketgate._errors import InvalidArgument

try:
    from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]
except ImportError:  # the extra is not installed: said when it is needed
    HdrHistogram = None

LEAST_NS = 1_000
GREATEST_NS = 600 * 1_000_000_000
DIGITS = 3
EXAMPLE_CHARACTERS_MAX = 200
PERCENTILES = (50.0, 90.0, 99.0, 99.9, 100.0)

FIRST_EVENT = ", first event"
"""What the histogram of a stream's first events has after the operation's name."""

WRONG_ANSWER = ("OK", "WRONG_ANSWER")
NOT_SENT = ("CLIENT", "NOT_SENT")

Failure = tuple[str, str]
"""gRPC's code and the server's reason."""


def require_histograms() -> None:
    """Raises InvalidArgument where the extra is not installed."""
    if HdrHistogram is None:
        raise InvalidArgument(
            "load testing needs HdrHistogram, which is not installed",
            reason="PART_NOT_INSTALLED",
            remedy="Install it: pip install 'ketgate[load]'",
        )


class Latencies:
    """A histogram of times in nanoseconds."""

    def __init__(self) -> None:
        self._histogram: Any = HdrHistogram(LEAST_NS, GREATEST_NS, DIGITS)

    def record(self, latency_ns: int) -> None:
        self._histogram.record_value(min(max(latency_ns, LEAST_NS), GREATEST_NS))

    def add(self, other: "Latencies") -> None:
        self._histogram.add(other._histogram)

    @property
    def count(self) -> int:
        return int(self._histogram.get_total_count())

    def percentile_ms(self, percentile: float) -> float:
        """At least this share of the calls took no longer; NaN without calls."""
        if not self.count:
            return float("nan")
        if percentile >= 100.0:
            return float(self._histogram.get_max_value()) / 1e6
        return float(self._histogram.get_value_at_percentile(percentile)) / 1e6

    def mean_ms(self) -> float:
        return float(self._histogram.get_mean_value()) / 1e6 if self.count else float("nan")

    def encode(self) -> str:
        """HdrHistogram's own base64 form, which its other tools read."""
        return str(self._histogram.encode().decode("ascii"))

    @classmethod
    def decode(cls, text: str) -> "Latencies":
        made = cls()
        made._histogram.decode_and_add(text.encode("ascii"))
        return made


class Tally:
    """Counts of one worker. Its methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.latencies: dict[str, Latencies] = {}
        self.late = Latencies()
        """How long after it was due each call was sent, less the time that --in-flight held it."""
        self.failures: Counter[Failure] = Counter()
        self.examples: dict[Failure, str] = {}
        self.sent = 0
        self.answered_in_time = 0
        """Right answers that came while the measurement ran: the throughput."""
        self.held = 0
        """Calls that had to wait since as many as allowed were in flight."""

    def answered(self, operation: str, latency_ns: int, *, in_time: bool = False) -> None:
        with self._lock:
            if operation not in self.latencies:
                self.latencies[operation] = Latencies()
            self.latencies[operation].record(latency_ns)
            self.answered_in_time += in_time

    def failed(self, failure: Failure, message: str, count: int = 1) -> None:
        with self._lock:
            self.failures[failure] += count
            self.examples.setdefault(failure, message[:EXAMPLE_CHARACTERS_MAX])

    def sending(self, late_ns: int, *, held: bool) -> None:
        with self._lock:
            self.sent += 1
            self.held += held
            self.late.record(late_ns)

    def add(self, other: "Tally") -> None:
        for operation, latencies in other.latencies.items():
            if operation not in self.latencies:
                self.latencies[operation] = Latencies()
            self.latencies[operation].add(latencies)
        self.late.add(other.late)
        self.failures += other.failures
        self.examples = other.examples | self.examples
        self.sent += other.sent
        self.answered_in_time += other.answered_in_time
        self.held += other.held

    def to_json(self) -> dict[str, Any]:
        with self._lock:
            return {
                "latencies": {
                    name: latencies.encode() for name, latencies in self.latencies.items()
                },
                "late": self.late.encode(),
                "failures": [
                    [*failure, count, self.examples[failure]]
                    for failure, count in self.failures.items()
                ],
                "sent": self.sent,
                "answered_in_time": self.answered_in_time,
                "held": self.held,
            }

    @classmethod
    def from_json(cls, text: dict[str, Any]) -> "Tally":
        made = cls()
        made.latencies = {
            name: Latencies.decode(encoded) for name, encoded in text["latencies"].items()
        }
        made.late = Latencies.decode(text["late"])
        for code, reason, count, example in text["failures"]:
            made.failed((code, reason), example, count)
        made.sent, made.answered_in_time, made.held = (
            text["sent"],
            text["answered_in_time"],
            text["held"],
        )
        return made
