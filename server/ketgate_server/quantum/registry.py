"""The back ends that there are: adapters by name, each in its own module, imported when the server
starts; their frameworks are not."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from ketgate_server.limits import Limit
from ketgate_server.quantum.base import Backend, Provider
from ketgate_server.quantum.compiler import Compiler
from ketgate_server.quantum.emulators.catalogue import calibrated as emulator_of
from ketgate_server.quantum.emulators.catalogue import emulators
from ketgate_server.quantum.isolated_provider import IsolatedProvider
from ketgate_server.quantum.settings import QuantumSettings
from ketgate_server.quantum.workers.isolated import Isolated
from ketgate_server.quantum.workers.pool import Workers

NATIVE = "ketgate_server.quantum.native.backend:NativeBackend"
ADAPTERS = (
    NATIVE,
    "ketgate_server.quantum.backends.aer:AerBackend",
    "ketgate_server.quantum.backends.cirq:CirqBackend",
    "ketgate_server.quantum.backends.braket:BraketBackend",
    "ketgate_server.quantum.backends.pennylane:PennylaneBackend",
    "ketgate_server.quantum.backends.qutip:QutipBackend",
)
PROVIDERS = {
    "ibm": "ketgate_server.quantum.providers.ibm:IbmProvider",
    "braket": "ketgate_server.quantum.providers.braket:BraketProvider",
    "google": "ketgate_server.quantum.providers.google:GoogleProvider",
}
"""By the name of their settings, of which they are made."""

CALIBRATED_KEPT_MAX = 16

log = logging.getLogger("ketgate.quantum")


def local_backends(
    limits: Mapping[str, Limit], workers: Workers, compiler: Compiler
) -> Iterator[Backend]:
    """What runs on this machine; in a worker process where it computes in Python."""
    memory_bytes_max = limits["quantum.memory_bytes_max"].value
    density_qubits_max = limits["quantum.density_qubits_max"].value
    for name in ADAPTERS:
        adapter = _imported(name)
        if adapter is not None:
            more = (density_qubits_max,) if name == NATIVE else ()
            backend: Backend = adapter(memory_bytes_max, *more)
            yield Isolated(backend, workers) if backend.isolated else backend
    yield from emulators(compiler, density_qubits_max)


def calibrated(compiler: Compiler, limits: Mapping[str, Limit]) -> Callable[[bytes, str], Backend]:
    """Makes emulators of calibration files; those of the last few are kept, with what was compiled
    for them."""

    density_qubits_max = limits["quantum.density_qubits_max"].value

    @lru_cache(maxsize=CALIBRATED_KEPT_MAX)
    def make(content: bytes, field: str) -> Backend:
        return emulator_of(content, field, compiler, density_qubits_max)

    return make


def providers(settings: QuantumSettings, workers: Workers) -> Iterator[Provider]:
    """The clouds that are enabled."""
    for name, module in PROVIDERS.items():
        own = getattr(settings, name)
        kind = _imported(module) if own.enabled else None
        if kind is not None:
            yield IsolatedProvider(kind(own), workers, settings.refresh_timeout_s)


def _imported(name: str) -> Any:
    """None for a module that cannot be imported: the server runs without it, and says so."""
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        log.error("%s is not offered: %s", name, error)
        return None
