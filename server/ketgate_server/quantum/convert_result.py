"""Outcomes and evidence to messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import TypeVar

import numpy as np
from google.protobuf import duration_pb2, timestamp_pb2
from ketgate.quantum.v1 import backend_pb2, circuit_pb2, quantum_service_pb2
from ketgate.type.v1 import money_pb2
from numpy.typing import NDArray

from ketgate_server.quantum.base import CircuitOutcome, ExpectationOutcome, Precision
from ketgate_server.quantum.circuit import Circuit, Register
from ketgate_server.quantum.convert_backend import KINDS
from ketgate_server.quantum.evidence import Evidence
from ketgate_server.quantum.resources import Resources, resources
from ketgate_server.quantum.work import Money, Work
from ketgate_server.type.tensors import write_tensor

pb = quantum_service_pb2
V = TypeVar("V", int, float)

PRECISIONS = {
    Precision.DOUBLE: circuit_pb2.PRECISION_DOUBLE,
    Precision.SINGLE: circuit_pb2.PRECISION_SINGLE,
}
NAMED_BITS_MAX = 10
MANY = 64
"""Outcomes from which on an array of their bits is soonest."""
WORD_BITS = 63
NANOSECONDS = 1_000_000_000


def write_circuit_result(
    index: int, circuit: Circuit, outcome: CircuitOutcome, shots: int
) -> pb.CircuitResult:
    """circuit: as it was sent, with its registers and label."""
    written = pb.CircuitResult(
        label=circuit.label,
        index=index,
        counts=by_bits(outcome.counts, circuit),
        probabilities=by_bits(outcome.probabilities, circuit),
        mitigated=by_bits(outcome.mitigated, circuit),
        registers=[pb.BitRegister(name=r.name, size=r.size) for r in circuit.bit_registers],
        resources=write_resources(outcome.compiled or circuit, circuit.label),
        standard_error_max=standard_error_max(outcome.counts, shots),
    )
    if outcome.memory is not None:
        written.memory.CopyFrom(write_tensor(outcome.memory))
    if outcome.state_vector is not None:
        written.state_vector.CopyFrom(write_tensor(outcome.state_vector))
    return written


def write_expectations(work: Work, outcomes: Sequence[ExpectationOutcome]) -> list[pb.Expectation]:
    """By circuit, then by observable."""
    written = []
    for index, outcome in enumerate(outcomes):
        names = work.circuits[index].parameters
        for k in range(len(work.observables)):
            one = pb.Expectation(
                circuit=index,
                observable=k,
                value=float(outcome.values[k]),
                standard_error=float(outcome.standard_errors[k]),
                groups=outcome.groups,
            )
            if outcome.raw_values is not None:
                one.raw_value = float(outcome.raw_values[k])
            if outcome.gradients is not None:
                one.gradient.update(zip(names, outcome.gradients[k].tolist(), strict=True))
            written.append(one)
    return written


def write_evidence(
    evidence: Evidence, *, digest: str, checking_s: float, total_s: float
) -> pb.RunEvidence:
    description, options = evidence.description, evidence.options
    written = pb.RunEvidence(
        backend=description.name,
        kind=KINDS[description.kind],
        version=description.version,
        seed=options.seed,
        shots=options.shots,
        precision=PRECISIONS[options.precision],
        method=evidence.method,
        expected_fidelity=evidence.expected_fidelity,
        routing=[pb.RoutingStep(backend=s.backend, reason=s.reason) for s in evidence.steps],
        provider_job=evidence.provider_job,
        times=pb.RunTimes(
            queued=duration(evidence.queued_s),
            checking=duration(checking_s),
            compiling=duration(evidence.compiling_s),
            running=duration(evidence.running_s),
            total=duration(total_s),
        ),
        warnings=evidence.warnings,
        threads=options.threads,
        spec_digest=digest,
        mitigation=evidence.mitigation,
    )
    if evidence.cost is not None:
        written.cost.CopyFrom(write_money(evidence.cost))
    _write_noise(written, evidence)
    return written


def _write_noise(written: pb.RunEvidence, evidence: Evidence) -> None:
    calibration, noise = evidence.description.calibration, evidence.options.noise
    if noise is not None:
        written.noise_model, written.noise_digest = noise.description, noise.digest
        if noise.calibration_time_us is not None:
            written.calibration_time.CopyFrom(timestamp(noise.calibration_time_us))
    elif calibration is not None:
        written.noise_model = f"the calibration of {evidence.description.name}"
        written.noise_digest = calibration.digest
        written.calibration_time.CopyFrom(timestamp(calibration.time_us))
    else:
        written.noise_model = "ideal"


def write_resources(circuit: Circuit, label: str = "") -> backend_pb2.CircuitResources:
    return as_message(resources(circuit), label)


def as_message(found: Resources, label: str) -> backend_pb2.CircuitResources:
    return backend_pb2.CircuitResources(
        label=label,
        num_qubits=found.num_qubits,
        depth=found.depth,
        operations=dict(found.operations),
        num_multi_qubit_gates=found.num_multi_qubit_gates,
        num_bits=found.num_bits,
    )


def by_bits(values: Mapping[int, V], circuit: Circuit) -> dict[str, V]:
    """By the bits of all registers, in the order of their declaration with a space between; within
    a register the highest bit comes first."""
    if not values:
        return {}
    registers = circuit.bit_registers or (Register("c", 0, circuit.num_bits),)
    if len(registers) == 1 and registers[0].size <= NAMED_BITS_MAX:
        names = _names(registers[0].size)
        return {names[value]: number for value, number in values.items()}
    if len(values) >= MANY and circuit.num_bits <= WORD_BITS:
        return dict(zip(_many(values, registers), values.values(), strict=True))
    return {_bits(value, registers): number for value, number in values.items()}


@cache
def _names(size: int) -> list[str]:
    """Of all values of a few bits: by far the most answers are of those."""
    return [f"{value:0{size}b}" if size else "" for value in range(1 << size)]


def _bits(value: int, registers: Iterable[Register]) -> str:
    # A register of no bits would be written as one: it has no digits.
    return " ".join(
        f"{(value >> r.start) & ((1 << r.size) - 1):0{r.size}b}" if r.size else ""
        for r in registers
    )


def _many(values: Mapping[int, V], registers: Sequence[Register]) -> list[str]:
    """As _bits, of all values at once."""
    words = np.fromiter(values, dtype=">i8", count=len(values))
    bits = np.unpackbits(words.view(np.uint8).reshape(-1, 8), axis=1)  # the highest first
    parts: list[NDArray[np.uint8]] = []
    for register in registers:
        end = 64 - register.start
        parts += [bits[:, end - register.size : end] + np.uint8(ord("0")), _spaces(len(words))]
    text = np.concatenate(parts[:-1], axis=1)
    width = text.shape[1]
    joined = text.tobytes().decode("ascii")
    return [joined[start : start + width] for start in range(0, len(joined), width)]


def _spaces(count: int) -> NDArray[np.uint8]:
    return np.full((count, 1), ord(" "), dtype=np.uint8)


def standard_error_max(counts: Mapping[int, int], shots: int) -> float:
    """sqrt(p (1 - p) / shots) at its worst over the outcomes."""
    if not shots or not counts:
        return 0.0
    worst = max(n * (shots - n) for n in counts.values())
    return float((worst / shots) ** 0.5 / shots)


def write_money(money: Money) -> money_pb2.Money:
    return money_pb2.Money(asset=money.asset, minor_units=money.minor_units)


def duration(seconds: float) -> duration_pb2.Duration:
    whole, nanos = divmod(round(max(0.0, seconds) * NANOSECONDS), NANOSECONDS)
    return duration_pb2.Duration(seconds=whole, nanos=nanos)


def timestamp(time_us: int) -> timestamp_pb2.Timestamp:
    return timestamp_pb2.Timestamp(seconds=time_us // 1_000_000, nanos=time_us % 1_000_000 * 1000)
