"""Circuits as a caller may hold them: OpenQASM, a file of it, or a framework's own object, which is
converted here by that framework's exporter.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ketgate._errors import InvalidArgument
from ketgate._options import number
from ketgate.quantum.v1 import circuit_pb2

Parameters = Mapping[Any, Any]
"""Values of a circuit's parameters, in radians, by name or by the framework's own symbol; of a vector
of parameters, by its name or itself, all of its values."""


@dataclass(frozen=True)
class Program:
    """A circuit as OpenQASM, and how its framework called what is in it.

    Qubit k of the program is the k-th that the program declares, and bit k of an index.

    >>> print(Program.of(qiskit_circuit).openqasm)
    """

    openqasm: str
    label: str = ""
    """A name to find it by among the results; at most 128 characters."""
    qubits: tuple[Any, ...] | None = None
    """The framework's own qubits or wires, in the order of the program's; None for OpenQASM."""
    framework: str = ""
    """Whose object it was, for example "cirq"; empty for OpenQASM."""
    parameters: Mapping[str, float] = field(default_factory=dict)
    """Values of its `input` parameters."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Names of the framework's parameters, to those in the program."""

    @classmethod
    def of(
        cls, circuit: Any, parameters: Parameters | None = None, *, label: str = ""
    ) -> "Program":
        """A circuit of OpenQASM text, a path of it, or an object of Qiskit, Cirq, PennyLane or Braket.

        A text without a semicolon is a path. parameters: values, by name or by the framework's own
        symbol; each one that the circuit has. Raises InvalidArgument, which says what cannot be
        written as OpenQASM.

        Order of qubits: Qiskit's `circuit.qubits`; Cirq's sorted order; PennyLane's wires as the
        device names them, else whole numbers rising, else by first use; Braket's numbers.
        """
        values = parameters or {}
        if isinstance(circuit, cls):
            made = circuit.bind(values)
        elif isinstance(circuit, str) and not circuit.strip():
            raise InvalidArgument("circuits: expected a program, given no text", field="circuits")
        elif isinstance(circuit, str) and ";" in circuit:
            made = cls(circuit).bind(values)
        elif isinstance(circuit, (str, os.PathLike)):
            made = _read(Path(circuit)).bind(values)
        else:
            made = _exported(circuit, values)
        return replace(made, label=label or made.label)

    def bind(self, parameters: Parameters) -> "Program":
        """The same with values of its parameters, by name or by the framework's own symbol."""
        values = {}
        for key, given in parameters.items():
            name = str(getattr(key, "name", key))
            value = given.item() if isinstance(given, np.ndarray) and given.ndim == 0 else given
            elements = [own for own in self.names if own.startswith(f"{name}[")]
            if is_array(value):
                if len(value) != len(elements):
                    raise InvalidArgument(
                        f"parameters[{name!r}]: expected {len(elements) or 'one'} "
                        f"value{'s' if elements else ''}, given {len(value)}",
                        field="parameters",
                    )
                for k, one in enumerate(value):
                    own = f"{name}[{k}]"
                    values[self.names.get(own, own)] = number(one, f"parameters[{own!r}]", float)
                continue
            values[self.names.get(name, name)] = number(value, f"parameters[{name!r}]", float)
        return replace(self, parameters={**self.parameters, **values}) if values else self

    def message(self) -> circuit_pb2.Circuit:
        """As the contract has it."""
        return circuit_pb2.Circuit(
            openqasm=self.openqasm, parameters=dict(self.parameters), label=self.label
        )

    def position(self, qubit: Any) -> int:
        """Which qubit of the program the framework's own qubit is. Raises InvalidArgument."""
        if self.qubits is not None and qubit in self.qubits:
            return self.qubits.index(qubit)
        known = "no names" if self.qubits is None else ", ".join(map(str, self.qubits))
        raise InvalidArgument(
            f"observables: expected qubits of the circuit ({known}), given {qubit}",
            field="observables",
        )


