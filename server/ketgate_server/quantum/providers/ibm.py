"""IBM Quantum as a provider: circuits compiled to the device, run by SamplerV2 of qiskit-ibm-runtime.

IBM has no idempotency token. Every job carries its tag, by which it is searched before anything is
sent again; what the SDK would send twice by itself is prevented in ibm_service.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib import metadata
from typing import Any

from ketgate_server.quantum.base import (
    CircuitOutcome,
    Description,
    ProviderResult,
    ProviderState,
    RunOptions,
    Unsuitable,
)
from ketgate_server.quantum.circuit import Circuit
from ketgate_server.quantum.providers import readings, suitable
from ketgate_server.quantum.providers.errors import JobFailed, Refused
from ketgate_server.quantum.providers.ibm_device import describe
from ketgate_server.quantum.providers.ibm_faults import NAME, translated
from ketgate_server.quantum.providers.ibm_service import Service, opened, read_token
from ketgate_server.quantum.providers.prices import cost_cents, ibm_price
from ketgate_server.quantum.providers.settings import IbmSettings

log = logging.getLogger("ketgate.quantum")


class IbmProvider:
    """Implements base.Provider. Pickles as its settings; connects when first asked."""

    name = NAME
    isolated = True

    def __init__(self, settings: IbmSettings) -> None:
        self._settings = settings
        self._opened: Service | None = None
        self._descriptions: dict[str, Description] = {}
        self._lock = threading.RLock()

    def __getstate__(self) -> IbmSettings:
        return self._settings

    def __setstate__(self, settings: IbmSettings) -> None:
        self.__init__(settings)  # type: ignore[misc]

    def backends(self) -> Sequence[Description]:
        local = self._settings.channel == "local"
        version = "qiskit-ibm-runtime " + metadata.version("qiskit-ibm-runtime")
        with self._translated(NAME):
            service = self._service()
            price = ibm_price(service.plan(), self._settings.cents_per_minute)
            told = [
                describe(
                    device,
                    region=service.region,
                    version=version,
                    price=None if local else price,
                    local=local,
                    now_us=time.time_ns() // 1000,
                )
                for device in service.devices(self._settings.devices)
            ]
        self._descriptions = {one.name: one for one in told}
        return sorted(told, key=lambda one: one.name)

    def check(self, backend: str, circuit: Circuit, options: RunOptions) -> None:
        suitable.check(self._description(backend), circuit, options)

    def submit(
        self, backend: str, circuits: Sequence[Circuit], options: RunOptions, tag: str
    ) -> str:
        with self._translated(backend):
            service = self._service()
            device = service.device(self._device_name(backend))
            compiled = self._compile(backend, device, circuits, options)
        with self._translated(backend, tag=tag):
            return service.submit(device, compiled, options.shots, options.seed, tag)

    def find(self, backend: str, tag: str) -> str | None:
        with self._translated(backend):
            return self._service().find(tag)

    def poll(self, backend: str, provider_job: str) -> ProviderState:
        with self._translated(backend, job=provider_job):
            return self._service().state(provider_job)

    def fetch(
        self, backend: str, provider_job: str, circuits: Sequence[Circuit], options: RunOptions
    ) -> ProviderResult:
        with self._translated(backend, job=provider_job):
            service = self._service()
            result = service.result(provider_job)
            usage = service.usage(provider_job)
            price = ibm_price(service.plan(), self._settings.cents_per_minute)
        if result is None or len(result) != len(circuits):
            raise JobFailed(NAME, provider_job, "it has no result of each circuit")
        compiled = self._compiled(service, provider_job, len(circuits))
        outcomes = []
        for circuit, one, there in zip(circuits, result, compiled, strict=True):
            outcomes.append(_outcome(circuit, one, options))
            outcomes[-1].compiled = there
        cost = None
        if usage.device_s is not None:
            shots = options.shots * len(circuits)
            cost = cost_cents(price, tasks=1, shots=shots, device_s=usage.device_s)
        return ProviderResult(
            outcomes, cost_minor_units=cost, device_s=usage.device_s, queued_s=usage.queued_s
        )

    def cancel(self, backend: str, provider_job: str) -> None:
        with self._translated(backend, job=provider_job):
            self._service().cancel(provider_job)

    def _compiled(
        self, service: Service, job: str, count: int
    ) -> Sequence[Circuit] | Sequence[None]:
        """What ran. A result is not lost because that is not told, or holds what we have no word for."""
        from ketgate_server.quantum.transpile.from_qiskit import from_qiskit

        try:
            found = [from_qiskit(circuit) for circuit in service.circuits(job)]
        except Exception as error:
            log.warning("the compiled circuits of %s are not known", job, exc_info=error)
            found = []
        return found if len(found) == count else [None] * count

    def _compile(
        self, backend: str, device: Any, circuits: Sequence[Circuit], options: RunOptions
    ) -> list[Any]:
        """Circuits of the device's own gates and qubits."""
        from qiskit.transpiler import generate_preset_pass_manager

        from ketgate_server.quantum.transpile.qiskit_circuit import Unconvertible, to_qiskit

        try:
            theirs = [to_qiskit(circuit) for circuit in circuits]
        except Unconvertible as error:
            why = "Qiskit has no form for it"
            raise Unsuitable(backend, error.what, why, error.place) from error
        passes = generate_preset_pass_manager(
            optimization_level=options.optimization_level,
            target=device.target,
            seed_transpiler=options.seed % 0x7FFFFFFF,
        )
        return [passes.run(circuit) for circuit in theirs]

    def _description(self, backend: str) -> Description:
        if backend not in self._descriptions:
            self.backends()
        if backend not in self._descriptions:
            raise Refused(NAME, backend, "there is no such device, or none for this account")
        return self._descriptions[backend]

    def _device_name(self, backend: str) -> str:
        name = backend.removeprefix("ibm/")
        wanted = self._settings.devices
        if name == backend or (wanted and name not in wanted):
            raise Refused(NAME, backend, "it is no device that this server may use")
        return name

    def _service(self) -> Service:
        with self._lock:
            if self._opened is None:
                self._opened = opened(self._settings)
            return self._opened

    def _translated(self, backend: str, *, tag: str = "", job: str = "") -> Any:
        secrets = []
        if self._settings.token_file is not None:
            secrets.append(read_token(self._settings))
        return translated(backend, tag=tag, job=job, secrets=secrets)


def _outcome(circuit: Circuit, result: Any, options: RunOptions) -> CircuitOutcome:
    """result: qiskit's SamplerPubResult, a BitArray for each classical register."""
    import numpy as np

    from ketgate_server.quantum.transpile.qiskit_circuit import to_qiskit

    at = 0
    columns: list[Any] = []
    bits: list[int] = []
    for register in to_qiskit(replace(circuit, operations=())).cregs:
        if register.name in result.data:
            columns.append(result.data[register.name].to_bool_array(order="little"))
            bits += range(at, at + register.size)
        at += register.size
    read = np.concatenate(columns, axis=1).astype(np.uint8)
    warnings = []
    if len(read) != options.shots:
        warnings.append(f"the device returned {len(read)} of {options.shots} shots")
    return readings.outcome(read, bits, circuit.num_bits, memory=options.memory, warnings=warnings)
