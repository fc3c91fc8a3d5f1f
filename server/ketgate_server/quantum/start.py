"""The quantum domain, put together: back ends, gateway, services, kinds of jobs."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence

from ketgate_server.domain import Domain
from ketgate_server.jobs.base import JobKind
from ketgate_server.limits import Limit
from ketgate_server.parts import part_version
from ketgate_server.quantum import reading, service, shared
from ketgate_server.quantum.catalogue import UP
from ketgate_server.quantum.charges import Charges
from ketgate_server.quantum.compiler import GROUP, PART, Compiler
from ketgate_server.quantum.gateway import Gateway
from ketgate_server.quantum.job import ESTIMATE, RUN, QuantumKind
from ketgate_server.quantum.registry import (
    ADAPTERS,
    PROVIDERS,
    calibrated,
    local_backends,
    providers,
)
from ketgate_server.quantum.remote import RemoteWork
from ketgate_server.quantum.settings import QuantumSettings
from ketgate_server.quantum.warming import Start, Warming
from ketgate_server.quantum.workers.isolated import Isolated
from ketgate_server.quantum.workers.pool import Workers, WorkerSettings
from ketgate_server.rpc.call import Service
from ketgate_server.settings import Settings
from ketgate_server.store.base import Store

BUILT_ON_IT = (
    "ketgate_server.quantum.algorithms.service",
    "ketgate_server.quantum.learning.service",
)
"""Modules with ``create_service(gateway, limits) -> (Service, kinds of jobs)``."""

Create = Callable[[Gateway, Mapping[str, Limit]], tuple[Service, Sequence[JobKind]]]

FRAMEWORK_BYTES = 2 << 30
"""What a framework maps for itself, at most, beside a run; and twice what was estimated for that is
refused by the system, before the machine is out of memory."""

log = logging.getLogger("ketgate.quantum")


def create_domain(settings: Settings) -> Domain:
    limits, own = settings.limit_table, settings.quantum
    workers = Workers(_worker_settings(own, settings.processors, limits))
    compiler = Compiler(workers)
    gateway = Gateway(
        limits,
        settings.processors,
        local_backends(limits, workers, compiler),
        providers(own, workers),
        own,
        calibrated=calibrated(compiler, limits),
    )
    warming = Warming(workers, list(_starts(gateway, workers, compiler)))
    if own.warm == "first-use":
        gateway.used = warming.begin
    shared.use(gateway, workers)
    reading.use(workers)
    remote = RemoteWork(gateway)

    def start(store: Store) -> None:
        remote.charges = Charges(store)
        gateway.spent = remote.charges.spent
        gateway.start()
        if own.warm == "start":
            warming.begin()

    def close() -> None:
        shared.use(None, None)
        reading.use(None)
        warming.close()
        gateway.close()
        workers.close()

    methods = service.methods(gateway, compiler, limits)
    services = [Service(service.NAME, methods, gateway.warm_up)]
    kinds: list[JobKind] = [QuantumKind(name, gateway, limits, remote) for name in (RUN, ESTIMATE)]
    for create in _built_on_it():
        built, of_it = create(gateway, limits)
        services.append(built)
        kinds += of_it
    return Domain(services, kinds, start, close, gateway.metrics.show)


def _built_on_it() -> Iterator[Create]:
    for name in BUILT_ON_IT:
        try:
            yield importlib.import_module(name).create_service
        except ImportError as error:  # a part is missing: serve the rest
            log.error("%s is not served: %s", name, error)


def _starts(gateway: Gateway, workers: Workers, compiler: Compiler) -> Iterator[Start]:
    """What is worth a worker before it is asked for: the reader of programs, then each framework
    that is installed and offered."""
    yield Start(reading.GROUP, lambda task: reading.warm(workers, task))
    for entry in gateway.catalogue.entries():
        backend = entry.backend
        if isinstance(backend, Isolated):
            yield Start(
                backend.group,
                backend.warm,
                lambda entry=entry: entry.describe().status in UP,  # type: ignore[misc]
            )
    yield Start(GROUP, compiler.warm, lambda: part_version(PART) is not None)


def _worker_settings(
    own: QuantumSettings, processors: int, limits: Mapping[str, Limit]
) -> WorkerSettings:
    pythons = {name: str(path) for name, path in own.interpreters.items()}
    return WorkerSettings(
        workers_max=own.workers or max(processors, len(ADAPTERS) + len(PROVIDERS) + 2),
        memory_bytes_max=2 * limits["quantum.memory_bytes_max"].value + FRAMEWORK_BYTES,
        pythons=pythons,
    )
