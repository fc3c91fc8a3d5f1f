"""Prometheus metrics of the edge. Every label has a bounded set of values: a method that does not
exist is "unknown"."""

import threading
from collections.abc import Iterable
from functools import partial
from wsgiref.simple_server import WSGIServer

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    start_http_server,
)

from ketgate_server.rpc.admission import Lane

SECONDS = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
    30,
    60,
    300,
    1800,
)
UNKNOWN_METHOD = "unknown"


class Metrics:
    """Counts calls and refusals in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)  # memory, processor time, open files
        self._calls = Counter(
            "ketgate_calls",
            "Calls that ended, by method and gRPC code.",
            ("method", "code"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "ketgate_call_seconds",
            "Seconds from a call's arrival to its status.",
            ("method",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self._errors = Counter(
            "ketgate_errors",
            "Calls that ended with an error, by reason.",
            ("reason",),
            registry=self.registry,
        )
        self._in_progress = Gauge(
            "ketgate_calls_in_progress",
            "Calls in progress, by lane.",
            ("lane",),
            registry=self.registry,
        )
        self._draining = Gauge(
            "ketgate_draining", "1 while the server takes no new calls.", registry=self.registry
        )

    def observe_lanes(self, lanes: Iterable[Lane]) -> None:
        """Show the lanes' own counts; nothing is counted twice."""
        for lane in lanes:
            self._in_progress.labels(lane.name).set_function(partial(getattr, lane, "count"))

    def method(self, name: str) -> "MethodMetrics":
        return MethodMetrics(self._calls, self._seconds.labels(name), name)

    def ended(self, reason: str) -> None:
        """Count an error by its reason: refusals of load (SERVER_BUSY) and of tokens among them."""
        self._errors.labels(reason).inc()

    def draining(self) -> None:
        self._draining.set(1)


class MethodMetrics:
    """One method's counters, looked up once: labels() costs more than counting."""

    def __init__(self, calls: Counter, seconds: Histogram, method: str) -> None:
        self._calls = calls
        self._observe = seconds.observe
        self._method = method
        self._by_code: dict[str, Counter] = {}

    def record(self, code: str, seconds: float) -> None:
        counter = self._by_code.get(code)
        if counter is None:
            counter = self._by_code[code] = self._calls.labels(self._method, code)
        counter.inc()
        self._observe(seconds)


class MetricsEndpoint:
    """Serves a registry over HTTP. Raises OSError when the address cannot be had."""

    def __init__(self, registry: CollectorRegistry, host: str, port: int) -> None:
        self._server: WSGIServer
        self._thread: threading.Thread
        self._server, self._thread = start_http_server(port, host, registry)
        self.port: int = self._server.server_port

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
