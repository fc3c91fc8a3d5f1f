"""Light cones: what one term of the energy depends on after p layers.

A term's expectation is that of the circuit of the spins within p couplings of it; couplings and fields among the
outermost cancel (Farhi, Goldstone, Gutmann, arXiv:1411.4028). Cones that are equal up to names are computed once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ketgate_server.quantum.qaoa.problem import Floats, Indices, QaoaProblem

Form = tuple[int, tuple[float, ...], tuple[tuple[int, int, float], ...], int]
"""Spins, their fields, couplings (i < j), and of how many spins, the first ones, the term is."""
Neighbours = list[dict[int, float]]


@dataclass(frozen=True)
class Cone:
    """A small problem whose first one or two spins are the term."""

    linear: Floats
    row: Indices
    col: Indices
    weight: Floats
    term: int
    factor: float
    """Sum of the coefficients of the terms that have this cone."""

    @property
    def size(self) -> int:
        return len(self.linear)


class TooWide(ValueError):  # noqa: N818 - a property of the problem
    """A cone has more spins than allowed."""

    def __init__(self, size: int, allowed: int) -> None:
        super().__init__(f"a light cone has {size} spins or more; {allowed} can be simulated")
        self.size, self.allowed = size, allowed


def light_cones(problem: QaoaProblem, layers: int, size_max: int) -> list[Cone]:
    """The cones of all terms, equal ones joined. Raises TooWide."""
    neighbours: Neighbours = [{} for _ in range(problem.size)]
    for i, j, w in zip(
        problem.row.tolist(), problem.col.tolist(), problem.weight.tolist(), strict=True
    ):
        neighbours[i][j] = neighbours[i].get(j, 0.0) + w
        neighbours[j][i] = neighbours[j].get(i, 0.0) + w
    terms: list[tuple[tuple[int, ...], float]] = [
        ((i,), float(h)) for i, h in enumerate(problem.linear.tolist()) if h
    ]
    terms += [
        ((i, j), w) for i, near in enumerate(neighbours) for j, w in near.items() if i < j and w
    ]
    factors: dict[Form, float] = defaultdict(float)
    for roots, factor in terms:
        factors[_form(problem, neighbours, roots, layers, size_max)] += factor
    return [_cone(form, factor) for form, factor in factors.items()]


def _within(
    neighbours: Neighbours, roots: tuple[int, ...], layers: int, size_max: int
) -> dict[int, int]:
    """Distance of every spin of the cone."""
    distance = dict.fromkeys(roots, 0)
    ring = list(roots)
    for step in range(1, layers + 1):
        ring = list(dict.fromkeys(j for i in ring for j in neighbours[i] if j not in distance))
        distance.update(dict.fromkeys(ring, step))
        if len(distance) > size_max:
            raise TooWide(len(distance), size_max)
    return distance


def _form(
    problem: QaoaProblem,
    neighbours: Neighbours,
    roots: tuple[int, ...],
    layers: int,
    size_max: int,
) -> Form:
    distance = _within(neighbours, roots, layers, size_max)
    near = {
        i: {
            j: w
            for j, w in neighbours[i].items()
            if j in distance and (d < layers or distance[j] < layers)
        }
        for i, d in distance.items()
    }
    fields = {i: float(problem.linear[i]) if d < layers else 0.0 for i, d in distance.items()}
    order = _ordered(near, {i: (d, fields[i]) for i, d in distance.items()})
    name = {i: k for k, i in enumerate(order)}
    couplings = sorted(
        (name[i], name[j], w)
        for i, others in near.items()
        for j, w in others.items()
        if name[i] < name[j]
    )
    return len(order), tuple(fields[i] for i in order), tuple(couplings), len(roots)


def _ordered(near: dict[int, dict[int, float]], look: dict[int, tuple[int, float]]) -> list[int]:
    """The spins in an order that depends on names as little as colour refinement can tell them apart.

    Ties are broken one spin at a time. A tie between spins that are not alike could give equal cones different
    forms, and then costs time; different cones never get one form, as the form is the whole cone.
    """
    colour: dict[int, int] = _ranked(look)
    while True:
        refined = _ranked(
            {
                i: (c, tuple(sorted((w, colour[j]) for j, w in near[i].items())))
                for i, c in colour.items()
            }
        )
        if refined != colour and len(set(refined.values())) > len(set(colour.values())):
            colour = refined
            continue
        classes: dict[int, list[int]] = defaultdict(list)
        for i, c in refined.items():
            classes[c].append(i)
        tied = next((classes[c] for c in sorted(classes) if len(classes[c]) > 1), None)
        if tied is None:
            return sorted(refined, key=refined.__getitem__)
        colour = {i: 2 * c + (c == refined[tied[0]] and i != tied[0]) for i, c in refined.items()}


def _ranked(look: Mapping[int, tuple[Any, ...]]) -> dict[int, int]:
    ranks = {value: k for k, value in enumerate(sorted(set(look.values())))}
    return {i: ranks[value] for i, value in look.items()}


def _cone(form: Form, factor: float) -> Cone:
    _, fields, couplings, term = form
    return Cone(
        np.array(fields),
        np.array([i for i, _, _ in couplings], dtype=np.int64),
        np.array([j for _, j, _ in couplings], dtype=np.int64),
        np.array([w for _, _, w in couplings], dtype=np.float64),
        term,
        factor,
    )
