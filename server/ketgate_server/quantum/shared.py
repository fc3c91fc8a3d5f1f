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


def use(gateway: Gateway | None) -> None:
    """Set by the server, which has one with everything that is configured; None: it is closed."""
    global _gateway
    with _lock:
        _gateway = gateway


def gateway(limits: Mapping[str, Limit], threads: int) -> Gateway:
    """The server's; in a worker process one of its own, without providers: a job that needs one
    stays in the server."""
    global _gateway
    with _lock:
        if _gateway is None:
            threads = max(1, threads or os.cpu_count() or 1)
            workers = Workers()
            compiler = Compiler(workers)
            local = local_backends(limits, workers, compiler)
            _gateway = Gateway(limits, threads, local, calibrated=calibrated(compiler))
        return _gateway
