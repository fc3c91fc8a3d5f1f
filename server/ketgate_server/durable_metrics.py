"""Prometheus metrics of the store, the jobs, the artifacts and the audit. What is asked of the database is asked at
most once in ten seconds, however often metrics are read, and costs no scan of what is over."""

import time
from collections import Counter
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from ketgate_server.durable import Durable
from ketgate_server.jobs.record import READY
from ketgate_server.store.base import Reader
from ketgate_server.store.errors import StoreError

ASK_INTERVAL_S = 10.0
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)
OPERATIONS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)

_COUNTED = "SELECT COALESCE(SUM(value), 0) FROM counters WHERE name LIKE ?"
_HELD = """SELECT state, COUNT(*) FROM jobs
    WHERE lease_time_us IS NOT NULL AND outside_until_us IS NULL GROUP BY state"""
_OUTSIDE = "SELECT state, COUNT(*) FROM jobs WHERE outside_until_us IS NOT NULL GROUP BY state"
_READY = f"SELECT COUNT(*), MIN(seq) FROM jobs WHERE {READY} AND state = 1"  # noqa: S608 - a constant
_SINCE = "SELECT create_time_us FROM jobs WHERE seq = ?"
_UPLOADS = "SELECT COUNT(*) FROM uploads"
_COUNTER = "SELECT value FROM counters WHERE name = ?"
_STATES = {2: "submitted", 3: "running", 4: "cancelling"}


class DurableMetrics(Collector):
    """Registers itself."""

    def __init__(self, durable: Durable, registry: CollectorRegistry) -> None:
        self._durable = durable
        self._asked_s = float("-inf")
        self._told: list[GaugeMetricFamily] = []
        seconds = Histogram(
            "ketgate_store_batch_seconds",
            "Seconds from the begin of a batch of operations to its being durable.",
            buckets=SECONDS,
            registry=registry,
        )
        operations = Histogram(
            "ketgate_store_batch_operations",
            "Operations that were committed together.",
            buckets=OPERATIONS,
            registry=registry,
        )

        def observe(count: int, batch_s: float) -> None:
            seconds.observe(batch_s)
            operations.observe(count)

        durable.store.observe(observe)
        durable.artifacts.store.metrics.show(registry)
        registry.register(self)

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Nothing: the database need not be asked to register."""
        return ()

    def collect(self) -> Iterable[GaugeMetricFamily | CounterMetricFamily]:
        jobs = self._durable.jobs
        ended = CounterMetricFamily(
            "ketgate_attempts",
            "Attempts of this server that ended, by how; submitted: turns after which one goes on.",
            labels=["outcome"],
        )
        for outcome, count in list(jobs.dispatcher.dispatcher.ended.items()):
            ended.add_metric([outcome.value.replace(" ", "_")], count)
        yield ended
        held = jobs.dispatcher.dispatcher.held
        yield _gauge("ketgate_attempts_in_progress", "Attempts that this server holds.", held)
        yield _gauge("ketgate_watchers", "Watches of jobs in progress.", jobs.hub.watchers)
        yield _gauge("ketgate_waiters", "Long polls of jobs in progress.", jobs.hub.waiters)
        yield from self._from_store()

    def _from_store(self) -> list[GaugeMetricFamily]:
        now_s = time.monotonic()
        if now_s - self._asked_s >= ASK_INTERVAL_S:
            try:
                with self._durable.store.read() as reader:
                    self._told = _ask(reader, self._durable.store.now_us())
            except StoreError:
                self._told = []  # better none than old ones
            self._asked_s = now_s
        return self._told


def _ask(reader: Reader, now_us: int) -> list[GaugeMetricFamily]:
    unfinished = _number(reader.row(_COUNTED, ("jobs unfinished %",)))
    held: Counter[str] = Counter()
    for state, count in [*reader.rows(_HELD), *reader.rows(_OUTSIDE)]:
        held[_STATES.get(state, "queued")] += count
    held["queued"] = unfinished - sum(held[state] for state in _STATES.values())
    ready, oldest = reader.row(_READY) or (0, None)
    states = GaugeMetricFamily(
        "ketgate_jobs", "Jobs of all tenants that are not over, by state.", labels=["state"]
    )
    for state in ("queued", *_STATES.values()):
        states.add_metric([state], max(0, held[state]))
    since = None if oldest is None else reader.row(_SINCE, (oldest,))
    wait_s = 0.0 if since is None else max(0.0, (now_us - since[0]) / 1e6)
    audit = _number(reader.row(_COUNTER, ("audit",)))
    return [
        states,
        _gauge("ketgate_jobs_ready", "Jobs that could start now, had they a worker.", ready),
        _gauge("ketgate_jobs_oldest_wait_seconds", "Age of the oldest of them.", wait_s),
        _gauge(
            "ketgate_artifact_bytes",
            "Size of the artifacts of all tenants; content of several counts for each.",
            _number(reader.row(_COUNTED, ("artifact bytes %",))),
        ),
        _gauge(
            "ketgate_artifact_uploads_in_progress",
            "Uploads that are begun and not finished.",
            _number(reader.row(_UPLOADS)),
        ),
        _gauge("ketgate_audit_entries", "Entries of the audit log.", audit),
    ]


def _gauge(name: str, documentation: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, documentation, value=value)


def _number(row: tuple[object, ...] | None) -> int:
    return int(str(row[0])) if row and row[0] is not None else 0
