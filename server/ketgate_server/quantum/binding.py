"""Values for the parameters of a circuit."""

import math
from collections.abc import Mapping
from dataclasses import replace

from ketgate_server.quantum.circuit import Circuit, Gate, If, Operation
from ketgate_server.quantum.expression import Expression, evaluate


def bind(circuit: Circuit, values: Mapping[str, float]) -> Circuit:
    """The circuit with every parameter replaced by its value. KeyError for a missing one;
    ValueError, ZeroDivisionError or OverflowError for an angle that is then no finite number."""
    if not circuit.parameters:
        return circuit
    return replace(
        circuit,
        operations=tuple(_bound(operation, values) for operation in circuit.operations),
        parameters=(),
    )


def _bound(operation: Operation, values: Mapping[str, float]) -> Operation:
    if isinstance(operation, Gate):
        if any(isinstance(angle, Expression) for angle in operation.parameters):
            angles = tuple(evaluate(angle, values) for angle in operation.parameters)
            if not all(map(math.isfinite, angles)):
                raise ValueError(f"an angle of {operation.name} is {angles}")
            return replace(operation, parameters=angles)
        return operation
    if isinstance(operation, If):
        return replace(
            operation,
            then=tuple(_bound(inner, values) for inner in operation.then),
            otherwise=tuple(_bound(inner, values) for inner in operation.otherwise),
        )
    return operation
