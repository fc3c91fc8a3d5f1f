"""A back end of qiskit-ibm-runtime, real or fake, as our description of it."""

from __future__ import annotations

import hashlib
from typing import Any

from ketgate_server.quantum.base import (
    BackendKind,
    BackendStatus,
    Calibration,
    Capabilities,
    Description,
    GateCalibration,
    Price,
    QubitCalibration,
)
from ketgate_server.quantum.gates import GATES

_FACTORS = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}
"""To microseconds."""
CIRCUITS_MAX = 1_000
"""Of one job; IBM's limit is on the size of a job, and refuses what is too large."""


def describe(
    device: Any, *, region: str, version: str, price: Price | None, local: bool, now_us: int
) -> Description:
    """device: qiskit_ibm_runtime's IBMBackend or FakeBackendV2."""
    names = set(device.operation_names)
    status, message, pending = _status(device, local)
    return Description(
        name=f"ibm/{device.name}",
        description=f"{device.name} on {'this server, noisy simulation' if local else 'IBM Quantum'}",
        kind=BackendKind.EMULATOR if local else BackendKind.QPU,
        provider="ibm",
        status=status,
        status_message=message,
        status_time_us=now_us,
        version=version,
        num_qubits=device.num_qubits,
        coupling=_coupling(device),
        basis_gates=tuple(sorted(names & set(GATES))),
        capabilities=Capabilities(
            mid_circuit_measurement=True,
            reset="reset" in names,
            classical_control="if_else" in names,
            seeded=local,
            cancel=True,
        ),
        calibration=_calibration(device),
        queue_depth=pending,
        price=price,
        region=region,
        shots_max=int(getattr(device.configuration(), "max_shots", 0) or 0) if not local else 0,
        circuits_max=CIRCUITS_MAX,
        part="ibm",
    )


def _status(device: Any, local: bool) -> tuple[BackendStatus, str, int | None]:
    if local:
        return BackendStatus.ONLINE, "", None
    told = device.status()
    pending = int(told.pending_jobs)
    if not told.operational:
        words = told.status_msg or "not operational"
        return BackendStatus.OFFLINE, f"IBM Quantum tells: {words}; try again later", pending
    if told.status_msg != "active":
        words = f"IBM Quantum tells: {told.status_msg}; it takes jobs, and runs them later"
        return BackendStatus.PAUSED, words, pending
    return BackendStatus.ONLINE, "", pending


def _coupling(device: Any) -> tuple[tuple[int, int], ...]:
    pairs = device.coupling_map
    if pairs is None:
        return ()
    return tuple(sorted({(min(a, b), max(a, b)) for a, b in pairs.get_edges()}))


def _calibration(device: Any) -> Calibration | None:
    told = device.properties()
    if told is None:
        return None
    qubits = tuple(
        _qubit(number, {one.name: one for one in values})
        for number, values in enumerate(told.qubits)
    )
    gates = tuple(
        _gate(gate.gate, tuple(gate.qubits), {one.name: one for one in gate.parameters})
        for gate in told.gates
        if gate.gate in GATES
    )
    digest = hashlib.sha256(repr((qubits, gates)).encode()).hexdigest()
    return Calibration(round(told.last_update_date.timestamp() * 1e6), qubits, gates, digest)


def _qubit(number: int, told: dict[str, Any]) -> QubitCalibration:
    return QubitCalibration(
        number,
        t1_us=_us(told.get("T1")),
        t2_us=_us(told.get("T2")),
        p1_given_0=_value(told.get("prob_meas1_prep0") or told.get("readout_error")),
        p0_given_1=_value(told.get("prob_meas0_prep1") or told.get("readout_error")),
        readout_ns=_ns(told.get("readout_length")),
    )


def _gate(name: str, qubits: tuple[int, ...], told: dict[str, Any]) -> GateCalibration:
    return GateCalibration(
        name, qubits, _value(told.get("gate_error")), _ns(told.get("gate_length"))
    )


def _value(told: Any) -> float | None:
    return None if told is None else float(told.value)


def _us(told: Any) -> float | None:
    return None if told is None else float(told.value) * _FACTORS.get(told.unit.lower(), 1.0)


def _ns(told: Any) -> float | None:
    microseconds = _us(told)
    return None if microseconds is None else microseconds * 1e3
