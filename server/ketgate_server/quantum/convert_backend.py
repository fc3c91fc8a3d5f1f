"""Descriptions of back ends and estimates to messages."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from google.protobuf import duration_pb2, timestamp_pb2
from ketgate.quantum.v1 import backend_pb2 as pb
from ketgate.type.v1 import money_pb2

from ketgate_server.quantum.base import (
    BackendKind,
    BackendStatus,
    Calibration,
    Capabilities,
    Description,
    Price,
)
from ketgate_server.quantum.estimate import Estimate

KINDS = {
    BackendKind.SIMULATOR: pb.BACKEND_KIND_SIMULATOR,
    BackendKind.EMULATOR: pb.BACKEND_KIND_EMULATOR,
    BackendKind.QPU: pb.BACKEND_KIND_QPU,
}
STATUSES = {
    BackendStatus.ONLINE: pb.BACKEND_STATUS_ONLINE,
    BackendStatus.PAUSED: pb.BACKEND_STATUS_PAUSED,
    BackendStatus.OFFLINE: pb.BACKEND_STATUS_OFFLINE,
    BackendStatus.UNAVAILABLE: pb.BACKEND_STATUS_UNAVAILABLE,
    BackendStatus.BROKEN: pb.BACKEND_STATUS_BROKEN,
}


def write_backend(
    description: Description, retry_time_us: int | None = None, *, whole: bool = False
) -> pb.Backend:
    """whole: with coupling and calibration."""
    written = pb.Backend(
        name=description.name,
        description=description.description,
        kind=KINDS[description.kind],
        provider=description.provider,
        status=STATUSES[description.status],
        status_message=description.status_message,
        version=description.version,
        num_qubits=description.num_qubits,
        basis_gates=description.basis_gates,
        capabilities=_capabilities(description.capabilities),
        queue_depth=description.queue_depth,
        region=description.region,
        shots_max=description.shots_max,
        circuits_max=description.circuits_max,
    )
    if description.status_time_us is not None:
        written.status_time.CopyFrom(_timestamp(description.status_time_us))
    if retry_time_us is not None:
        written.retry_time.CopyFrom(_timestamp(retry_time_us))
    if description.price is not None:
        written.price.CopyFrom(_price(description.price))
    if whole:
        written.coupling.extend(chain.from_iterable(description.coupling))
        if description.calibration is not None:
            written.calibration.CopyFrom(_calibration(description.calibration))
    return written


def write_estimate(
    estimate: Estimate, resources: Sequence[pb.CircuitResources] = ()
) -> pb.RunEstimate:
    written = pb.RunEstimate(
        backend=estimate.backend,
        memory_bytes=estimate.memory_bytes,
        run_time=_duration(estimate.run_s),
        shots=estimate.shots,
        device_seconds=estimate.device_s,
        resources=resources,
        expected_fidelity=estimate.expected_fidelity,
        warnings=estimate.warnings,
    )
    if estimate.queue_s is not None:
        written.queue_time.CopyFrom(_duration(estimate.queue_s))
    if estimate.cost is not None:
        money = estimate.cost
        written.cost.CopyFrom(money_pb2.Money(asset=money.asset, minor_units=money.minor_units))
    return written


def _capabilities(can: Capabilities) -> pb.Capabilities:
    return pb.Capabilities(
        exact=can.exact,
        state_vector=can.state_vector,
        noise=can.noise,
        mid_circuit_measurement=can.mid_circuit_measurement,
        reset=can.reset,
        classical_control=can.classical_control,
        single_precision=can.single_precision,
        seeded=can.seeded,
        cancel=can.cancel,
    )


def _price(price: Price) -> pb.Price:
    def money(minor_units: int) -> money_pb2.Money | None:
        if not minor_units:
            return None
        return money_pb2.Money(asset=price.currency, minor_units=minor_units)

    return pb.Price(
        per_task=money(price.per_task),
        per_million_shots=money(price.per_million_shots),
        per_minute=money(price.per_minute),
        source=price.source,
    )


def _calibration(calibration: Calibration) -> pb.Calibration:
    return pb.Calibration(
        time=_timestamp(calibration.time_us),
        qubits=[
            pb.QubitCalibration(
                qubit=qubit.qubit,
                t1_us=qubit.t1_us,
                t2_us=qubit.t2_us,
                p1_given_0=qubit.p1_given_0,
                p0_given_1=qubit.p0_given_1,
                readout_ns=qubit.readout_ns,
                label=qubit.label,
            )
            for qubit in calibration.qubits
        ],
        gates=[
            pb.GateCalibration(
                gate=gate.gate, qubits=gate.qubits, error=gate.error, duration_ns=gate.duration_ns
            )
            for gate in calibration.gates
        ],
        digest=calibration.digest,
    )


def _timestamp(time_us: int) -> timestamp_pb2.Timestamp:
    return timestamp_pb2.Timestamp(seconds=time_us // 1_000_000, nanos=time_us % 1_000_000 * 1000)


def _duration(seconds: float) -> duration_pb2.Duration:
    whole, nanos = divmod(round(max(0.0, seconds) * 1e9), 1_000_000_000)
    return duration_pb2.Duration(seconds=whole, nanos=nanos)
