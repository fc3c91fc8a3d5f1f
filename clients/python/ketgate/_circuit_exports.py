"""Circuits of Qiskit, Cirq, PennyLane and Braket as OpenQASM, each by its own framework's exporter.

What an exporter leaves out or cannot say is refused here by name: nothing is lost silently.
"""

import re
import unicodedata
from collections.abc import Callable
from typing import Any

from ketgate._circuits import Parameters, Program
from ketgate._errors import InvalidArgument

_NAME = re.compile(r"[^A-Za-z0-9_]+")
_RESERVED = frozenset(
    """
    pi tau euler im input output gate def bit qubit int uint float bool let if else for while in switch
    box measure reset barrier delay const extern return sin cos tan exp log sqrt arcsin arccos arctan
    U gphase p x y z h s sdg t tdg sx id rx ry rz cx cy cz cp crx cry crz ch swap ccx cswap cu u1 u2 u3
    CX phase cphase
    """.split()  # noqa: SIM905
)
"""Words and gates of OpenQASM 3, which no parameter can be called by."""
_CIRQ_DIGITS = 17
"""Its default of 10 digits loses the angles' others."""


def from_qiskit(circuit: Any, parameters: Parameters) -> Program:
    """A QuantumCircuit. Its parameters stay, as `input`, under names that OpenQASM allows. A phase
    of the whole that depends on them, which nothing can measure, is left out.
    """
    from qiskit import qasm3
    from qiskit.circuit import Parameter, QuantumCircuit

    if not isinstance(circuit, QuantumCircuit):
        raise _strange(circuit, "a qiskit.QuantumCircuit")
    label = str(circuit.name or "")[:128]
    circuit = _in_one_register(circuit)
    names = {parameter.name: _safe(parameter.name) for parameter in circuit.parameters}
    if len(set(names.values())) < len(names):
        raise InvalidArgument(
            f"circuits: expected parameters whose names differ as identifiers, given {', '.join(names)}",
            field="circuits",
        )
    renamed = {p: Parameter(names[p.name]) for p in circuit.parameters if names[p.name] != p.name}
    if renamed:
        circuit = circuit.assign_parameters(renamed)
    try:
        text = qasm3.dumps(circuit)
    except Exception as error:  # the exporter's own kinds, and what its parts raise
        raise _unwritable("Qiskit", error) from error
    # The exporter renames once more what a gate of the circuit is called, too.
    declared = re.findall(r"^input float\[64\] (\w+);", text, re.MULTILINE)
    exported = dict(zip((p.name for p in circuit.parameters), declared, strict=True))
    names = {own: exported[safe] for own, safe in names.items()}
    phase = circuit.global_phase
    if isinstance(phase, (int, float)) and phase:  # the exporter leaves it out
        text += f"gphase({float(phase)!r});\n"
    return Program(text, label, qubits=tuple(circuit.qubits), names=names).bind(parameters)


def _in_one_register(circuit: Any) -> Any:
    """The circuit with its qubits, in their own order, in one register: the exporter would declare
    loose ones first. Loose bits go into a register too, where a result can name them.
    """
    from qiskit.circuit import ClassicalRegister, QuantumCircuit, QuantumRegister

    held = [bit for register in circuit.qregs for bit in register]
    bits = [bit for register in circuit.cregs for bit in register]
    if held == list(circuit.qubits) and bits == list(circuit.clbits):
        return circuit
    if len(set(bits)) < len(bits):
        raise InvalidArgument(
            "circuits: expected classical registers that share no bit", field="circuits"
        )
    loose = [bit for bit in circuit.clbits if bit not in set(bits)]
    registers = [*circuit.cregs, *([ClassicalRegister(bits=loose, name="loose")] if loose else [])]
    flat = QuantumCircuit(QuantumRegister(len(circuit.qubits), "q"), *registers)
    return flat.compose(circuit, qubits=flat.qubits, clbits=circuit.clbits)


def from_cirq(circuit: Any, parameters: Parameters) -> Program:
    """A Circuit or FrozenCircuit. Its parameters are replaced by their values: Cirq cannot export
    symbols.
    """
    import cirq

    if not isinstance(circuit, cirq.AbstractCircuit):
        raise _strange(circuit, "a cirq.Circuit")
    resolved = cirq.resolve_parameters(circuit, cirq.ParamResolver(dict(parameters)))
    missing = sorted(cirq.parameter_names(resolved))
    if missing:
        raise InvalidArgument(
            f"parameters: expected a value for each symbol of the Cirq circuit, given none for "
            f"{', '.join(missing)}",
            field="parameters",
        )
    qubits = tuple(sorted(resolved.all_qubits()))
    try:
        text = resolved.to_qasm(qubit_order=qubits, precision=_CIRQ_DIGITS, version="3.0")
    except Exception as error:  # TypeError, ValueError and others
        raise _unwritable("Cirq", error) from error
    return Program(text, qubits=qubits)


