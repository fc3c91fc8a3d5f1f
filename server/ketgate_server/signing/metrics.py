"""Prometheus metrics of keys in use. Labels are bounded: operations, algorithms and providers are few."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from ketgate_server.signing.algorithms import Algorithm


class SigningMetrics(Collector):
    """Counts from the start; shown by the registry that it is given to."""

    def __init__(self) -> None:
        self.open_keys: Callable[[], int] = lambda: 0
        self.batches: Callable[[], int] = lambda: 0
        self._operations = Counter(
            "ketgate_signing_operations",
            "Operations with keys that ended well; an item of a batch is one.",
            ("operation", "algorithm", "provider"),
            registry=None,
        )
        self._children: dict[tuple[str, str, str], Counter] = {}

    def count(self, operation: str, algorithm: Algorithm, provider: str, number: int = 1) -> None:
        """operation: as "sign". provider: its name."""
        labels = operation, algorithm.id, provider
        child = self._children.get(labels)
        if child is None:
            child = self._children[labels] = self._operations.labels(*labels)
        child.inc(number)

    def show(self, registry: CollectorRegistry) -> None:
        registry.register(self)

    def collect(self) -> Iterator[object]:  # type: ignore[override]
        yield from self._operations.collect()
        for name, description, value in (
            (
                "ketgate_signing_open_keys",
                "Private keys that are decrypted in memory.",
                self.open_keys(),
            ),
            ("ketgate_signing_batches", "Batches that are being computed.", self.batches()),
        ):
            yield GaugeMetricFamily(name, description, value)
