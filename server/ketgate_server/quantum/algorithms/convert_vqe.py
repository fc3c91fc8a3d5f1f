"""VqeSpec to a plan, and its answer to a message."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from ketgate.quantum.v1 import algorithm_service_pb2 as pb

from ketgate_server.errors import FieldError, LimitError
from ketgate_server.limits import Limit
from ketgate_server.quantum import reading
from ketgate_server.quantum.algorithms import ansatz, ucc, vqe
from ketgate_server.quantum.algorithms.convert_answer import (
    write_baseline,
    write_convergence,
    write_resources,
)
from ketgate_server.quantum.algorithms.convert_execution import (
    check_method,
    check_operations,
    read_execution,
    read_layers,
    read_optimizer,
)
from ketgate_server.quantum.algorithms.optimizer import Angles, OptimizerOptions
from ketgate_server.quantum.algorithms.plan import Plan
from ketgate_server.quantum.algorithms.runner import Runner
from ketgate_server.quantum.circuit import Circuit, Gate
from ketgate_server.quantum.convert_circuits import read_limits
from ketgate_server.quantum.convert_observables import read_pauli_sum
from ketgate_server.quantum.observable import PauliSum
from ketgate_server.type.tensors import read_float64, write_tensor

QUBITS_MAX = 40
"""Beyond, no simulator helps and no exact check is at hand."""

Limits = Mapping[str, Limit]


def read_vqe(spec: pb.VqeSpec, limits: Limits, threads_max: int) -> Plan:
    execution = read_execution(spec.execution, limits, threads_max, "spec.execution")
    optimizer = read_optimizer(spec.optimizer, "spec.optimizer")
    check_method(optimizer, execution, "spec.optimizer")
    hamiltonian, n = _hamiltonian(spec, limits)
    with reading.by_limit(execution.time_limit_s, "spec.execution.time_limit"):
        trial = _ansatz(spec, n, limits)
    starts = _starts(spec, trial, optimizer, execution.options.seed)

    def perform(runner: Runner) -> vqe.Vqe:
        return vqe.run(hamiltonian, trial, starts, runner, optimizer)

    def write(found: vqe.Vqe, runner: Runner) -> pb.VqeResult:
        written = pb.VqeResult(
            energy=found.minimum.value,
            standard_error=found.standard_error,
            parameters=write_tensor(found.minimum.angles),
            parameter_names=trial.parameters,
            convergence=write_convergence(found.convergence),
            resources=write_resources(runner, limits),
        )
        if found.baseline is not None:
            written.baseline.CopyFrom(write_baseline(found.baseline))
        return written

    work = execution.work(trial, hamiltonian)
    return Plan(work, perform, write, repetitions=optimizer.evaluations_max)


def _hamiltonian(spec: pb.VqeSpec, limits: Limits) -> tuple[PauliSum, int]:
    allowed = limits["quantum.pauli_terms_max"].value
    if len(spec.hamiltonian.terms) > allowed:
        raise LimitError(
            "quantum.pauli_terms_max",
            allowed=allowed,
            given=len(spec.hamiltonian.terms),
            field="spec.hamiltonian.terms",
        )
    if not 0 <= spec.num_qubits <= QUBITS_MAX:
        raise FieldError("spec.num_qubits", expected=f"0 to {QUBITS_MAX}", given=spec.num_qubits)
    hamiltonian = read_pauli_sum(spec.hamiltonian, spec.num_qubits or None, "spec.hamiltonian")
    n = spec.num_qubits or max(1, hamiltonian.num_qubits)
    if n > QUBITS_MAX:
        raise FieldError(
            "spec.hamiltonian", expected=f"at most {QUBITS_MAX} qubits", given=f"{n} qubits"
        )
    return hamiltonian, n


def _ansatz(spec: pb.VqeSpec, n: int, limits: Limits) -> Circuit:
    match spec.WhichOneof("ansatz"):
        case "hardware_efficient":
            return _hardware_efficient(spec.hardware_efficient, n, limits)
        case "ucc":
            return _ucc(spec.ucc, n, limits)
        case "circuit":
            return _circuit(spec, n, limits)
    raise FieldError(
        "spec.ansatz", expected="hardware_efficient, ucc or circuit", given="none of them"
    )


def _hardware_efficient(given: pb.HardwareEfficientAnsatz, n: int, limits: Limits) -> Circuit:
    path = "spec.hardware_efficient"
    layers = read_layers(given.layers, limits, f"{path}.layers")
    entanglement = given.entanglement or "linear"
    if entanglement not in ansatz.ENTANGLEMENTS:
        raise FieldError(
            f"{path}.entanglement",
            expected=" or ".join(ansatz.ENTANGLEMENTS),
            given=given.entanglement,
        )
    entangler = given.entangler or "cx"
    if entangler not in ansatz.ENTANGLERS:
        raise FieldError(
            f"{path}.entangler", expected=" or ".join(ansatz.ENTANGLERS), given=given.entangler
        )
    pairs = len(ansatz.entangled_pairs(n, entanglement))
    check_operations(layers * (2 * n + pairs) + 2 * n, limits, f"{path}.layers")
    return ansatz.hardware_efficient(n, layers, entanglement, entangler)


def _ucc(given: pb.UccAnsatz, n: int, limits: Limits) -> Circuit:
    path = "spec.ucc"
    occupied = list(given.occupied) or list(range(given.num_electrons))
    if given.occupied:
        if len(set(occupied)) != len(occupied) or not all(0 <= q < n for q in occupied):
            raise FieldError(
                f"{path}.occupied", expected=f"different qubits, 0 to {n - 1}", given=occupied
            )
        if given.num_electrons not in (0, len(occupied)):
            raise FieldError(
                f"{path}.num_electrons",
                expected=f"{len(occupied)}, as many as occupied",
                given=given.num_electrons,
            )
    elif not 1 <= given.num_electrons < n:
        raise FieldError(
            f"{path}.num_electrons", expected=f"1 to {n - 1}", given=given.num_electrons
        )
    chosen = ucc.excitations(
        n, occupied, doubles_only=given.doubles_only, spin_flips=given.spin_flips
    )
    if not chosen:
        raise FieldError(
            path, expected="an ansatz with excitations", given="none: nothing is empty"
        )
    check_operations(len(chosen) * 8 * (2 * n + 9), limits, path)
    return ucc.circuit(n, occupied, chosen)


def _circuit(spec: pb.VqeSpec, n: int, limits: Limits) -> Circuit:
    path = "spec.circuit"
    if spec.circuit.parameters:
        raise FieldError(
            f"{path}.parameters",
            expected="none: they are looked for",
            given=len(spec.circuit.parameters),
        )
    circuit = reading.read_program(
        spec.circuit.openqasm,
        label=spec.circuit.label,
        limits=read_limits(limits),
        field=f"{path}.openqasm",
    )
    for operation in circuit.walk():
        if not isinstance(operation, Gate):
            place = operation.place
            raise FieldError(
                path,
                expected="gates alone",
                given=f"{type(operation).__name__.lower()} at line {place.line}, "
                f"column {place.column}",
            )
    if circuit.num_qubits < n:
        raise FieldError(
            path, expected=f"at least {n} qubits, as the Hamiltonian has", given=circuit.num_qubits
        )
    return circuit


def _starts(
    spec: pb.VqeSpec, trial: Circuit, optimizer: OptimizerOptions, seed: int
) -> list[Angles]:
    count = len(trial.parameters)
    if spec.HasField("initial_parameters"):
        given = read_float64(spec.initial_parameters, "spec.initial_parameters", shape=(count,))
        first = np.array(given)
    elif spec.WhichOneof("ansatz") == "hardware_efficient":
        first = vqe.random_starts(trial, 1, seed)[0]
    else:
        first = np.zeros(count)
    return [first, *vqe.random_starts(trial, optimizer.starts - 1, seed + 1)]