def from_pennylane(circuit: Any, parameters: Parameters) -> Program:
    """A QNode without arguments, or a QuantumScript: `qml.workflow.construct_tape(qnode)(*arguments)`.

    sample, counts and probs of wires become measurements of them, in their order, into the register
    `c`: the first wire is bit 0. Mid-circuit measurements are in the register `mcms`. expval, var
    and state measure nothing.
    """
    import pennylane as qml

    device_wires: Any = None
    if isinstance(circuit, qml.QNode):
        device_wires = circuit.device.wires
        try:
            circuit = qml.workflow.construct_tape(circuit)()
        except TypeError as error:
            raise InvalidArgument(
                f"circuits: expected a QNode without arguments, given one that needs some ({error}); "
                "pass qml.workflow.construct_tape(qnode)(*arguments)",
                field="circuits",
            ) from None
    if not isinstance(circuit, qml.tape.QuantumScript):
        raise _strange(circuit, "a pennylane QNode or QuantumScript")
    wires = _wire_order(list(circuit.wires), list(device_wires or ()))
    measured = _measured_wires(circuit, wires)
    try:
        text = qml.to_openqasm(
            circuit, wires=qml.wires.Wires(wires), rotations=False, measure_all=False
        )
    except Exception as error:  # its own kinds, and what decompositions raise
        raise _unwritable("PennyLane", error) from error
    # It measures every wire that the tape does, in the wires' own order and into bits of theirs.
    text = re.sub(
        r"^(creg c\[\d+\];|measure q\[\d+\] -> c\[\d+\];)\n", "", text, flags=re.MULTILINE
    )
    if measured:
        lines = [f"measure q[{wires.index(wire)}] -> c[{i}];" for i, wire in enumerate(measured)]
        text += f"creg c[{len(measured)}];\n" + "\n".join(lines) + "\n"
    return Program(text, qubits=tuple(wires)).bind(parameters)


def _wire_order(used: list[Any], device: list[Any]) -> list[Any]:
    if device and set(used) <= set(device):
        return device
    return sorted(used) if all(isinstance(wire, int) for wire in used) else used


def _measured_wires(tape: Any, wires: list[Any]) -> list[Any]:
    """The wires whose readings the tape asks for. Raises where that needs other gates before it."""
    asked: list[list[Any]] = []
    for process in tape.measurements:
        kind = type(process).__name__
        if kind in ("ExpectationMP", "VarianceMP", "StateMP", "DensityMatrixMP"):
            continue
        if getattr(process, "mv", None) is not None:
            continue  # of a mid-circuit measurement, which has its own register
        if kind not in ("SampleMP", "CountsMP", "ProbabilityMP") or process.obs is not None:
            raise InvalidArgument(
                f"circuits: expected sample, counts or probs of wires, given {process}; estimate an "
                "observable with client.quantum.estimate",
                field="circuits",
            )
        asked.append(list(process.wires) or wires)
    if any(one != asked[0] for one in asked):
        raise InvalidArgument(
            f"circuits: expected measurements of the same wires, given {asked}", field="circuits"
        )
    return asked[0] if asked else []


def from_braket(circuit: Any, parameters: Parameters) -> Program:
    """A Circuit. Its FreeParameters stay, as `input`. Result types, noise, unitaries and verbatim
    boxes are no OpenQASM but pragmas of Braket's, and are refused.
    """
    from braket.circuits import Circuit

    from ketgate._braket_gates import defined

    if not isinstance(circuit, Circuit):
        raise _strange(circuit, "a braket.circuits.Circuit")
    try:
        text = circuit.to_ir("OPENQASM").source
    except Exception as error:  # its own kinds
        raise _unwritable("Braket", error) from error
    pragma = re.search(r"^\s*#pragma (.*)$", text, re.MULTILINE)
    if pragma:
        raise InvalidArgument(
            f"circuits: expected a Braket circuit of gates and measurements, given one with "
            f"`{pragma[1][:100]}`; leave it out and use the options state_vector=, noise= or "
            "client.quantum.estimate",
            field="circuits",
        )
    names = {name: _safe(name) for name in re.findall(r"^input float (\w+);", text, re.MULTILINE)}
    for own, safe in names.items():
        if own != safe:  # a gate's name is followed by its qubits or its angles; a parameter is not
            text = re.sub(rf"\b{own}\b(?!\s*\(|\s+q\b)", safe, text)
    declared = re.search(r"qubit\[(\d+)\]", text)
    qubits = tuple(range(int(declared[1]) if declared else 0))
    return Program(defined(text), qubits=qubits, names=names).bind(parameters)


EXPORTS: dict[str, Callable[[Any, Parameters], Program]] = {
    "qiskit": from_qiskit,
    "cirq": from_cirq,
    "pennylane": from_pennylane,
    "braket": from_braket,
}
"""By the package whose object it is."""


def _latin(letter: str) -> str:
    _, _, greek = unicodedata.name(letter, "").partition("GREEK ")
    case, _, word = greek.partition(" LETTER ")
    if case not in ("SMALL", "CAPITAL") or not word.isalpha():
        return letter
    word = word.lower().replace("lamda", "lambda")
    return word if case == "SMALL" else word.capitalize()


def _safe(name: str) -> str:
    """Greek letters by their names: with none, `β[0]` and `γ[0]` of one circuit would be the same."""
    made = _NAME.sub("_", "".join(map(_latin, name))).strip("_") or "parameter"
    return f"p_{made}" if made[0].isdigit() or made in _RESERVED else made


def _strange(given: Any, expected: str) -> InvalidArgument:
    return InvalidArgument(
        f"circuits: expected {expected}, given {type(given).__module__}.{type(given).__qualname__}",
        field="circuits",
    )


def _unwritable(framework: str, error: Exception) -> InvalidArgument:
    return InvalidArgument(
        f"circuits: {framework} cannot write this circuit as OpenQASM: {str(error)[:300]}",
        field="circuits",
    )
