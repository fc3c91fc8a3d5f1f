"""A processor of Google's Quantum Engine as our description of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from ketgate_server.quantum.base import (
    BackendKind,
    BackendStatus,
    Calibration,
    Capabilities,
    Description,
    GateCalibration,
    QubitCalibration,
)

SHOTS_MAX = 1_000_000
CIRCUITS_MAX = 100
"""Of one program."""

_T1 = ("single_qubit_idle_t1_micros",)
_READ_1 = ("parallel_p00_error", "single_qubit_p00_error")
"""Read 1 where the state is 0; measured all at once where that was done."""
_READ_0 = ("parallel_p11_error", "single_qubit_p11_error")
_ONE = ("single_qubit_rb_average_error_per_gate", "single_qubit_rb_pauli_error_per_gate")
_PAULI_TO_AVERAGE = {1: 2 / 3, 2: 4 / 5}
"""Average error is the Pauli error times d / (d + 1), d = 2^n."""


def describe(processor: Any, *, version: str, virtual: bool, now_us: int) -> Description:
    """processor: cirq_google's AbstractProcessor."""
    grid = sorted(processor.get_device().metadata.qubit_set)
    number = {qubit: k for k, qubit in enumerate(grid)}
    pairs = processor.get_device().metadata.qubit_pairs
    status, message = _status(processor)
    where = "this server, simulated without noise" if virtual else "Google's Quantum Engine"
    return Description(
        name=f"google/{processor.processor_id}",
        description=f"{processor.processor_id} on {where}",
        kind=BackendKind.EMULATOR if virtual else BackendKind.QPU,
        provider="google",
        status=status,
        status_message=message,
        status_time_us=now_us,
        version=version,
        num_qubits=len(grid),
        coupling=tuple(sorted({_pair(number, tuple(pair)) for pair in pairs})),
        basis_gates=("cz", "rx", "ry", "rz", "u"),
        capabilities=Capabilities(seeded=False, cancel=True),
        calibration=_calibration(processor.get_current_calibration(), number),
        region="local" if virtual else "google",
        shots_max=SHOTS_MAX,
        circuits_max=CIRCUITS_MAX,
        part="google",
    )


def _pair(number: Mapping[Any, int], qubits: tuple[Any, ...]) -> tuple[int, int]:
    a, b = (number[qubit] for qubit in qubits)
    return min(a, b), max(a, b)


def _status(processor: Any) -> tuple[BackendStatus, str]:
    health = processor.health()
    if health == "OK":
        return BackendStatus.ONLINE, ""
    back = processor.expected_recovery_time()
    when = f"; expected back at {back.isoformat()}" if back else ""
    return BackendStatus.OFFLINE, f"Google tells that it is {health.lower()}{when}"


def _calibration(told: Any, number: Mapping[Any, int]) -> Calibration | None:
    """told: cirq_google's Calibration; metrics by name, then by qubits."""
    if told is None:
        return None
    t1, up, down, one = (_metric(told, names) for names in (_T1, _READ_1, _READ_0, _ONE))
    qubits = tuple(
        QubitCalibration(
            k,
            t1_us=t1.get((qubit,)),
            p1_given_0=up.get((qubit,)),
            p0_given_1=down.get((qubit,)),
            label=f"{qubit.row}_{qubit.col}",
        )
        for qubit, k in number.items()
    )
    gates = [
        GateCalibration("*1", (number[qubit],), error)
        for (qubit,), error in sorted(one.items())
        if qubit in number
    ]
    twos: dict[tuple[str, tuple[int, int]], float] = {}
    # In reverse, parallel measurements come first: they are what a circuit meets.
    for name in sorted(told, reverse=True):
        gate = _two_qubit_gate(name)
        for pair, error in _metric(told, (name,)).items() if gate else ():
            if all(qubit in number for qubit in pair):
                twos.setdefault((gate, _pair(number, pair)), error)
    gates += [GateCalibration(gate, pair, error) for (gate, pair), error in sorted(twos.items())]
    digest = hashlib.sha256(repr((qubits, gates)).encode()).hexdigest()
    return Calibration(int(told.timestamp) * 1000, qubits, tuple(gates), digest)


def _two_qubit_gate(metric: str) -> str:
    """The gate whose whole error a metric tells, as two_qubit_parallel_cz_gate_xeb_pauli_error...;
    empty: none, or a part of an error."""
    if not metric.startswith("two_qubit_") or "_gate_xeb_" not in metric:
        return ""
    gate, _, what = metric.removeprefix("two_qubit_").partition("_gate_xeb_")
    if not what.startswith(("pauli_error", "average_error")):
        return ""
    return gate.removeprefix("parallel_").removeprefix("isolated_")


def _metric(told: Any, names: tuple[str, ...]) -> dict[tuple[Any, ...], float]:
    """The first of them that there is, as average errors."""
    for name in names:
        if name in told:
            pauli = "pauli_error" in name
            return {
                key: float(values[0]) * (_PAULI_TO_AVERAGE[len(key)] if pauli else 1.0)
                for key, values in told[name].items()
            }
    return {}
