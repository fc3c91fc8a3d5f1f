"""Expectations of Pauli sums on the native simulator: exact, of shots, and their gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from ketgate_native.statevector import KernelGate, Program, StateVector
from numpy.typing import NDArray

from ketgate_server.quantum.circuit import Circuit, Gate
from ketgate_server.quantum.expression import Expression, slope
from ketgate_server.quantum.native.compiled import numbers_of
from ketgate_server.quantum.native.lowering import lowered, lowered_with_slopes
from ketgate_server.quantum.native.shots import How
from ketgate_server.quantum.observable import PauliSum, PauliTerm, qubit_wise_groups

Doubles = NDArray[np.float64]


def support(observables: Sequence[PauliSum]) -> int:
    """Mask of the qubits that they act on."""
    mask = 0
    for observable in observables:
        for term in observable.terms:
            mask |= term.x | term.z
    return mask


def renumbered(observables: Sequence[PauliSum], qubits: Sequence[int]) -> Sequence[PauliSum]:
    """On the numbers of the qubits in the state."""
    if numbers_of(qubits) is None:
        return observables

    def moved(mask: int) -> int:
        return sum(((mask >> qubit) & 1) << i for i, qubit in enumerate(qubits))

    return [
        PauliSum(tuple(PauliTerm(t.coefficient, moved(t.x), moved(t.z)) for t in one.terms))
        for one in observables
    ]


def exact(state: StateVector, observables: Sequence[PauliSum], how: How) -> Doubles:
    """(number of observables,). A string that several share is evaluated once."""
    places: dict[tuple[int, int], int] = {}
    for observable in observables:
        for term in observable.terms:
            places.setdefault((term.x, term.z), len(places))
    x = np.array([x for x, _ in places], dtype=np.uint64)
    z = np.array([z for _, z in places], dtype=np.uint64)
    strings = state.expectations(x, z, threads=how.threads, monitor=how.monitor).tolist()
    return np.array(
        [
            sum(term.coefficient * strings[places[term.x, term.z]] for term in observable.terms)
            for observable in observables
        ],
        dtype=np.float64,
    )


def _turned(state: StateVector, x: int, z: int, how: How) -> StateVector:
    """A copy in which the Paulis of a group are Zs."""
    gates = []
    for qubit in range(state.num_qubits):
        if x >> qubit & 1:
            gates += [Gate("sdg", (qubit,))] * (z >> qubit & 1) + [Gate("h", (qubit,))]
    turned = state.copy()
    if gates:
        given = [lowered(gate) for gate in gates]
        how.apply(turned, Program(state.num_qubits, given, precision=how.precision.value))
    return turned


def _signs(reads: NDArray[np.uint64], term: PauliTerm) -> Doubles:
    parity = np.bitwise_count(reads & np.uint64(term.x | term.z)) & 1
    return np.asarray(1.0 - 2.0 * parity.astype(np.float64))


def sampled(
    state: StateVector, observables: Sequence[PauliSum], shots: int, how: How
) -> tuple[Doubles, Doubles, int]:
    """(values, standard errors, groups). The errors hold the covariance within a group; groups are
    independent of each other."""
    groups = qubit_wise_groups(observables)
    known = [{(t.x, t.z): t.coefficient for t in observable.terms} for observable in observables]
    values = np.array([coefficients.get((0, 0), 0.0) for coefficients in known])
    variances = np.zeros(len(observables))
    qubits = range(state.num_qubits)
    for number, group in enumerate(groups):
        x = z = 0
        for term in group:
            x, z = x | term.x, z | term.z
        read = how.sample(_turned(state, x, z, how), shots, qubits, number)
        reads, counts = np.unique(read, return_counts=True)
        signs = [_signs(reads, term) for term in group]
        for place, coefficients in enumerate(known):
            of_read = np.zeros(len(reads))
            for term, sign in zip(group, signs, strict=True):
                of_read += coefficients.get((term.x, term.z), 0.0) * sign
            mean = float(of_read @ counts) / shots
            values[place] += mean
            if shots > 1:
                variances[place] += float((of_read - mean) ** 2 @ counts) / (shots - 1) / shots
            elif of_read.any():
                variances[place] = np.inf  # one shot tells no spread, which 0 would be
    return values, np.sqrt(variances), len(groups)


def with_gradients(
    circuit: Circuit,
    qubits: Sequence[int],
    observables: Sequence[PauliSum],
    parameters: Mapping[str, float],
    how: How,
) -> tuple[Doubles, Doubles]:
    """(values, gradients by observable and parameter) of an unbound circuit, which must measure at
    its end alone. Adjoint: the time does not grow with the number of parameters."""
    numbers = numbers_of(qubits)
    given: list[KernelGate] = []
    angles: list[Expression] = []
    for gate in circuit.operations:
        if isinstance(gate, Gate):
            one, slots = lowered_with_slopes(gate, parameters, numbers)
            given.append(one)
            angles += slots
    program = Program(len(qubits), given, precision=how.precision.value, gradient=True)
    state = how.state(len(qubits))
    how.apply(state, program)
    chain = _chain(angles, circuit.parameters, parameters)
    gradients = np.zeros((len(observables), len(circuit.parameters)))
    for place, observable in enumerate(observables):
        slopes = state.gradient(
            program, *observable.masks(), threads=how.threads, monitor=how.monitor
        )
        gradients[place] = slopes @ chain
    return exact(state, observables, how), gradients


def _chain(
    angles: Sequence[Expression], names: Sequence[str], values: Mapping[str, float]
) -> Doubles:
    """d angle / d parameter, (angles, parameters). Most angles depend on one parameter."""
    place = {name: k for k, name in enumerate(names)}
    chain = np.zeros((len(angles), len(names)))
    for row, angle in enumerate(angles):
        for name in _named(angle):
            chain[row, place[name]] = slope(angle, values, name)
    return chain


def _named(angle: Expression | float | str) -> set[str]:
    if not isinstance(angle, Expression):
        return set()
    if angle.operator == "parameter":
        return {str(angle.arguments[0])}
    return set().union(*(_named(one) for one in angle.arguments))
