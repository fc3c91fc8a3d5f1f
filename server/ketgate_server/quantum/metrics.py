"""Prometheus metrics of the gateway, by back end.

Labels are bounded: back ends are those of the catalogue, and emulators of calibration files that
requests bring are "calibration-file" together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from ketgate_server.errors import KetgateError, Reason
from ketgate_server.quantum.catalogue import Entry
from ketgate_server.quantum.work import Money

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30, 120, 600, 3600)
VISITORS = "calibration-file"
NO_FAILURE = frozenset({Reason.CANCELLED, Reason.DRAINING})
"""Runs that end so were ended by their callers, or by ours."""

Gauges = Callable[[], Iterable[tuple[str, str, float]]]
"""Names, descriptions and values."""


class QuantumMetrics(Collector):
    """Counts from the start; shown by the registry that it is given to."""

    def __init__(self, entries: Callable[[], Iterable[Entry]], gauges: Gauges) -> None:
        """entries: of the catalogue. gauges: what is so now."""
        self._entries = entries
        self._gauges = gauges
        self._runs = Counter(
            "ketgate_quantum_runs", "Runs that ended well.", ("backend",), registry=None
        )
        self._failures = Counter(
            "ketgate_quantum_failures",
            "Runs that ended with an error, by its reason.",
            ("backend", "reason"),
            registry=None,
        )
        self._seconds = Histogram(
            "ketgate_quantum_run_seconds",
            "Seconds that a run took on its back end.",
            ("backend",),
            buckets=SECONDS,
            registry=None,
        )
        self._waits = Histogram(
            "ketgate_quantum_wait_seconds",
            "Seconds that a run waited for a slot and for memory.",
            buckets=SECONDS,
            registry=None,
        )
        self._provider_jobs = Counter(
            "ketgate_quantum_provider_jobs",
            "Jobs at providers, when they were submitted and when they were done.",
            ("backend", "event"),
            registry=None,
        )
        self._cost = Counter(
            "ketgate_quantum_cost_minor_units",
            "What providers charged for jobs that are done, or the estimate.",
            ("backend", "asset"),
            registry=None,
        )

    def show(self, registry: CollectorRegistry) -> None:
        for one in (
            self._runs,
            self._failures,
            self._seconds,
            self._waits,
            self._provider_jobs,
            self._cost,
            self,
        ):
            registry.register(one)

    def began(self, waited_s: float) -> None:
        self._waits.observe(waited_s)

    def succeeded(self, entry: Entry, ran_s: float) -> None:
        name = _label(entry)
        self._runs.labels(name).inc()
        self._seconds.labels(name).observe(ran_s)

    def failed(self, entry: Entry, error: KetgateError) -> None:
        if error.reason not in NO_FAILURE:
            self._failures.labels(_label(entry), error.reason.value).inc()

    def submitted(self, backend: str) -> None:
        self._provider_jobs.labels(backend, "submitted").inc()

    def done(self, backend: str, cost: Money | None) -> None:
        self._provider_jobs.labels(backend, "done").inc()
        if cost is not None:
            self._cost.labels(backend, cost.asset).inc(max(0, cost.minor_units))

    def describe(self) -> Iterator[GaugeMetricFamily]:
        yield from self._now()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield from self._now()
        breakers = GaugeMetricFamily(
            "ketgate_quantum_backend_resting",
            "1 while a back end that failed often is given a rest.",
            labels=["backend"],
        )
        for entry in self._entries():
            breakers.add_metric([entry.name], float(entry.breaker.rest is not None))
        yield breakers

    def _now(self) -> Iterator[GaugeMetricFamily]:
        for name, description, value in self._gauges():
            yield GaugeMetricFamily(name, description, value=value)


def _label(entry: Entry) -> str:
    return VISITORS if entry.is_visitor else entry.name
