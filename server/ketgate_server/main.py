"""The composition root: settings -> store, services, edge -> one gRPC server, until a signal ends
it.

Heavy libraries are imported by the part that uses them: a server is ready in well under two
seconds.
"""

import gc
import importlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ketgate_server import __version__, core_dumps, durable
from ketgate_server.address import reachable, split_address
from ketgate_server.artifacts.using_service import with_arrays
from ketgate_server.config import ConfigError, load
from ketgate_server.data_folder import FolderInUse, FolderUnusable, admin_token, lock_folder
from ketgate_server.domain import Domain
from ketgate_server.durable_metrics import DurableMetrics
from ketgate_server.errors import PartMissing
from ketgate_server.ready import announce
from ketgate_server.rpc import health, info, reflection, tls
from ketgate_server.rpc.auth import Authenticator
from ketgate_server.rpc.edge import Edge
from ketgate_server.rpc.log import LogHandler, LogWriter
from ketgate_server.rpc.metrics import Metrics, MetricsEndpoint
from ketgate_server.rpc.server import AddressError, GrpcServer
from ketgate_server.settings import Settings
from ketgate_server.shutdown import StopRequest, drain
from ketgate_server.store.errors import StoreError
from ketgate_server.tokens import TokenStore

DOMAINS = (
    "ketgate_server.optimization.service",
    "ketgate_server.quantum.start",
    "ketgate_server.signing.start",
)
"""Modules with ``create_domain(settings: Settings) -> Domain``."""

EXIT_FAILED = 1
EXIT_CONFIG = 2

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
    durable: durable.Durable
    domains: list[Domain]
    edge: Edge
    health: health.Health
    server: GrpcServer
    metrics_endpoint: MetricsEndpoint | None


def serve(overrides: Mapping[str, object], config_file: Path | None = None) -> int:
    """Serve until SIGTERM or SIGINT, and return the exit status: 0 after a drain, 1 if it could not
    start, 2 for settings that are wrong.

    overrides: what flags said, by setting (see config.Settings; "limits.NAME" for one limit).
    Signals are handled only when called from the main thread. If a call is stuck beyond every limit
    the process is ended from here.
    """
    core_dumps.forbid()
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
        lock = lock_folder(settings.data_dir)
        running = _start(settings, log)
    except (
        StartError,
        FolderInUse,
        FolderUnusable,
        StoreError,
        PartMissing,
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


def _start(settings: Settings, log: LogWriter) -> Running:
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    certificate = _certificate(settings, split_address(settings.listen)[0])
    domains = _domains(settings, log)
    lasting = durable.start(settings, [kind for domain in domains for kind in domain.kinds])
    try:
        for domain in domains:
            domain.start(lasting.store)
        return _serve(settings, log, lasting, domains, certificate)
    except BaseException:
        _end(domains)
        _close(domains)
        lasting.close()
        raise


def _end(domains: Iterable[Domain]) -> None:
    for domain in domains:
        domain.end()


def _close(domains: Iterable[Domain]) -> None:
    for domain in domains:
        domain.close()


def _serve(
    settings: Settings,
    log: LogWriter,
    lasting: durable.Durable,
    domains: list[Domain],
    certificate: tls.ServerCertificate | None,
) -> Running:
    host, port = split_address(settings.listen)
    tokens = TokenStore(lasting.store, actor="server")
    metrics = Metrics()
    DurableMetrics(lasting, metrics.registry)
    for domain in domains:
        domain.show(metrics.registry)
    edge = Edge(
        settings.limit_values,
        Authenticator(tokens),
        metrics,
        log,
        plaintext=settings.insecure,
        witness=lasting.audit.recorder,
    )
    arrays_of = lasting.artifacts.arrays_of_call
    of_domains = [service for domain in domains for service in domain.services]
    services = [*(with_arrays(service, arrays_of) for service in of_domains), *lasting.services]
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
    token_file = admin_token(settings.data_dir, tokens)
    server.start()
    gc.collect()
    gc.freeze()  # what was loaded stays, so the collector need not look at it again and again
    gc.set_threshold(GARBAGE_THRESHOLD)
    standard.health.set_serving(True)
    running = Running(settings, log, lasting, domains, edge, standard.health, server, endpoint)
    metrics_address = None
    if endpoint is not None:
        metrics_address = reachable(split_address(settings.metrics_listen)[0], endpoint.port)
    try:
        ready = announce(
            settings.ready_path,
            address=reachable(host, bound),
            metrics_address=metrics_address,
            ca_file=certificate.ca_file if certificate else None,
            token_file=token_file,
        )
    except OSError as error:
        raise StartError(
            f"ready_file: expected a file that can be written, given {settings.ready_path}: "
            f"{error.strerror}; choose another with --ready-file"
        ) from error
    log.write("info", "serving", ready)
    for service in services:
        if service.warm_up is not None:
            threading.Thread(target=service.warm_up, name="warm-up", daemon=True).start()
    return running


def _run(running: Running, stop: StopRequest) -> None:
    while not stop.requested.wait(WATCH_INTERVAL_S):
        running.edge.break_off_silent_calls()
    running.settings.ready_path.unlink(missing_ok=True)
    limit_s = running.settings.drain_limit_s
    running.log.write("info", "draining", {"limit_s": limit_s})
    running.durable.begin_drain(limit_s)
    idle = drain(running.edge, running.health, limit_s, stop)
    running.server.stop()
    if running.metrics_endpoint is not None:
        running.metrics_endpoint.close()
    _end(running.domains)
    idle = running.durable.close(stop.insisted.is_set) and idle
    _close(running.domains)
    running.log.write("info", "stopped", {"idle": idle})
    running.log.close()
    busy = any(thread.name.startswith("solver-") for thread in threading.enumerate())
    if not idle or busy:
        # A call that never returns would keep Python from ending, and a library's own threads that
        # still solve would abort the process on its way out.
        sys.stdout.flush()
        os._exit(0)


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


def _domains(settings: Settings, log: LogWriter) -> list[Domain]:
    domains: list[Domain] = []
    for name in DOMAINS:
        try:
            create: Callable[[Settings], Domain] = importlib.import_module(name).create_domain
        except (
            ImportError
        ) as error:  # a part is missing: serve the rest, and GetServerInfo says what is
            log.write("error", "service_missing", {"module": name, "message": str(error)})
            continue
        domains.append(create(settings))
    return domains


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
