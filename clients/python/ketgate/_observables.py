"""Observables as a caller may hold them: text, mappings and pairs of Pauli strings, and the
operators of Qiskit, Cirq and PennyLane.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from ketgate._circuits import Program
from ketgate._errors import InvalidArgument
from ketgate._options import number
from ketgate.type.v1 import pauli_pb2

Term = tuple[str, list[int], Any]
"""Letters of X, Y, Z, the qubit of each, and the coefficient."""

_FACTOR = re.compile(r"([IXYZ])(\d+)$")
_IMAGINARY_MAX = 1e-12


def read_observables(observables: Any, program: Program) -> list[pauli_pb2.PauliSum]:
    """Every observable of a request. A list, but one of pairs, holds several. program: whose
    framework's qubits an operator may name.
    """
    several = isinstance(observables, (list, tuple)) and not _is_pairs(observables)
    given = list(observables) if several else [observables]
    if not given:
        raise InvalidArgument(
            "observables: expected at least one observable, given none", field="observables"
        )
    return [read_observable(one, program) for one in given]


def read_observable(observable: Any, program: Program | None = None) -> pauli_pb2.PauliSum:
    """An observable: "Z0 Z1"; "0.5*Z0 Z1, -1*X0", a sum; {"Z0 Z1": 0.5, "X0": -1, "": 2}; pairs of
    those; a SparsePauliOp or Pauli; a cirq.PauliSum or PauliString; a PennyLane operator with a Pauli
    form; a PauliSum message. The text "" or "I" is the identity.

    Qubits: Qiskit's by their number; Cirq's and PennyLane's by their place in the circuit, if that
    is of the same framework, else by their number.
    """
    if isinstance(observable, pauli_pb2.PauliSum):
        return observable
    made = pauli_pb2.PauliSum()
    for letters, qubits, coefficient in _terms(observable, program or Program("")):
        term = made.terms.add(coefficient=_real(coefficient), paulis=letters)
        term.qubits.extend(qubits)
    if not made.terms:  # zero, which needs a term to be said
        made.terms.add()
    return made


def _terms(observable: Any, program: Program) -> Iterator[Term]:
    if isinstance(observable, str):
        for letters, coefficient in read_terms(observable):
            yield (*_factors(letters), coefficient)
    elif isinstance(observable, Mapping):
        for text, coefficient in observable.items():
            yield (*_factors(text), coefficient)
    elif _is_pairs(observable):
        for text, coefficient in observable:
            yield (*_factors(text), coefficient)
    else:
        for package, read in _READERS.items():
            if package in sys.modules and _is_of(observable, package):
                yield from read(observable, program)
                return
        raise _strange(observable)


def read_terms(text: str) -> list[tuple[str, float]]:
    """ "0.5*Z0 Z1, -1*X0" as pairs of letters and coefficient; a term without a factor has 1."""
    pairs = []
    for term in text.split(",") if text.strip() else [text]:
        factor, star, letters = term.strip().partition("*")
        try:
            if not term.strip() and "," in text:
                raise ValueError
            pairs.append((letters, float(factor)) if star else (factor, 1.0))
        except ValueError:
            if factor[:1].isalpha():  # "Z0*Z1"
                pairs.append((term.strip(), 1.0))
                continue
            raise InvalidArgument(
                'observables: expected terms such as "Z0 X3" or "0.5*Z0 X3" with commas between, '
                f"given {term.strip()[:100]!r}",
                field="observables",
            ) from None
    return pairs


def _is_of(value: Any, package: str) -> bool:
    return any(kind.__module__.partition(".")[0] == package for kind in type(value).__mro__)


def _is_pairs(observable: Any) -> bool:
    return (
        isinstance(observable, (list, tuple))
        and bool(observable)
        and all(
            isinstance(pair, (list, tuple)) and len(pair) == 2 and isinstance(pair[0], str)
            and not isinstance(pair[1], str)
            for pair in observable
        )
    )  # fmt: skip


def _factors(text: Any) -> tuple[str, list[int]]:
    """ "Z0 X3", "Z0*X3" or "Z0@X3" as letters and qubits."""
    letters, qubits = "", []
    if not isinstance(text, str):
        raise _strange(text)
    for factor in re.split(r"[\s*@]+", text.strip()):
        if factor in ("", "I"):
            continue
        found = _FACTOR.match(factor)
        if found is None:
            hint = (
                "; say which qubit each letter is on, as there are two orders in use"
                if re.fullmatch(r"[IXYZ]+", factor)
                else ""
            )
            raise InvalidArgument(
                f'observables: expected Pauli strings such as "Z0 X3", given {text[:100]!r}{hint}',
                field="observables",
            )
        if found[1] != "I":
            letters += found[1]
            qubits.append(int(found[2]))
    if len(set(qubits)) < len(qubits):
        raise InvalidArgument(
            f"observables: expected each qubit once in a string, given {text[:100]!r}",
            field="observables",
        )
    return letters, qubits


def _of_qiskit(operator: Any, _: Program) -> Iterator[Term]:
    from qiskit.quantum_info import Pauli, SparseObservable, SparsePauliOp

    if isinstance(operator, Pauli):
        operator = SparsePauliOp(operator)
    elif isinstance(operator, SparseObservable):
        operator = SparsePauliOp.from_sparse_observable(operator)
    if not isinstance(operator, SparsePauliOp):
        raise _strange(operator)
    for letters, qubits, coefficient in operator.to_sparse_list():
        yield letters, list(qubits), coefficient


def _of_cirq(operator: Any, program: Program) -> Iterator[Term]:
    import cirq

    if not isinstance(operator, (cirq.PauliSum, cirq.PauliString)):
        raise _strange(operator)
    for string in operator if isinstance(operator, cirq.PauliSum) else [operator]:
        letters, qubits = "", []
        for qubit, pauli in string.items():
            letters += str(pauli)
            qubits.append(_position(qubit, getattr(qubit, "x", None), program, "cirq"))
        yield letters, qubits, string.coefficient


def _of_pennylane(operator: Any, program: Program) -> Iterator[Term]:
    sentence = getattr(operator, "pauli_rep", None)
    if sentence is None:
        raise InvalidArgument(
            f"observables: expected a PennyLane operator that is a sum of Pauli words, given "
            f"{str(operator)[:100]}",
            field="observables",
        )
    for word, coefficient in sentence.items():
        qubits = [
            _position(wire, wire if isinstance(wire, int) else None, program, "pennylane")
            for wire in word
        ]
        yield "".join(word.values()), qubits, coefficient


_READERS = {"qiskit": _of_qiskit, "cirq": _of_cirq, "pennylane": _of_pennylane}


def _position(qubit: Any, own: Any, program: Program, framework: str) -> int:
    """own: the number that the qubit's own name has, if any."""
    if program.framework == framework:
        return program.position(qubit)
    if isinstance(own, int) and own >= 0:
        return own
    raise InvalidArgument(
        f"observables: expected numbered qubits, as the circuit is not of {framework}, given {qubit}",
        field="observables",
    )


def _real(coefficient: Any) -> float:
    try:
        value = complex(coefficient)
    except (TypeError, ValueError):
        raise InvalidArgument(
            f"observables: expected numbers as coefficients, given {str(coefficient)[:100]!r}; "
            "give parameters their values first",
            field="observables",
        ) from None
    if abs(value.imag) > _IMAGINARY_MAX * max(1.0, abs(value.real)):
        raise InvalidArgument(
            f"observables: expected real coefficients, given {value}", field="observables"
        )
    return float(number(value.real, "observables", float))


def _strange(given: Any) -> InvalidArgument:
    kind = type(given)
    return InvalidArgument(
        'observables: expected Pauli strings ("Z0 Z1", "0.5*Z0, X1", {"Z0 Z1": 0.5}, pairs of these) or an operator '
        f"of Qiskit, Cirq or PennyLane, given {kind.__module__}.{kind.__qualname__}",
        field="observables",
    )
