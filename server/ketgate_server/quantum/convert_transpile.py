"""TranspileCircuit: what is asked for, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ketgate.quantum.v1 import quantum_service_pb2 as pb

from ketgate_server.errors import FieldError, NotFound
from ketgate_server.limits import Limit
from ketgate_server.quantum.catalogue import Catalogue
from ketgate_server.quantum.circuit import Circuit
from ketgate_server.quantum.compiler import Compiled
from ketgate_server.quantum.convert_circuits import read_circuits
from ketgate_server.quantum.convert_options import read_level
from ketgate_server.quantum.convert_result import duration, write_resources
from ketgate_server.quantum.gates import GATES, is_symmetric
from ketgate_server.quantum.openqasm.write import write2, write3
from ketgate_server.quantum.routing import what_there_is
from ketgate_server.quantum.transpile.target import Target

Pairs = tuple[tuple[int, int], ...]

QUBITS_MAX = 4_096
COUPLING_MAX = 1_000_000


@dataclass(frozen=True)
class Transpilation:
    """What is asked for."""

    circuits: tuple[Circuit, ...]
    target: Target
    level: int
    seed: int
    format: int


def read_transpilation(
    request: pb.TranspileCircuitRequest, limits: Mapping[str, Limit], catalogue: Catalogue
) -> Transpilation:
    """Raises FieldError, LimitError, PROGRAM_INVALID and RESOURCE_NOT_FOUND."""
    _, _, circuits = read_circuits(request.circuits, limits, "circuits")
    if request.format not in pb.CircuitFormat.values():
        raise FieldError("format", expected="a format of the contract", given=request.format)
    level = request.optimization_level if request.HasField("optimization_level") else 1
    largest = max(circuit.num_qubits for circuit in circuits)
    return Transpilation(
        circuits=circuits,
        target=_read_target(request, catalogue, largest),
        level=read_level(level, "optimization_level"),
        seed=request.seed,
        format=request.format,
    )


def _read_target(request: pb.TranspileCircuitRequest, catalogue: Catalogue, largest: int) -> Target:
    if request.backend:
        for name in ("basis_gates", "coupling"):
            if getattr(request, name):
                raise FieldError(name, expected="nothing beside backend", given="values")
        entry = catalogue.get(request.backend)
        if entry is None:
            hint = what_there_is(request.backend, catalogue)
            raise NotFound(request.backend, "backend", hint=hint)
        description = entry.describe()
        if largest > description.num_qubits:
            raise FieldError(
                "circuits",
                expected=f"at most {description.num_qubits} qubits, as {request.backend} has",
                given=f"{largest}",
            )
        is_device = bool(description.coupling)
        basis = description.basis_gates or tuple(GATES)
        return Target(
            basis,
            _in_both_orders(description.coupling, basis),
            description.num_qubits if is_device else largest,
        )
    for index, gate in enumerate(request.basis_gates):
        if gate not in GATES:
            known = "a gate of the standard library"
            raise FieldError(f"basis_gates[{index}]", expected=known, given=gate)
    if not request.basis_gates:
        raise FieldError("basis_gates", expected="gates, or a backend", given="neither")
    pairs = _read_coupling(request.coupling)
    num_qubits = max((max(pair) + 1 for pair in pairs), default=largest)
    if largest > num_qubits:
        raise FieldError(
            "coupling", expected=f"pairs of all {largest} qubits", given=f"of {num_qubits}"
        )
    return Target(tuple(request.basis_gates), pairs, num_qubits)


def _in_both_orders(pairs: Pairs, basis: Sequence[str]) -> Pairs:
    """A device tells each pair once. Where it has a gate for which the order of the qubits does not
    matter, a compiler that takes that order for a rule would turn gates round for nothing."""
    if not any(is_symmetric(name) for name in basis if name in GATES):
        return pairs
    known = set(pairs)
    return pairs + tuple((b, a) for a, b in pairs if (b, a) not in known)


def _read_coupling(given: Sequence[int]) -> tuple[tuple[int, int], ...]:
    if len(given) % 2 or len(given) > COUPLING_MAX:
        raise FieldError(
            "coupling",
            expected=f"pairs, at most {COUPLING_MAX // 2}",
            given=f"{len(given)} numbers",
        )
    pairs = tuple(zip(given[::2], given[1::2], strict=True))
    for index, (a, b) in enumerate(pairs):
        if not (0 <= a < QUBITS_MAX and 0 <= b < QUBITS_MAX) or a == b:
            raise FieldError(
                f"coupling[{2 * index}]",
                expected=f"two different qubits of 0 to {QUBITS_MAX - 1}",
                given=f"{a}, {b}",
            )
    return pairs


def write_transpiled(
    asked: Transpilation, compiled: Sequence[Compiled]
) -> list[pb.TranspiledCircuit]:
    written = []
    write = write2 if asked.format == pb.CIRCUIT_FORMAT_OPENQASM2 else write3
    for circuit, one in zip(asked.circuits, compiled, strict=True):
        made = one.transpiled
        written.append(
            pb.TranspiledCircuit(
                openqasm=write(made.circuit),
                before=write_resources(circuit, circuit.label),
                after=write_resources(made.circuit, circuit.label),
                initial_layout=made.initial_layout,
                final_layout=made.final_layout,
                compiler=made.compiler,
                compiling=duration(one.compiling_s),
            )
        )
    return written
