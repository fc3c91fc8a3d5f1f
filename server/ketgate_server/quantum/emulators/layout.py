"""Where a circuit's qubits go on a device: the best place without swaps, where there is one.

Branch and bound over embeddings of the circuit's pairs into the device's, by the probability that
gates and measurements have no error. Bounded in work; what was found so far is taken.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ketgate_server.quantum.emulators.device import Device

VISITS_MAX = 20_000
VISITS_PER_START_MIN = 100


@dataclass(frozen=True)
class Demand:
    """What a circuit does, by its own qubits."""

    pairs: Mapping[tuple[int, int], int]
    """How often two qubits meet; (lower, higher)."""
    measured: Mapping[int, int]
    """How often a qubit is measured, by every qubit that is used."""


@dataclass
class _Search:
    device: Device
    order: list[int]
    earlier: list[list[tuple[int, int]]]
    """By place in the order: neighbours that are placed before, and how often they meet."""
    costs: list[int]
    best_cost: float = math.inf
    best: dict[int, int] = field(default_factory=dict)
    visits: int = 0


def place(demand: Demand, device: Device) -> dict[int, int] | None:
    """The device's qubit of each of the circuit's; None: it cannot be done without swaps, or was
    not found soon enough."""
    if len(demand.measured) > device.num_qubits:
        return None
    order = _order(demand)
    at = {qubit: k for k, qubit in enumerate(order)}
    earlier: list[list[tuple[int, int]]] = [[] for _ in order]
    for (a, b), count in demand.pairs.items():
        first, second = sorted((a, b), key=at.__getitem__)
        earlier[at[second]].append((first, count))
    search = _Search(device, order, earlier, [demand.measured[qubit] for qubit in order])
    starts = sorted(range(device.num_qubits), key=lambda q: (_start_cost(device, q), q))
    share = max(VISITS_PER_START_MIN, VISITS_MAX // len(starts))
    for start in starts:
        search.visits = min(search.visits, VISITS_MAX)
        until = search.visits + share
        _extend(search, 0, {}, set(), 0.0, until, (start,))
        if search.visits >= VISITS_MAX:
            break
    return search.best or None


def _order(demand: Demand) -> list[int]:
    """Each qubit after a neighbour, the busiest first."""
    neighbours: dict[int, set[int]] = {qubit: set() for qubit in demand.measured}
    for a, b in demand.pairs:
        neighbours[a].add(b)
        neighbours[b].add(a)
    order: list[int] = []
    left = set(neighbours)
    while left:
        near = [q for q in left if neighbours[q] & set(order)] if order else []
        if near:
            pick = max(
                near, key=lambda q: (len(neighbours[q] & set(order)), len(neighbours[q]), -q)
            )
        else:
            # A line begins at its end: from the middle it would grow both ways.
            pick = min(left, key=lambda q: (not neighbours[q], _eagerness(neighbours, q), q))
        order.append(pick)
        left.remove(pick)
    return order


def _eagerness(neighbours: Mapping[int, set[int]], qubit: int) -> int:
    degree = len(neighbours[qubit])
    return degree if max(map(len, neighbours.values())) <= 2 else -degree


def _start_cost(device: Device, qubit: int) -> float:
    near = [device.edge_error(qubit, other) for other in device.neighbours[qubit]]
    return device.errors.get(("measure", (qubit,)), 0.0) + (min(near) if near else 1.0)


def _extend(
    search: _Search,
    depth: int,
    placed: dict[int, int],
    used: set[int],
    cost: float,
    until: int,
    candidates: Sequence[int],
) -> None:
    device = search.device
    qubit = search.order[depth]
    found = []
    for physical in candidates:
        if physical in used:
            continue
        more = search.costs[depth] * _loss(device.errors.get(("measure", (physical,)), 0.0))
        for other, count in search.earlier[depth]:
            more += count * _loss(device.edge_error(placed[other], physical))
        if cost + more < search.best_cost:
            found.append((cost + more, physical))
    for total, physical in sorted(found):
        search.visits += 1
        if search.visits > until:
            return
        if total >= search.best_cost:
            return
        placed[qubit] = physical
        if depth + 1 == len(search.order):
            search.best_cost, search.best = total, dict(placed)
        else:
            used.add(physical)
            near = _candidates(search, depth + 1, placed)
            _extend(search, depth + 1, placed, used, total, until, near)
            used.remove(physical)
        del placed[qubit]


def _candidates(search: _Search, depth: int, placed: Mapping[int, int]) -> Sequence[int]:
    near = search.earlier[depth]
    if not near:
        return range(search.device.num_qubits)
    return min((search.device.neighbours[placed[other]] for other, _ in near), key=len)


def _loss(error: float) -> float:
    """-log of the probability of no error; infinite where there is no gate."""
    return math.inf if error >= 1.0 else -math.log1p(-error)
