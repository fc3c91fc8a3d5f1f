"""What Amazon Braket tells of a device (GetDevice), as our description of it.

deviceCapabilities is JSON with a schema of its own for each maker and version; only what they have
in common is read, and what is missing is left open, so that a new one does not break the list.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
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
from ketgate_server.quantum.providers.braket_gates import NATIVE
from ketgate_server.quantum.providers.prices import braket_price

PROGRAM = "braket.ir.openqasm.program"
PROGRAM_SET = "braket.ir.openqasm.program_set"
_US = {"s": 1e6, "seconds": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}
_OURS = {theirs.lower(): ours for ours, theirs in NATIVE.items()}
Json = Mapping[str, Any]


def backend_name(arn: str, region: str) -> str:
    """ "braket/REGION/NAME", for example "braket/us-east-1/aria-1"."""
    return f"braket/{region}/{arn.rsplit('/', 1)[1].lower()}"


def is_of_gates(capabilities: Json) -> bool:
    """Whether it runs circuits at all: some are annealers and analogue simulators."""
    return PROGRAM in capabilities.get("action", {})


def supported_gates(capabilities: Json) -> frozenset[str]:
    """Names of its gates, lower case."""
    told = capabilities["action"][PROGRAM].get("supportedOperations") or ()
    return frozenset(name.lower() for name in told)


def describe(device: Json, region: str, version: str, now_us: int) -> Description:
    """device: the answer of GetDevice. version: of the SDK."""
    capabilities = json.loads(device["deviceCapabilities"])
    service, paradigm = capabilities.get("service", {}), capabilities.get("paradigm", {})
    arn = device["deviceArn"]
    name = backend_name(arn, region)
    qpu = device["deviceType"] == "QPU"
    labels, coupling = _coupling(paradigm.get("connectivity") or {})
    cost = service.get("deviceCost") or {}
    program_set = capabilities["action"].get(PROGRAM_SET)
    status, message = _status(device["deviceStatus"])
    return Description(
        name=name,
        description=f"{device['providerName']} {device['deviceName']} on Amazon Braket",
        kind=BackendKind.QPU if qpu else BackendKind.SIMULATOR,
        provider="aws",
        status=status,
        status_message=message,
        status_time_us=now_us,
        version=version,
        num_qubits=int(paradigm.get("qubitCount") or 0),
        coupling=coupling,
        basis_gates=tuple(
            sorted(_OURS[gate] for gate in supported_gates(capabilities) if gate in _OURS)
        ),
        capabilities=Capabilities(seeded=False, cancel=True),
        calibration=_calibration(capabilities, service, labels),
        queue_depth=_queue_depth(device.get("deviceQueueInfo") or ()),
        price=braket_price(
            "/".join(arn.lower().split("/")[-2:]), cost.get("price"), cost.get("unit", "")
        ),
        region=region,
        shots_max=int((service.get("shotsRange") or (1, 0))[1]),
        circuits_max=int(program_set["maximumExecutables"]) if program_set else 1,
        part="braket",
    )


def _status(told: str) -> tuple[BackendStatus, str]:
    if told == "ONLINE":
        return BackendStatus.ONLINE, ""
    if told == "OFFLINE":
        return BackendStatus.OFFLINE, "Amazon Braket has taken it offline; try again later"
    return BackendStatus.UNAVAILABLE, f"Amazon Braket tells that it is {told.lower()}"


def _queue_depth(queues: Sequence[Json]) -> int | None:
    """Tasks that wait; ">4000" counts as 4000."""
    sizes = [
        int(queue["queueSize"].lstrip(">"))
        for queue in queues
        if queue.get("queue") == "QUANTUM_TASKS_QUEUE"
        and str(queue.get("queueSize", "")).lstrip(">").isdigit()
    ]
    return sum(sizes) if sizes else None


def _coupling(connectivity: Json) -> tuple[dict[str, int], tuple[tuple[int, int], ...]]:
    """Our number of each of its labels, and the pairs. Devices leave out qubits that are broken."""
    graph = connectivity.get("connectivityGraph") or {}
    if connectivity.get("fullyConnected") or not graph:
        return {}, ()
    labels = {label for near in graph.values() for label in near} | set(graph)
    number = {label: k for k, label in enumerate(sorted(labels, key=_order))}
    pairs = {
        tuple(sorted((number[a], number[b]))) for a, near in graph.items() for b in near if a != b
    }
    return number, tuple(sorted((a, b) for a, b in pairs))


def _order(label: str) -> tuple[int, str]:
    return (int(label), "") if label.isdigit() else (1 << 30, label)


def _calibration(
    capabilities: Json, service: Json, numbers: Mapping[str, int]
) -> Calibration | None:
    standard = capabilities.get("standardized") or {}
    ones, twos = standard.get("oneQubitProperties") or {}, standard.get("twoQubitProperties") or {}
    if not ones and not twos:
        return None
    if not numbers:
        numbers = {label: k for k, label in enumerate(sorted(ones, key=_order))}
    qubits, gates = [], []
    for label in sorted(ones, key=_order):
        if label not in numbers:
            continue
        qubit = numbers[label]
        fidelity = {
            str(one["fidelityType"]["name"]).upper(): float(one["fidelity"])
            for one in ones[label].get("oneQubitFidelity") or ()
        }
        readout = fidelity.pop("READOUT", None)
        fidelity.pop("READOUT_ERROR", None)
        misread = None if readout is None else 1.0 - readout
        times = (_time_us(ones[label].get("T1")), _time_us(ones[label].get("T2")))
        qubits.append(QubitCalibration(qubit, *times, misread, misread, label=label))
        if fidelity:
            gates.append(GateCalibration("*1", (qubit,), 1.0 - max(fidelity.values())))
    for pair in sorted(twos):
        ends = [numbers[label] for label in pair.split("-") if label in numbers]
        if len(ends) == 2:
            for two in twos[pair].get("twoQubitGateFidelity") or ():
                gate = str(two["gateName"]).lower()
                error = 1.0 - float(two["fidelity"])
                gates.append(GateCalibration(_OURS.get(gate, gate), (ends[0], ends[1]), error))
    digest = hashlib.sha256(json.dumps(standard, sort_keys=True).encode()).hexdigest()
    return Calibration(_updated_us(service), tuple(qubits), tuple(gates), digest)


def _time_us(told: Json | None) -> float | None:
    if not told:
        return None
    return float(told["value"]) * _US.get(str(told.get("unit", "s")).lower(), 1e6)


def _updated_us(service: Json) -> int:
    try:
        return round(datetime.fromisoformat(str(service["updatedAt"])).timestamp() * 1e6)
    except (KeyError, ValueError):
        return 0