Circuits = Any
"""A circuit, or a sequence of them."""


def read_circuits(
    circuits: Circuits, parameters: Parameters | Sequence[Parameters] | None = None
) -> list[Program]:
    """Every circuit of a request. parameters: for all circuits, or a sequence with one for each; a
    single circuit with a sequence is run with each of them, and so with arrays of values.
    """
    several = isinstance(circuits, (list, tuple))
    given = list(circuits) if several else [circuits]
    if not given:
        raise InvalidArgument(
            "circuits: expected at least one circuit, given none", field="circuits"
        )
    if isinstance(parameters, Mapping) and len(given) == 1:
        parameters = _swept(parameters, given[0])
    if parameters is None or isinstance(parameters, Mapping):
        values: list[Parameters | None] = [parameters] * len(given)
    else:
        values = list(parameters)
        for one in values:
            if not (one is None or isinstance(one, Mapping)):
                raise InvalidArgument(
                    'parameters: expected values by name, {"theta": 0.3}, or a sequence of such '
                    f"mappings, given {type(one).__name__} in the sequence",
                    field="parameters",
                )
        given = given * len(values) if len(given) == 1 else given
    if len(values) != len(given):
        raise InvalidArgument(
            f"parameters: expected one mapping for each of {len(given)} circuits, given {len(values)}",
            field="parameters",
        )
    return [Program.of(one, of_it) for one, of_it in zip(given, values, strict=True)]


def is_array(value: Any) -> bool:
    """Whether it is a row of values."""
    return isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim == 1)


def _swept(parameters: Parameters, circuit: Any) -> Parameters | list[Parameters]:
    """A mapping for each of the values of arrays, all of one length; without any, as it is. Arrays
    that are the values of a vector of the circuit's parameters stay whole.
    """
    own = getattr(circuit, "parameters", ())
    elements = [] if callable(own) else [str(getattr(one, "name", "")) for one in own]
    if isinstance(circuit, Program):
        elements = list(circuit.names)
    arrays = {}
    for key, value in parameters.items():
        name = str(getattr(key, "name", key))
        whole = any(element.startswith(f"{name}[") for element in elements)
        if is_array(value) and not whole:
            arrays[key] = value
    if not arrays:
        return parameters
    lengths = {str(getattr(key, "name", key)): len(value) for key, value in arrays.items()}
    if len(set(lengths.values())) > 1 or 0 in lengths.values():
        raise InvalidArgument(
            "parameters: expected arrays of one length, a run for each of their values, given "
            + ", ".join(f"{length} of {name}" for name, length in lengths.items()),
            field="parameters",
        )
    return [
        {**parameters, **{key: value[k] for key, value in arrays.items()}}
        for k in range(next(iter(lengths.values())))
    ]


def _read(path: Path) -> Program:
    try:
        return Program(path.read_text(encoding="utf-8"), label=path.stem[:128])
    except (OSError, UnicodeDecodeError, ValueError) as error:
        told = getattr(error, "strerror", None) or str(error)
        raise InvalidArgument(
            f"circuits: {str(path)[:100]!r} is no OpenQASM (which has semicolons), and as a file it "
            f"cannot be read: {told}",
            field="circuits",
        ) from None


def _exported(circuit: Any, parameters: Parameters) -> Program:
    """By the framework whose object it is; one that was not imported can have made none."""
    from ketgate import _circuit_exports as exports

    for package, export in exports.EXPORTS.items():
        if package in sys.modules and any(
            kind.__module__.partition(".")[0] == package for kind in type(circuit).__mro__
        ):
            return replace(export(circuit, parameters), framework=package)
    raise InvalidArgument(
        "circuits: expected OpenQASM text, a path, a ketgate.Program, or a circuit of "
        f"{', '.join(exports.EXPORTS)}, given {type(circuit).__module__}.{type(circuit).__qualname__}",
        field="circuits",
    )
