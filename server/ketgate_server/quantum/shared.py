"""The one gateway of a process: the server's own, or one that a worker process makes when it first
runs a job."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping

from ketgate_server.limits import Limit
from ketgate_server.quantum.compiler import Compiler
from ketgate_server.quantum.gateway import Gateway
from ketgate_server.quantum.registry import calibrated, local_backends
from ketgate_server.quantum.workers.pool import Workers

_lock = threading.Lock()
_gateway: Gateway | None = None
_workers: Workers | None = None


def use(gateway: Gateway | None, workers: Workers | None) -> None:
    """Set by the server, which has a gateway with everything that is configured; None: it is
    closed."""
    global _gateway, _workers
    with _lock:
        _gateway, _workers = gateway, workers


def workers() -> Workers:
    """Worker processes for what computes in Python."""
    global _workers
    with _lock:
        if _workers is None:
            _workers = Workers()
        return _workers


def gateway(limits: Mapping[str, Limit], threads: int) -> Gateway:
    """The server's; in a worker process one of its own, without providers: a job that needs one
    stays in the server."""
    global _gateway
    pool = workers()
    with _lock:
        if _gateway is None:
            threads = max(1, threads or os.cpu_count() or 1)
            compiler = Compiler(pool)
            local = local_backends(limits, pool, compiler)
            _gateway = Gateway(limits, threads, local, calibrated=calibrated(compiler, limits))
        return _gateway
