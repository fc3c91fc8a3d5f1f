"""Programs and the values of their parameters. Every refusal names the field, and of a program line
and column."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ketgate.quantum.v1 import circuit_pb2

from ketgate_server.errors import FieldError, LimitError
from ketgate_server.limits import Limit
from ketgate_server.quantum.circuit import Circuit
from ketgate_server.quantum.openqasm.read import ReadLimits
from ketgate_server.quantum.reading import read_program

LABEL_CHARACTERS_MAX = 128
BOUND_KEPT_MAX = 256
BOUND_OPERATIONS_MAX = 10_000
"""Of a circuit that is kept."""

Limits = Mapping[str, Limit]


def read_circuits(
    given: Sequence[circuit_pb2.Circuit], limits: Limits, path: str
) -> tuple[tuple[Circuit, ...], tuple[Mapping[str, float], ...], tuple[Circuit, ...]]:
    """(circuits as read, values of their parameters, bound circuits)."""
    allowed = limits["quantum.circuits_max"].value
    if not given:
        raise FieldError(path, expected=f"1 to {allowed} circuits", given="none")
    if len(given) > allowed:
        raise LimitError("quantum.circuits_max", allowed=allowed, given=len(given), field=path)
    together = sum(len(one.openqasm) for one in given)
    allowed = limits["quantum.programs_bytes_max"].value
    if together > allowed:
        raise LimitError("quantum.programs_bytes_max", allowed=allowed, given=together, field=path)
    circuits, parameters, bound = [], [], []
    for index, one in enumerate(given):
        circuit, values, own = read_circuit(one, limits, f"{path}[{index}]")
        circuits.append(circuit)
        parameters.append(values)
        bound.append(own)
    return tuple(circuits), tuple(parameters), tuple(bound)


def read_circuit(
    given: circuit_pb2.Circuit, limits: Limits, path: str
) -> tuple[Circuit, Mapping[str, float], Circuit]:
    """(as read, values of its parameters, bound)."""
    if len(given.label) > LABEL_CHARACTERS_MAX:
        raise FieldError(
            f"{path}.label",
            expected=f"at most {LABEL_CHARACTERS_MAX} characters",
            given=f"{len(given.label)}",
        )
    if not given.openqasm:
        raise FieldError(f"{path}.openqasm", expected="a program in OpenQASM", given="nothing")
    circuit = read_program(
        given.openqasm,
        label=given.label,
        limits=read_limits(limits),
        field=f"{path}.openqasm",
    )
    values = _read_parameters(given, circuit, f"{path}.parameters")
    if not circuit.parameters:
        return circuit, values, circuit
    try:
        return circuit, values, _bound(circuit, tuple(values.items()))
    except (ValueError, ZeroDivisionError, OverflowError) as error:
        raise FieldError(
            f"{path}.parameters",
            expected="values for which every angle of the program is a number",
            given=", ".join(f"{name} = {value:g}" for name, value in values.items()),
            hint=str(error),
        ) from None


_known: dict[tuple[str, tuple[tuple[str, float], ...]], Circuit] = {}
"""Bound circuits by digest of the source and values: what was compiled for one is found again by
it."""


def _bound(circuit: Circuit, values: tuple[tuple[str, float], ...]) -> Circuit:
    key = (circuit.source_digest, values)
    bound = _known.get(key) if circuit.source_digest else None
    if bound is None:
        bound = circuit.bind(dict(values))
        while len(_known) >= BOUND_KEPT_MAX:
            _known.pop(next(iter(_known)), None)
        if len(circuit.operations) <= BOUND_OPERATIONS_MAX:
            _known[key] = bound
    return bound if bound.label == circuit.label else replace(bound, label=circuit.label)


def read_limits(limits: Limits) -> ReadLimits:
    return ReadLimits(
        program_bytes_max=limits["quantum.program_bytes_max"].value,
        operations_max=limits["quantum.operations_max"].value,
        qubits_max=limits["quantum.program_qubits_max"].value,
    )


def _read_parameters(
    given: circuit_pb2.Circuit, circuit: Circuit, path: str
) -> Mapping[str, float]:
    values = dict(given.parameters)
    known = set(circuit.parameters)
    for name, value in values.items():
        if name not in known:
            has = ", ".join(circuit.parameters) or "none"
            raise FieldError(path, expected=f"input parameters of the program ({has})", given=name)
        if not math.isfinite(value):
            raise FieldError(f"{path}[{name}]", expected="a finite number", given=value)
    missing = [name for name in circuit.parameters if name not in values]
    if missing:
        raise FieldError(
            path,
            expected="a value for each input parameter of the program",
            given=f"none for {', '.join(missing)}",
        )
    return {name: values[name] for name in circuit.parameters}
