"""The composition root: settings -> store, services, edge -> one gRPC server, until a signal ends
it.

Heavy libraries are imported by the part that uses them: a server is ready in well under two
seconds.
"""

import argparse
import contextlib
import gc
import importlib
import ipaddress
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ketgate_server import __version__
from ketgate_server.config import ConfigError, Settings, load, split_address
from ketgate_server.data_folder import FolderInUse, admin_token, lock_folder
from ketgate_server.files import make_private_folder, write_whole
from ketgate_server.limits import Limit
from ketgate_server.rpc import health, info, reflection, tls
from ketgate_server.rpc.auth import Authenticator
from ketgate_server.rpc.call import Service
from ketgate_server.rpc.edge import Edge
from ketgate_server.rpc.log import LogHandler, LogWriter
from ketgate_server.rpc.metrics import Metrics, MetricsEndpoint
from ketgate_server.rpc.server import AddressError, GrpcServer
from ketgate_server.store.errors import StoreError
from ketgate_server.store.tokens import TokenStore

SERVICES = ("ketgate_server.optimization.service",)
"""Modules with ``create_service(limits: Mapping[str, Limit], threads: int) -> Service``."""

EXIT_FAILED = 1
EXIT_CONFIG = 2

STOP_MARGIN_S = 1.0
"""Before the end of a drain, calls are told to stop, so that they can still answer with the best
they have."""

LAST_ANSWER_S = 0.1
"""For the last answer to be out before the port closes, and with it what comes in that moment."""

SWITCH_INTERVAL_S = 0.0005
"""How long a thread that computes in Python keeps the others waiting; Python's own 5 ms would be
the tail of every call."""

WATCH_INTERVAL_S = 1.0

GARBAGE_THRESHOLD = 10_000
"""Python's own 700 is reached by ten calls; most of what a call makes is freed without it."""


class StartError(Exception):
    """The server cannot start; the message says what to do."""


@dataclass
class Running:
    """A started server, from the outside in."""

    settings: Settings
    log: LogWriter
    store: TokenStore
    edge: Edge
    health: health.Health
    server: GrpcServer
    metrics_endpoint: MetricsEndpoint | None


