"""QAOA as a circuit with parameters, for back ends that take circuits.

Farhi, Goldstone, Gutmann, arXiv:1411.4028; XY mixers: Wang, Rubin, Dominy, Rieffel, PRA 101 (2020)
012320; warm starts: Egger, Marecek, Woerner, Quantum 5 (2021) 479. Each layer is exp(-i gamma C), then
exp(-i beta M). Qubit i is variable i: |0> is spin +1, |1> is binary 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ketgate_server.quantum.algorithms.builder import Builder
from ketgate_server.quantum.algorithms.dicke import dicke
from ketgate_server.quantum.circuit import Circuit
from ketgate_server.quantum.expression import Expression, parameter
from ketgate_server.quantum.observable import PauliSum, PauliTerm
from ketgate_server.quantum.qaoa.problem import Mixer, mixing_pairs
from ketgate_server.type.quadratic import Alphabet, QuadraticFunction

WARM_MARGIN = 0.25
"""A relaxed value nearer to 0 or 1 is moved so far away: at the ends nothing would mix."""


def spin_terms(
    function: QuadraticFunction,
) -> tuple[float, NDArray[np.float64], dict[tuple[int, int], float]]:
    """(constant, fields, couplings) of the energy in z_i = +1 for |0>, -1 for |1>."""
    q = function.quadratic
    fields = np.zeros(function.size)
    couplings: dict[tuple[int, int], float] = {}

    def couple(i: int, j: int, value: float) -> None:
        key = (min(i, j), max(i, j))
        couplings[key] = couplings.get(key, 0.0) + value

    entries = list(zip(q.row.tolist(), q.column.tolist(), q.value.tolist(), strict=True))
    if function.alphabet is Alphabet.SPIN:
        fields += function.linear
        for i, j, value in entries:
            couple(i, j, value)
        return function.offset, fields, {k: v for k, v in couplings.items() if v}
    constant = function.offset + float(function.linear.sum()) / 2.0  # x = (1 - z) / 2
    fields -= function.linear / 2.0
    for i, j, value in entries:
        if i == j:
            constant += value / 2.0
            fields[i] -= value / 2.0
            continue
        constant += value / 4.0
        fields[i] -= value / 4.0
        fields[j] -= value / 4.0
        couple(i, j, value / 4.0)
    return constant, fields, {k: v for k, v in couplings.items() if v}


def hamiltonian(function: QuadraticFunction) -> PauliSum:
    """The energy as an observable."""
    constant, fields, couplings = spin_terms(function)
    terms = [PauliTerm(constant, 0, 0)]
    terms += [PauliTerm(float(h), 0, 1 << i) for i, h in enumerate(fields) if h]
    terms += [PauliTerm(value, 0, 1 << i | 1 << j) for (i, j), value in couplings.items()]
    return PauliSum.of(terms)


def names(layers: int) -> list[str]:
    """Of the parameters: gammas, then betas."""
    return [f"gamma_{k}" for k in range(layers)] + [f"beta_{k}" for k in range(layers)]


def circuit(
    function: QuadraticFunction,
    layers: int,
    mixer: Mixer = Mixer.X,
    *,
    hamming_weight: int = 0,
    warm_start: NDArray[np.float64] | None = None,
    measured: bool = False,
) -> Circuit:
    """With `input` parameters names(layers), in radians."""
    n = function.size
    _, fields, couplings = spin_terms(function)
    built = Builder(n, n if measured else 0)
    tilts = None if warm_start is None else warm_angles(warm_start)
    if mixer is not Mixer.X:
        built.add(dicke(n, hamming_weight))
    elif tilts is None:
        built.each("h", range(n))
    else:
        for qubit, tilt in enumerate(tilts.tolist()):
            built.gate("ry", qubit, angles=(tilt,))
    for k in range(layers):
        gamma, beta = parameter(f"gamma_{k}"), parameter(f"beta_{k}")
        for qubit, field in enumerate(fields.tolist()):
            if field:
                built.gate("rz", qubit, angles=(_times(2.0 * field, gamma),))
        for (i, j), value in couplings.items():
            built.gate("rzz", i, j, angles=(_times(2.0 * value, gamma),))
        _mix(built, n, mixer, beta, tilts)
    if measured:
        built.measure(range(n))
    return built.circuit("qaoa", parameters=names(layers))


def warm_angles(relaxed: NDArray[np.float64]) -> NDArray[np.float64]:
    """The angle of each start state: cos(tilt/2)|0> + sin(tilt/2)|1>."""
    clipped = np.clip(relaxed, WARM_MARGIN, 1.0 - WARM_MARGIN)
    return np.asarray(2.0 * np.arcsin(np.sqrt(clipped)))


def _mix(
    built: Builder,
    n: int,
    mixer: Mixer,
    beta: Expression,
    tilts: NDArray[np.float64] | None,
) -> None:
    if mixer is not Mixer.X:
        for i, j in mixing_pairs(n, mixer):
            built.gate("xx_plus_yy", i, j, angles=(_times(2.0, beta), 0.0))
        return
    for qubit in range(n):
        if tilts is None:
            built.gate("rx", qubit, angles=(_times(2.0, beta),))
        else:
            # About the axis of the start state, which is then the ground state of -mixer as |+> is.
            tilt = float(tilts[qubit])
            built.gate("ry", qubit, angles=(-tilt,))
            built.gate("rz", qubit, angles=(_times(2.0, beta),))
            built.gate("ry", qubit, angles=(tilt,))


def _times(factor: float, angle: Expression) -> Expression:
    return Expression("*", (factor, angle))
