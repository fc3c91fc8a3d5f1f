"""Specs of Fourier transforms, phase and amplitude estimation and factoring to plans."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

import numpy as np
from ketgate.quantum.v1 import algorithm_service_pb2 as pb
from ketgate.quantum.v1 import circuit_pb2
from numpy.typing import NDArray

from ketgate_server.errors import FieldError, LimitError
from ketgate_server.limits import Limit
from ketgate_server.quantum import reading
from ketgate_server.quantum.algorithms import factoring, phase_estimation
from ketgate_server.quantum.algorithms.amplitude_estimation import (
    EPSILON_MAX,
    EPSILON_MIN,
    SHOTS_DEFAULT,
    Interval,
    estimate,
    monte_carlo_samples,
)
from ketgate_server.quantum.algorithms.amplitude_estimation import (
    circuit as estimation_circuit,
)
from ketgate_server.quantum.algorithms.answer import Baseline
from ketgate_server.quantum.algorithms.builder import Builder
from ketgate_server.quantum.algorithms.convert_answer import write_baseline, write_resources
from ketgate_server.quantum.algorithms.convert_execution import (
    Execution,
    check_operations,
    read_execution,
)
from ketgate_server.quantum.algorithms.fourier import inverse_transform, transform
from ketgate_server.quantum.algorithms.matrices import apply
from ketgate_server.quantum.algorithms.modular import order_finding
from ketgate_server.quantum.algorithms.plan import Plan
from ketgate_server.quantum.algorithms.runner import Runner
from ketgate_server.quantum.algorithms.state_preparation import prepare
from ketgate_server.quantum.algorithms.value_at_risk import ValueAtRisk, at_most, value_at_risk
from ketgate_server.quantum.circuit import Circuit, Gate, Operation
from ketgate_server.quantum.convert_circuits import read_circuit
from ketgate_server.type.tensors import (
    COMPLEX64,
    COMPLEX128,
    FLOAT32,
    FLOAT64,
    read_float64,
    read_tensor,
    write_tensor,
)

NORM_TOLERANCE = 1e-9
PRECISION_BITS_MAX = 20
LOSSES_MAX = 1 << 12
EXACT_AMPLITUDE_QUBITS_MAX = 18
EPSILON_DEFAULT, ALPHA_DEFAULT = 0.01, 0.05

Limits = Mapping[str, Limit]


def read_fourier(spec: pb.FourierTransformSpec, limits: Limits, threads_max: int) -> Plan:
    execution = read_execution(spec.execution, limits, threads_max, "spec.execution")
    if not 0 <= spec.approximation_degree <= 64:
        raise FieldError(
            "spec.approximation_degree", expected="0 to 64", given=spec.approximation_degree
        )
    n, amplitudes = _fourier_input(spec, limits)
    build = inverse_transform if spec.inverse else transform
    loading: list[Operation]
    if amplitudes is None:
        loading = [Gate("x", (q,)) for q in range(n) if (spec.state >> q) & 1]
    else:
        loading = prepare(amplitudes, range(n))
    built = Builder(n, n).add(loading)
    built.add(build(range(n), approximation_degree=spec.approximation_degree))
    circuit = built.measure(range(n)).circuit("fourier-transform")

    def perform(runner: Runner) -> pb.FourierTransformResult:
        outcome = runner.run([circuit], state_vector=runner.exact)[0]
        written = pb.FourierTransformResult()
        started_s = time.monotonic()
        start = amplitudes
        if start is None:
            start = np.zeros(1 << n, dtype=np.complex128)
            start[spec.state] = 1.0
        classical = (np.fft.fft if spec.inverse else np.fft.ifft)(start, norm="ortho")
        elapsed_s = time.monotonic() - started_s
        if outcome.state_vector is not None:
            found = np.asarray(outcome.state_vector, dtype=np.complex128)
            written.amplitudes.CopyFrom(write_tensor(found))
            distance = float(np.abs(found - classical).max())
            what = "fast Fourier transform: greatest distance of an amplitude"
        else:
            total = sum(outcome.counts.values())
            shares = np.zeros(1 << n)
            for state, count in outcome.counts.items():
                written.counts[state] = count
                shares[state] = count / total
            distance = float(0.5 * np.abs(shares - np.abs(classical) ** 2).sum())
            what = "fast Fourier transform: total variation distance of the shares"
        written.baseline.CopyFrom(write_baseline(Baseline(what, distance, True, elapsed_s)))
        return written

    return Plan(execution.work(circuit), perform, _with_resources(limits))


def _fourier_input(
    spec: pb.FourierTransformSpec, limits: Limits
) -> tuple[int, NDArray[np.complex128] | None]:
    allowed = limits["quantum.state_qubits_max"].value
    if spec.HasField("amplitudes"):
        if spec.num_qubits or spec.state:
            raise FieldError(
                "spec.num_qubits", expected="none of it, nor state, with amplitudes", given="both"
            )
        types = {COMPLEX128, COMPLEX64, FLOAT64, FLOAT32}
        given = read_tensor(spec.amplitudes, "spec.amplitudes", shape=("2^n",), dtypes=types)
        size = len(given)
        if size < 2 or size & (size - 1):
            raise FieldError("spec.amplitudes", expected="2^n of them, n at least 1", given=size)
        amplitudes = given.astype(np.complex128)
        norm = float(np.linalg.norm(amplitudes))
        if abs(norm - 1.0) > NORM_TOLERANCE:
            raise FieldError("spec.amplitudes", expected="norm 1 to 1e-9", given=norm)
        n = size.bit_length() - 1
    else:
        n, amplitudes = spec.num_qubits, None
        if n < 1:
            raise FieldError("spec.num_qubits", expected="at least 1, or amplitudes", given=n)
        if n < 64 and spec.state >> n:
            raise FieldError("spec.state", expected=f"0 to {(1 << n) - 1}", given=spec.state)
    if n > allowed:
        path = "spec.num_qubits" if amplitudes is None else "spec.amplitudes"
        raise LimitError("quantum.state_qubits_max", allowed=allowed, given=n, field=path)
    if amplitudes is not None:
        check_operations(4 << n, limits, "spec.amplitudes")
    return n, amplitudes


def read_phase_estimation(spec: pb.PhaseEstimationSpec, limits: Limits, threads_max: int) -> Plan:
    execution = read_execution(spec.execution, limits, threads_max, "spec.execution")
    if not spec.HasField("unitary"):
        raise FieldError("spec.unitary", expected="a circuit", given="nothing")
    with reading.by_limit(execution.time_limit_s, "spec.execution.time_limit"):
        unitary = _unitary(spec.unitary, limits, "spec.unitary")
        preparation = None
        if spec.HasField("state"):
            preparation = _unitary(spec.state, limits, "spec.state")
    state: tuple[Operation, ...] = ()
    if preparation is not None:
        if preparation.num_qubits != unitary.num_qubits:
            raise FieldError(
                "spec.state",
                expected=f"{unitary.num_qubits} qubits, as the unitary has",
                given=preparation.num_qubits,
            )
        state = preparation.operations
    bits = spec.precision_bits
    if not 1 <= bits <= PRECISION_BITS_MAX:
        raise FieldError("spec.precision_bits", expected=f"1 to {PRECISION_BITS_MAX}", given=bits)
    check_operations((len(unitary.operations) + 1) << bits, limits, "spec.precision_bits")
    n = unitary.num_qubits
    circuit = phase_estimation.circuit(unitary.operations, state, n, bits)

    def perform(runner: Runner) -> pb.PhaseEstimationResult:
        found = phase_estimation.estimate(unitary.operations, state, n, bits, runner)
        written = pb.PhaseEstimationResult(
            phase=found.phase,
            resolution=found.resolution,
            distribution=[
                pb.PhaseProbability(phase=phase, probability=weight)
                for phase, weight in found.distribution
            ],
        )
        if found.baseline is not None:
            written.baseline.CopyFrom(write_baseline(found.baseline))
        return written

    return Plan(execution.work(circuit), perform, _with_resources(limits))


def _unitary(given: circuit_pb2.Circuit, limits: Limits, path: str) -> Circuit:
    """A circuit of gates alone; barriers are dropped."""
    from dataclasses import replace

    from ketgate_server.quantum.circuit import Barrier

    _, _, circuit = read_circuit(given, limits, path)
    kept = tuple(op for op in circuit.operations if not isinstance(op, Barrier))
    for operation in kept:
        if not isinstance(operation, Gate):
            place = operation.place
            raise FieldError(
                path,
                expected="gates alone",
                given=f"{type(operation).__name__.lower()} at line {place.line}, "
                f"column {place.column}",
            )
    return replace(circuit, operations=kept)


def read_amplitude_estimation(
    spec: pb.AmplitudeEstimationSpec, limits: Limits, threads_max: int
) -> Plan:
    execution = read_execution(spec.execution, limits, threads_max, "spec.execution")
    epsilon = spec.epsilon or EPSILON_DEFAULT
    if not EPSILON_MIN <= epsilon <= EPSILON_MAX:
        raise FieldError(
            "spec.epsilon", expected=f"{EPSILON_MIN:g} to {EPSILON_MAX:g}", given=epsilon
        )
    alpha = spec.alpha or ALPHA_DEFAULT
    if not 0.0 < alpha < 1.0:
        raise FieldError("spec.alpha", expected="above 0 and below 1", given=alpha)
    match spec.WhichOneof("target"):
        case "circuit":
            return _amplitude(spec, epsilon, alpha, execution, limits)
        case "value_at_risk":
            return _value_at_risk(spec, epsilon, alpha, execution, limits)
    raise FieldError("spec.target", expected="circuit or value_at_risk", given="none of them")


def _amplitude(
    spec: pb.AmplitudeEstimationSpec,
    epsilon: float,
    alpha: float,
    execution: Execution,
    limits: Limits,
) -> Plan:
    given = _unitary(spec.circuit, limits, "spec.circuit")
    n, objective = given.num_qubits, spec.objective_qubit
    if not 0 <= objective < n:
        raise FieldError("spec.objective_qubit", expected=f"0 to {n - 1}", given=objective)
    power = _power_max(epsilon)
    size = (2 * len(given.operations) + 2 * n + 4) * power
    check_operations(size, limits, "spec.epsilon")
    circuit = estimation_circuit(given.operations, n, objective, power)

    def perform(runner: Runner) -> pb.AmplitudeEstimationResult:
        found = estimate(given.operations, n, objective, runner, epsilon=epsilon, alpha=alpha)
        written = _write_interval(found, found.oracle_calls, epsilon, alpha)
        if n <= EXACT_AMPLITUDE_QUBITS_MAX:
            started_s = time.monotonic()
            start = np.zeros(1 << n, dtype=np.complex128)
            start[0] = 1.0
            state = apply(given.operations, start)
            ones = (np.arange(1 << n) >> objective) & 1 == 1
            exact = float((np.abs(state[ones]) ** 2).sum())
            elapsed_s = time.monotonic() - started_s
            written.baseline.CopyFrom(
                write_baseline(Baseline("summation over the state", exact, True, elapsed_s))
            )
        return written

    work = execution.work(circuit, shots=SHOTS_DEFAULT)
    return Plan(work, perform, _with_resources(limits))


def _value_at_risk(
    spec: pb.AmplitudeEstimationSpec,
    epsilon: float,
    alpha: float,
    execution: Execution,
    limits: Limits,
) -> Plan:
    given, path = spec.value_at_risk, "spec.value_at_risk"
    losses = read_float64(given.losses, f"{path}.losses", shape=("m",))
    if not 2 <= len(losses) <= LOSSES_MAX:
        raise FieldError(f"{path}.losses", expected=f"2 to {LOSSES_MAX}", given=len(losses))
    if (np.diff(losses) <= 0).any():
        k = int(np.argmax(np.diff(losses) <= 0)) + 1
        raise FieldError(
            f"{path}.losses", expected="rising losses", given=f"{losses[k]} at element {k}"
        )
    probabilities = read_float64(given.probabilities, f"{path}.probabilities", shape=(len(losses),))
    total = float(probabilities.sum())
    if (probabilities < 0).any() or abs(total - 1.0) > NORM_TOLERANCE:
        raise FieldError(
            f"{path}.probabilities",
            expected="none negative, sum 1 to 1e-9",
            given=f"sum {total!r}, least {float(probabilities.min())!r}",
        )
    if not 0.0 < given.confidence < 1.0:
        raise FieldError(
            f"{path}.confidence", expected="above 0 and below 1", given=given.confidence
        )
    n = (len(losses) - 1).bit_length()
    amplitudes = np.zeros(1 << n, dtype=np.complex128)
    amplitudes[: len(losses)] = np.sqrt(probabilities / total)
    largest = [*prepare(amplitudes, range(n)), *at_most((1 << n) - 2, range(n), n)]
    power = _power_max(epsilon)
    check_operations((2 * len(largest) + 2 * n + 6) * power, limits, "spec.epsilon")
    circuit = estimation_circuit(largest, n + 1, n, power)

    def perform(runner: Runner) -> pb.AmplitudeEstimationResult:
        found: ValueAtRisk = value_at_risk(
            losses, probabilities, given.confidence, runner, epsilon=epsilon, alpha=alpha
        )
        written = _write_interval(found.interval, found.oracle_calls, epsilon, alpha)
        written.value_at_risk = found.value
        written.baseline.CopyFrom(write_baseline(found.baseline))
        return written

    work = execution.work(circuit, shots=SHOTS_DEFAULT)
    return Plan(work, perform, _with_resources(limits))


def _power_max(epsilon: float) -> int:
    """The greatest power that an interval of half width epsilon needs."""
    return max(1, math.ceil(math.pi / (8.0 * epsilon)))


def _write_interval(
    found: Interval, oracle_calls: int, epsilon: float, alpha: float
) -> pb.AmplitudeEstimationResult:
    return pb.AmplitudeEstimationResult(
        estimate=found.estimate,
        lower=found.lower,
        upper=found.upper,
        oracle_calls=oracle_calls,
        monte_carlo_samples=monte_carlo_samples(found.estimate, epsilon, alpha),
    )


def read_factoring(spec: pb.FactoringSpec, limits: Limits, threads_max: int) -> Plan:
    execution = read_execution(spec.execution, limits, threads_max, "spec.execution")
    number = spec.number
    if number < 4:
        raise FieldError("spec.number", expected="4 or more", given=number)
    allowed = limits["quantum.factor_max"].value
    if number > allowed:
        raise LimitError("quantum.factor_max", allowed=allowed, given=number, field="spec.number")
    if spec.base and not 2 <= spec.base < number:
        raise FieldError("spec.base", expected=f"0, or 2 to {number - 1}", given=spec.base)
    if not 0 <= spec.attempts_max <= 1000:
        raise FieldError("spec.attempts_max", expected="0 to 1000", given=spec.attempts_max)
    coprime = next(a for a in range(2, number + 2) if math.gcd(a, number) == 1)
    circuit = order_finding(coprime, number)

    def perform(runner: Runner) -> pb.FactoringResult:
        found = factoring.factor(number, spec.base, spec.attempts_max or 10, runner)
        assert found.baseline is not None
        runner.warnings += found.warnings
        return pb.FactoringResult(
            factors=found.factors,
            found=found.found,
            orders=found.orders,
            shortcut="; ".join(found.shortcuts),
            baseline=write_baseline(found.baseline),
        )

    work = execution.work(circuit, shots=factoring.SHOTS_DEFAULT)
    return Plan(work, perform, _with_resources(limits))


def _with_resources(limits: Limits):  # type: ignore[no-untyped-def]
    """perform wrote the result; its resources are known only now."""

    def write(written, runner: Runner):  # type: ignore[no-untyped-def]
        written.resources.CopyFrom(write_resources(runner, limits))
        return written

    return write