def main(arguments: list[str] | None = None) -> int:
    """The command ``ketgate-server``. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="ketgate-server", description="Serves Ketgate over gRPC.")
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument(
        "--config",
        type=Path,
        help="configuration file (TOML); default ketgate.toml in the data folder",
    )
    parser.add_argument("--data-dir", help="folder of the store and the certificates")
    parser.add_argument(
        "--listen", help="HOST:PORT; default 127.0.0.1:7443; port 0 takes a free one"
    )
    parser.add_argument("--ready-file", help="file that says where the server is, once it serves")
    parser.add_argument("--metrics-listen", help='HOST:PORT of the Prometheus endpoint, or "off"')
    parser.add_argument(
        "--insecure", action="store_true", default=None, help="serve without TLS, on loopback only"
    )
    parser.add_argument("--log-level", help="debug, info, warning or error")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="any setting, for example limits.rpc.calls_max=64",
    )
    given = vars(parser.parse_args(arguments))
    config_file = given.pop("config")
    overrides: dict[str, object] = {}
    for assignment in given.pop("set"):
        key, separator, value = assignment.partition("=")
        if not separator:
            parser.error(f"--set expects KEY=VALUE, given {assignment!r}")
        overrides[key] = value
    overrides |= {name: value for name, value in given.items() if value is not None}
    return serve(overrides, config_file)


def serve(overrides: Mapping[str, object], config_file: Path | None = None) -> int:
    """Serve until SIGTERM or SIGINT, and return the exit status: 0 after a drain, 1 if it could not
    start, 2 for settings that are wrong.

    overrides: what flags said, by setting (see config.Settings; "limits.NAME" for one limit).
    Signals are handled only when called from the main thread. If a call is stuck beyond every limit
    the process is ended from here.
    """
    try:
        settings, warnings = load(overrides, config_file)
    except ConfigError as error:
        print(f"ketgate: {error}", file=sys.stderr)
        return EXIT_CONFIG
    # Before NumPy is loaded: a solve's threads are counted by its race, and BLAS threads that spin
    # beside it slow small products many times over on a busy machine.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    log = LogWriter(level=settings.log_level)
    logging.getLogger().addHandler(LogHandler(log))
    for warning in warnings:
        log.write("warning", "settings", {"message": warning})
    log.write("info", "settings", settings.model_dump(mode="json") | {"version": __version__})
    stop = StopRequest()
    stop.handle_signals()
    lock = None
    try:
        make_private_folder(settings.data_dir)
        lock = lock_folder(settings.data_dir)
        running = _start(settings, log)
    except (
        StartError,
        FolderInUse,
        StoreError,
        AddressError,
        tls.CertificateError,
        OSError,
    ) as error:
        log.write("error", "start_failed", {"message": str(error)})
        log.close()
        print(f"ketgate: {error}", file=sys.stderr)
        if lock is not None:
            os.close(lock)
        return EXIT_FAILED
    _run(running, stop)
    os.close(lock)
    return 0


class StopRequest:
    """Whether somebody asked the server to stop, and whether they insist."""

    def __init__(self) -> None:
        self.requested = threading.Event()
        self.insisted = threading.Event()

    def __call__(self, *_: object) -> None:
        (self.insisted if self.requested.is_set() else self.requested).set()

    def handle_signals(self) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self)
            signal.signal(signal.SIGINT, self)


def _start(settings: Settings, log: LogWriter) -> Running:
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    host, port = split_address(settings.listen)
    certificate = _certificate(settings, host)
    store = TokenStore.open(settings.data_dir)
    metrics = Metrics()
    edge = Edge(
        settings.limit_values, Authenticator(store), metrics, log, plaintext=settings.insecure
    )
    services = _services(settings, log)
    names = [service.name for service in services] + [info.SERVICE]
    standard = _standard_endpoints(settings, names)
    served = sorted({*names, *(method.split("/")[1] for method in standard.endpoints)})
    own = info.endpoints(settings.limit_table, settings.processors, served)
    for service in services:
        edge.add_service(service)
    for method, endpoint in (own | standard.endpoints).items():
        edge.add_endpoint(method, endpoint)
    server = GrpcServer(edge, settings.limit_values)
    endpoint = None
    if settings.metrics_listen != "off":
        endpoint = _metrics_endpoint(metrics, settings.metrics_listen)
    bound = server.listen(host, port, certificate)
    token_file = admin_token(settings.data_dir, store)
    server.start()
    gc.collect()
    gc.freeze()  # what was loaded stays, so the collector need not look at it again and again
    gc.set_threshold(GARBAGE_THRESHOLD)
    standard.health.set_serving(True)
    running = Running(settings, log, store, edge, standard.health, server, endpoint)
    _announce(running, _reachable(host, bound), certificate, token_file)
    return running


def _run(running: Running, stop: StopRequest) -> None:
    while not stop.requested.wait(WATCH_INTERVAL_S):
        running.edge.break_off_silent_calls()
    running.settings.ready_path.unlink(missing_ok=True)
    idle = _drain(running, stop)
    running.server.stop()
    if running.metrics_endpoint is not None:
        running.metrics_endpoint.close()
    running.store.close()
    running.log.write("info", "stopped", {"idle": idle})
    running.log.close()
    busy = any(thread.name.startswith("solver-") for thread in threading.enumerate())
    if not idle or busy:
        # A call that never returns would keep Python from ending, and a library's own threads that
        # still solve would abort the process on its way out.
        sys.stdout.flush()
        os._exit(0)


def _drain(running: Running, stop: StopRequest) -> bool:
    """Refuse new calls, wait for the running ones, then tell them to stop. Whether all ended."""
    limit_s = running.settings.drain_limit_s
    end_s = time.monotonic() + limit_s
    running.log.write("info", "draining", {"limit_s": limit_s})
    running.health.set_serving(False)
    running.edge.begin_drain()
    was_idle = running.edge.wait_idle(0)
    patience_s = limit_s - min(STOP_MARGIN_S, limit_s / 2)
    idle = running.edge.wait_idle(patience_s, stop.insisted.is_set)
    running.edge.cancel_calls()  # health watches too
    idle = idle or running.edge.wait_idle(max(0.0, end_s - time.monotonic()))
    if idle and not was_idle:
        time.sleep(LAST_ANSWER_S)
    return idle


@dataclass
class Standard:
    """What every gRPC server is expected to have."""

    health: health.Health
    endpoints: dict[str, Any]


def _standard_endpoints(settings: Settings, services: list[str]) -> Standard:
    vital = health.Health(services)
    endpoints = dict(vital.endpoints())
    if settings.reflection != "off":
        role = "" if settings.reflection == "token" else None
        endpoints |= reflection.endpoints((*services, health.SERVICE), role)
    return Standard(vital, endpoints)


def _services(settings: Settings, log: LogWriter) -> list[Service]:
    services = []
    for name in SERVICES:
        try:
            create: Callable[[Mapping[str, Limit], int], Service] = importlib.import_module(
                name
            ).create_service
        except (
            ImportError
        ) as error:  # a part is missing: serve the rest, and GetServerInfo says what is
            log.write("error", "service_missing", {"module": name, "message": str(error)})
            continue
        services.append(create(settings.limit_table, settings.processors))
    return services


def _certificate(settings: Settings, host: str) -> tls.ServerCertificate | None:
    if settings.insecure:
        return None
    if settings.tls_certificate_file is not None and settings.tls_key_file is not None:
        return tls.given(settings.tls_certificate_file, settings.tls_key_file, settings.tls_ca_file)
    return tls.development(settings.data_dir / "tls", host)


def _metrics_endpoint(metrics: Metrics, address: str) -> MetricsEndpoint:
    host, port = split_address(address)
    try:
        return MetricsEndpoint(metrics.registry, host, port)
    except OSError as error:
        raise StartError(
            f"cannot serve metrics on {address}: {error}; choose another with --metrics-listen"
        ) from error


def _announce(
    running: Running,
    address: str,
    certificate: tls.ServerCertificate | None,
    token_file: Path | None,
) -> None:
    """Say where the server is: in the ready file, and in the log."""
    settings, endpoint = running.settings, running.metrics_endpoint
    metrics_address = None
    if endpoint is not None:
        metrics_address = _reachable(split_address(settings.metrics_listen)[0], endpoint.port)
    ca_file = certificate.ca_file if certificate else None
    ready = {
        "address": address,
        "metrics_address": metrics_address,
        "ca_file": str(ca_file) if ca_file else None,
        "token_file": str(token_file) if token_file else None,
        "pid": os.getpid(),
    }
    try:
        write_whole(settings.ready_path, json.dumps(ready).encode() + b"\n", mode=0o644)
    except OSError as error:
        raise StartError(f"cannot write the ready file: {error}") from error
    running.log.write("info", "serving", ready)


def _reachable(host: str, port: int) -> str:
    """An address that a client on this machine can use."""
    with contextlib.suppress(ValueError):  # a name
        if ipaddress.ip_address(host).is_unspecified:
            host = "::1" if ":" in host else "127.0.0.1"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
