"""Compilation by Qiskit's preset passes. Imports Qiskit: to be called in a worker process."""

from __future__ import annotations

import warnings
from functools import lru_cache

import qiskit
from qiskit.transpiler import (
    CouplingMap,
    PassManager,
    TranspilerError,
    generate_preset_pass_manager,
)

from ketgate_server.errors import KetgateError, Reason
from ketgate_server.quantum.circuit import Circuit, Gate
from ketgate_server.quantum.gates import GATES
from ketgate_server.quantum.transpile.from_qiskit import from_qiskit
from ketgate_server.quantum.transpile.plugins import own_plugins_only
from ketgate_server.quantum.transpile.qiskit_circuit import Unconvertible, to_qiskit
from ketgate_server.quantum.transpile.target import Target, Transpiled

COMPILER = f"qiskit {qiskit.__version__}"
_SEED_BITS = 31


def transpile(circuit: Circuit, target: Target, level: int, seed: int) -> Transpiled:
    """The circuit in the target's gates, between its pairs. Same arguments, same result.

    level: 0, what must be, to 3, the most. seed: of layout and routing, below 2^64. Raises
    KetgateError (BACKEND_UNSUITABLE) where the gates cannot say what the circuit says.
    """
    unknown = [name for name in target.basis_gates if name not in GATES]
    if unknown:
        raise _refusal(f"the basis gate {unknown[0]!r} is none that is known")
    num_qubits = target.num_qubits or circuit.num_qubits
    if circuit.num_qubits > num_qubits:
        raise _refusal(f"{circuit.num_qubits} qubits do not fit onto {num_qubits}")
    try:
        with warnings.catch_warnings(), own_plugins_only():
            warnings.simplefilter("ignore")  # Qiskit's own, about its own passes
            key = (target.basis_gates, target.coupling, num_qubits, level, _folded(seed))
            out = _passes(*key).run(to_qiskit(circuit))
            compiled = from_qiskit(out, label=circuit.label)
    except Unconvertible as problem:
        raise _refusal(str(problem)) from None
    except TranspilerError as error:
        gates = ", ".join(target.basis_gates)
        raise _refusal(f"no way to write it in the gates {gates}: {error.message}") from None
    stray = _stray(compiled, target.basis_gates)
    if stray is not None:
        gates = ", ".join(target.basis_gates)
        raise _refusal(f"no way to write the gate {stray!r} in the gates {gates}")
    layout = out.layout
    every = range(circuit.num_qubits)
    first = layout.initial_index_layout(filter_ancillas=True) if layout else every
    last = layout.final_index_layout(filter_ancillas=True) if layout else every
    return Transpiled(compiled, tuple(first), tuple(last), COMPILER)


@lru_cache(maxsize=32)
def _passes(
    basis: tuple[str, ...],
    coupling: tuple[tuple[int, int], ...],
    num_qubits: int,
    level: int,
    seed: int,
) -> PassManager:
    pairs = None
    if coupling:
        pairs = CouplingMap(coupling)
        for qubit in range(num_qubits):
            if qubit not in pairs.physical_qubits:
                pairs.add_physical_qubit(qubit)
    return generate_preset_pass_manager(
        optimization_level=level,
        basis_gates=[name for name in basis if name != "gphase"],
        coupling_map=pairs,
        seed_transpiler=seed,
    )


def _folded(seed: int) -> int:
    """Into what Qiskit takes as a seed, all bits counting."""
    while seed >> _SEED_BITS:
        seed = (seed >> _SEED_BITS) ^ (seed & ((1 << _SEED_BITS) - 1))
    return seed


def _stray(circuit: Circuit, basis: tuple[str, ...]) -> str | None:
    """A gate that is not in the basis, if there is one. A global phase is no gate of a device."""
    allowed = {*basis, "gphase"}
    for operation in circuit.walk():
        if isinstance(operation, Gate) and (
            operation.name not in allowed or operation.controls or operation.power != 1.0
        ):
            return operation.name
    return None


def _refusal(problem: str) -> KetgateError:
    return KetgateError(Reason.BACKEND_UNSUITABLE, f"the circuit cannot be compiled: {problem}")
