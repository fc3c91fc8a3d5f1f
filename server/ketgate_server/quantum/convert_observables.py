"""Sums of Pauli strings: observables and Hamiltonians."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ketgate.type.v1 import pauli_pb2

from ketgate_server.errors import FieldError, LimitError
from ketgate_server.limits import Limit
from ketgate_server.quantum.observable import PauliSum, PauliTerm

COEFFICIENT_MAX = 1e100
QUBITS_MAX = 1 << 16
"""Greatest number of a qubit, where nothing else bounds it."""

Limits = Mapping[str, Limit]


def read_observables(
    given: Sequence[pauli_pb2.PauliSum], num_qubits: int, limits: Limits, path: str
) -> tuple[PauliSum, ...]:
    allowed = limits["quantum.observables_max"].value
    if not given:
        raise FieldError(path, expected=f"1 to {allowed} observables", given="none")
    if len(given) > allowed:
        raise LimitError("quantum.observables_max", allowed=allowed, given=len(given), field=path)
    together = sum(len(one.terms) for one in given)
    allowed = limits["quantum.pauli_terms_max"].value
    if together > allowed:
        raise LimitError("quantum.pauli_terms_max", allowed=allowed, given=together, field=path)
    return tuple(
        read_pauli_sum(one, num_qubits, f"{path}[{index}]") for index, one in enumerate(given)
    )


def read_pauli_sum(given: pauli_pb2.PauliSum, num_qubits: int | None, path: str) -> PauliSum:
    """num_qubits: how many there are; None: as many as it names. The number of terms is the
    caller's to check."""
    if not given.terms:
        raise FieldError(f"{path}.terms", expected="at least one term", given="none")
    return PauliSum.of(
        _read_term(term, num_qubits, f"{path}.terms[{index}]")
        for index, term in enumerate(given.terms)
    )


def _read_term(given: pauli_pb2.PauliTerm, num_qubits: int | None, path: str) -> PauliTerm:
    coefficient = given.coefficient
    if not abs(coefficient) <= COEFFICIENT_MAX:
        raise FieldError(
            f"{path}.coefficient",
            expected=f"a finite number of magnitude at most {COEFFICIENT_MAX:g}",
            given=coefficient,
        )
    letters, qubits = given.paulis, given.qubits
    most = QUBITS_MAX if num_qubits is None else num_qubits
    if qubits:
        if len(qubits) != len(letters):
            raise FieldError(
                f"{path}.qubits",
                expected=f"as many as paulis has letters, {len(letters)}",
                given=len(qubits),
            )
        if len(set(qubits)) != len(qubits):
            raise FieldError(f"{path}.qubits", expected="each qubit once", given=list(qubits))
        for qubit in qubits:
            if not 0 <= qubit < most:
                raise FieldError(f"{path}.qubits", expected=f"0 to {most - 1}", given=qubit)
    elif len(letters) > most:
        raise FieldError(
            f"{path}.paulis",
            expected=f"at most {most} letters, as many as the circuits have qubits",
            given=f"{len(letters)}",
        )
    x = z = 0
    for place, letter in enumerate(letters):
        bit = 1 << (qubits[place] if qubits else place)
        match letter:
            case "X":
                x |= bit
            case "Y":
                x |= bit
                z |= bit
            case "Z":
                z |= bit
            case "I":
                pass
            case _:
                raise FieldError(
                    f"{path}.paulis", expected="letters of I, X, Y and Z", given=letter
                )
    return PauliTerm(coefficient, x, z)
