"""Specs of circuits to Work. Every refusal names the field at fault; a program's, line and column."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence

from ketgate.quantum.v1 import quantum_service_pb2

from ketgate_server.errors import FieldError, LimitError
from ketgate_server.limits import Limit
from ketgate_server.quantum import reading
from ketgate_server.quantum.base import RunOptions
from ketgate_server.quantum.circuit import Barrier, Circuit, If, Measure
from ketgate_server.quantum.convert_circuits import read_circuits
from ketgate_server.quantum.convert_noise import Noise, read_noise
from ketgate_server.quantum.convert_observables import read_observables
from ketgate_server.quantum.convert_options import (
    read_caps,
    read_choice,
    read_duration,
    read_level,
    read_precision,
    read_shots,
    read_threads,
)
from ketgate_server.quantum.work import Mitigation, Work, threads_for

DIGEST_VERSION = b"/1\0"
"""After the name of the spec's type, before its canonical bytes: protobuf's deterministic
serialisation. A change of either takes a new number."""
NOISE_FACTORS_MAX = 10
NOISE_FACTOR_MAX = 25.0
EXTRAPOLATIONS = ("linear", "polynomial-2", "exponential")
KEY_BYTES = 16
"""Of an outcome in an answer, beside its bits."""

RunCircuitsSpec = quantum_service_pb2.RunCircuitsSpec
EstimateObservablesSpec = quantum_service_pb2.EstimateObservablesSpec
Spec = RunCircuitsSpec | EstimateObservablesSpec
Limits = Mapping[str, Limit]


def digest(spec: Spec) -> str:
    """SHA-256 of the canonical bytes, hexadecimal."""
    found = hashlib.sha256(spec.DESCRIPTOR.full_name.encode() + DIGEST_VERSION)
    found.update(spec.SerializeToString(deterministic=True))
    return found.hexdigest()


def read_run(spec: RunCircuitsSpec, limits: Limits, threads_max: int, path: str = "spec") -> Work:
    """Raises FieldError, LimitError and PROGRAM_INVALID."""
    time_limit_s = _read_time_limit(spec, limits, path)
    with reading.by_limit(time_limit_s, f"{path}.time_limit"):
        circuits, parameters, bound = read_circuits(spec.circuits, limits, f"{path}.circuits")
    noise = read_noise(spec.noise, limits, f"{path}.noise") if spec.HasField("noise") else Noise()
    options = RunOptions(
        shots=read_shots(spec.shots, limits, f"{path}.shots"),
        seed=spec.seed if spec.HasField("seed") else secrets.randbits(63),
        precision=read_precision(spec.precision, f"{path}.precision"),
        threads=_read_threads(spec, bound, threads_max, path),
        noise=noise.model,
        noise_method=noise.method,
        trajectories=noise.trajectories,
        memory=spec.memory,
        state_vector=spec.state_vector,
        optimization_level=_read_level(spec, path),
    )
    if spec.memory and not options.shots:
        raise FieldError(f"{path}.memory", expected="shots with it", given="shots = 0")
    _check_run(bound, options, limits, path)
    if spec.HasField("mitigation") and spec.mitigation.noise_factors:
        raise FieldError(
            f"{path}.mitigation.noise_factors",
            expected="none: counts cannot be extrapolated",
            given=list(spec.mitigation.noise_factors),
            hint="EstimateObservables extrapolates expectations",
        )
    return Work(
        circuits=circuits,
        parameters=parameters,
        bound=bound,
        options=options,
        choice=read_choice(spec.backend, f"{path}.backend"),
        caps=read_caps(spec.caps, f"{path}.caps"),
        mitigation=_read_mitigation(spec, options, path),
        time_limit_s=time_limit_s,
        device=noise.device,
        calibration=noise.calibration,
        calibration_path=f"{path}.noise.calibration",
    )


def read_estimation(
    spec: EstimateObservablesSpec, limits: Limits, threads_max: int, path: str = "spec"
) -> Work:
    """As read_run."""
    time_limit_s = _read_time_limit(spec, limits, path)
    with reading.by_limit(time_limit_s, f"{path}.time_limit"):
        circuits, parameters, bound = read_circuits(spec.circuits, limits, f"{path}.circuits")
    smallest = min(circuit.num_qubits for circuit in circuits)
    observables = read_observables(spec.observables, smallest, limits, f"{path}.observables")
    noise = read_noise(spec.noise, limits, f"{path}.noise") if spec.HasField("noise") else Noise()
    options = RunOptions(
        shots=read_shots(spec.shots, limits, f"{path}.shots"),
        seed=spec.seed if spec.HasField("seed") else secrets.randbits(63),
        precision=read_precision(spec.precision, f"{path}.precision"),
        threads=_read_threads(spec, bound, threads_max, path),
        noise=noise.model,
        noise_method=noise.method,
        trajectories=noise.trajectories,
        optimization_level=_read_level(spec, path),
    )
    for index, circuit in enumerate(bound):
        _check_final(circuit, f"{path}.circuits[{index}]")
    if spec.gradients and options.shots:
        raise FieldError(
            f"{path}.gradients", expected="shots = 0 with it", given=f"{options.shots} shots"
        )
    if spec.gradients and noise != Noise():
        raise FieldError(f"{path}.gradients", expected="no noise with it", given="noise")
    return Work(
        circuits=circuits,
        parameters=parameters,
        bound=bound,
        options=options,
        choice=read_choice(spec.backend, f"{path}.backend"),
        caps=read_caps(spec.caps, f"{path}.caps"),
        observables=observables,
        gradients=spec.gradients,
        mitigation=_read_mitigation(spec, options, path),
        time_limit_s=time_limit_s,
        device=noise.device,
        calibration=noise.calibration,
        calibration_path=f"{path}.noise.calibration",
    )


def _read_threads(spec: Spec, bound: Sequence[Circuit], threads_max: int, path: str) -> int:
    given = read_threads(spec.threads, threads_max, f"{path}.threads")
    return given or threads_for(max(circuit.num_qubits for circuit in bound), threads_max)


def _read_time_limit(spec: Spec, limits: Limits, path: str) -> float:
    """Seconds."""
    longest_s = limits["quantum.time_limit_ms_max"].value / 1000
    if not spec.HasField("time_limit"):
        return longest_s
    return read_duration(spec.time_limit, longest_s, f"{path}.time_limit")


def _read_level(spec: Spec, path: str) -> int:
    level = spec.optimization_level if spec.HasField("optimization_level") else 1
    return read_level(level, f"{path}.optimization_level")


def _read_mitigation(spec: Spec, options: RunOptions, path: str) -> Mitigation | None:
    if not spec.HasField("mitigation"):
        return None
    given, path = spec.mitigation, f"{path}.mitigation"
    factors = tuple(given.noise_factors)
    if not given.readout and not factors:
        return None
    if factors:
        if not 2 <= len(set(factors)) == len(factors) <= NOISE_FACTORS_MAX:
            raise FieldError(
                f"{path}.noise_factors",
                expected=f"2 to {NOISE_FACTORS_MAX} different factors",
                given=list(factors),
            )
        for factor in factors:
            if not 1.0 <= factor <= NOISE_FACTOR_MAX:
                raise FieldError(
                    f"{path}.noise_factors", expected=f"1 to {NOISE_FACTOR_MAX:g}", given=factor
                )
    if given.extrapolation and given.extrapolation not in EXTRAPOLATIONS:
        raise FieldError(
            f"{path}.extrapolation", expected=" or ".join(EXTRAPOLATIONS), given=given.extrapolation
        )
    if isinstance(spec, RunCircuitsSpec) and not options.shots:
        raise FieldError(
            f"{path}.readout", expected="shots with it", given="exact probabilities (shots = 0)"
        )
    return Mitigation(given.readout, factors, given.extrapolation or EXTRAPOLATIONS[0])


def _check_run(bound: Sequence[Circuit], options: RunOptions, limits: Limits, path: str) -> None:
    """What would have no answer, or one too large for a message, is refused before it is run."""
    qubits_max = limits["quantum.state_qubits_max"].value
    size = 0
    for index, circuit in enumerate(bound):
        where = f"{path}.circuits[{index}]"
        if options.state_vector:
            if circuit.num_qubits > qubits_max:
                raise LimitError(
                    "quantum.state_qubits_max",
                    allowed=qubits_max,
                    given=circuit.num_qubits,
                    field=where,
                )
            size += 16 << circuit.num_qubits
        if not circuit.measures and not options.state_vector:
            raise FieldError(
                where,
                expected="a program that measures something",
                given="one without a measurement",
                hint="add `c = measure q;`, or ask for state_vector",
            )
        bits = circuit.num_bits
        outcomes = options.shots
        if not options.shots and circuit.measures:
            if bits > qubits_max:
                raise LimitError(
                    "quantum.state_qubits_max", allowed=qubits_max, given=bits, field=where
                )
            outcomes = 1 << bits
        size += min(outcomes, 1 << min(bits, 62)) * (bits + KEY_BYTES)
        size += options.shots * bits if options.memory else 0
    # Large state vectors become artifacts, and all else has to fit into the message.
    limit = "quantum.memory_bytes_max" if options.state_vector else "rpc.message_bytes_max"
    allowed = limits[limit].value
    if size > allowed:
        raise LimitError(limit, allowed=allowed, given=size, field=f"{path}.circuits")


def _check_final(circuit: Circuit, path: str) -> None:
    """Measurements at the end are left out; others are refused."""
    measured: set[int] = set()
    for operation in circuit.operations:
        qubits = getattr(operation, "qubits", ())
        touched = measured.intersection(qubits) or getattr(operation, "qubit", None) in measured
        moves = not isinstance(operation, Measure | Barrier)
        if isinstance(operation, If) or (touched and moves):
            place = operation.place
            raise FieldError(
                path,
                expected="measurements at the end of the program only",
                given=f"one that is followed by more, at line {place.line}, column {place.column}",
            )
        if isinstance(operation, Measure):
            measured.add(operation.qubit)
