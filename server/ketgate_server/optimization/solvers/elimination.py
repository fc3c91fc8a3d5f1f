"""Ising energies and QUBOs of low treewidth, exactly: eliminate one variable after another.

A variable is taken out by writing, for every state of its neighbours, the least it can add and the
state that does so. Chains, trees, narrow grids and problems without couplings are proven in
moments, whatever their size.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ketgate_server.optimization.base import (
    Outcome,
    ParameterSpec,
    Problem,
    ProblemKind,
    Proof,
    Status,
    StopReason,
    Task,
)
from ketgate_server.optimization.ising import IsingProblem
from ketgate_server.type.quadratic import QuadraticFunction

WIDTH_MAX = 18
"""Neighbours of a variable when it is taken out: its table has 2^neighbours entries."""
COUPLED_MAX = 5_000
"""Variables with couplings; each costs some 50 us of Python."""
COUPLINGS_MAX = 20_000
TABLE_BYTES_MAX = 256 << 20
ORDER_WORK_MAX = 500_000
"""Pairs of neighbours joined while the order is sought; some 0.3 us each."""
ORDER_QUICK = 300
"""Couplings up to which the order takes a few milliseconds."""
DRIFT = 2.0**-40
"""Relative to the sum of all magnitudes: more than the rounding of any path of sums."""


@dataclass
class _Table:
    """The least of an eliminated part, for every state of the variables in scope (one axis
    each)."""

    scope: tuple[int, ...]
    least: NDArray[np.float64]


@dataclass
class _Step:
    """How to set a variable once its neighbours are set."""

    variable: int
    scope: tuple[int, ...]
    choice: NDArray[np.uint8]


@dataclass
class Order:
    """An order of elimination by least degree, and what it costs."""

    variables: list[int] = field(default_factory=list)
    width: int = 0
    table_bytes: int = 0


class Elimination:
    name = "elimination"
    description = "Eliminates variables one by one: proves chains, trees and other narrow problems."
    problems = frozenset({ProblemKind.ISING})
    proofs = frozenset({Proof.OPTIMALITY})
    parameters: Sequence[ParameterSpec] = ()
    part = "native"
    work_unit = "variables"
    deterministic = True
    warm_start = False

    def unsuitable(self, problem: Problem) -> str | None:
        if not isinstance(problem, IsingProblem):
            return "it takes Ising energies and QUBOs"
        return order_of(problem)[1]

    def memory_bytes(self, problem: Problem) -> int:
        assert isinstance(problem, IsingProblem)
        order = order_of(problem)[0]
        return 3 * order.table_bytes + 64 * problem.size

    def solve(self, problem: Problem, task: Task) -> Outcome:
        assert isinstance(problem, IsingProblem)
        f = problem.function.as_binary()
        order, _ = order_of(problem)
        linear = _with_squares(f)
        x = (linear < 0.0).astype(np.uint8)  # right for every variable without couplings
        work = problem.size - len(order.variables)
        steps: list[_Step] = []
        tables = _Tables(f, order.variables)
        task.prepared()
        for variable in order.variables:
            if task.should_stop or (task.work_limit and work >= task.work_limit):
                reason = task.stop_reason if task.should_stop else StopReason.WORK_LIMIT
                return Outcome(Status.NO_SOLUTION, reason, work=work)
            steps.append(tables.eliminate(variable, float(linear[variable])))
            work += 1
        for step in reversed(steps):
            x[step.variable] = step.choice[tuple(x[list(step.scope)])]
        values = problem.function.from_binaries(x)
        slack = 0.0 if f.exact else DRIFT * f.magnitude
        bound = problem.evaluate(values).objective - slack
        return Outcome(Status.OPTIMAL, StopReason.COMPLETED, [values], bound=bound, work=work)


def ordering_takes_work(problem: IsingProblem) -> bool:
    """Whether order_of, asked now, would take more than a few milliseconds."""
    known = "_elimination_order" in problem.__dict__
    return not known and ORDER_QUICK < problem.terms <= problem.size + COUPLINGS_MAX


def order_of(problem: IsingProblem) -> tuple[Order, str | None]:
    """The order, and why it is too dear if it is; found once a problem."""
    known = problem.__dict__.get("_elimination_order")
    if known is None:
        known = problem.__dict__["_elimination_order"] = _find_order(problem)
    found: tuple[Order, str | None] = known
    return found


def _find_order(problem: IsingProblem) -> tuple[Order, str | None]:
    q = problem.function.quadratic
    kept = (q.row != q.column) & (q.value != 0.0)
    row, column = q.row[kept], q.column[kept]
    if len(row) > COUPLINGS_MAX:
        return Order(), f"it takes at most {COUPLINGS_MAX} couplings, not {len(row)}"
    coupled = np.union1d(row, column)
    if len(coupled) > COUPLED_MAX:
        return Order(), f"it takes at most {COUPLED_MAX} coupled variables, not {len(coupled)}"
    neighbours: dict[int, set[int]] = {int(v): set() for v in coupled}
    for i, j in zip(row.tolist(), column.tolist(), strict=True):
        neighbours[i].add(j)
        neighbours[j].add(i)
    order, work = Order(), 0
    heap = [(len(around), v) for v, around in neighbours.items()]
    heapq.heapify(heap)
    while heap:
        degree, v = heapq.heappop(heap)
        if v not in neighbours or degree != len(neighbours[v]):
            continue  # its degree has changed since
        if degree > WIDTH_MAX:
            return (
                Order(),
                f"its couplings are not narrow: more than {WIDTH_MAX} neighbours at once",
            )
        work += degree * degree
        if work > ORDER_WORK_MAX:
            return Order(), "an order of elimination would take too long to find"
        _take_out(v, neighbours, heap)
        order.variables.append(v)
        order.width = max(order.width, degree)
        order.table_bytes += 9 << degree
        if order.table_bytes > TABLE_BYTES_MAX:
            return Order(), f"its tables would take more than {TABLE_BYTES_MAX >> 20} MiB"
    return order, None


def _take_out(v: int, neighbours: dict[int, set[int]], heap: list[tuple[int, int]]) -> None:
    """Remove a variable and join its neighbours to one another."""
    around = neighbours.pop(v)
    for u in around:
        before = len(neighbours[u])
        neighbours[u] |= around
        neighbours[u] -= {u, v}
        if len(neighbours[u]) != before:
            heapq.heappush(heap, (len(neighbours[u]), u))


class _Tables:
    """What is still to be minimised over, each part in the keeping of its variable that goes
    first."""

    def __init__(self, f: QuadraticFunction, order: list[int]) -> None:
        self._place = {v: k for k, v in enumerate(order)}
        self._kept: dict[int, list[_Table]] = {v: [] for v in order}
        q = f.quadratic
        for i, j, value in zip(q.row.tolist(), q.column.tolist(), q.value.tolist(), strict=True):
            if i != j and value != 0.0:
                self._keep(_Table((i, j), np.array([[0.0, 0.0], [0.0, value]])))

    def eliminate(self, v: int, linear: float) -> _Step:
        """Take a variable out, which has a linear coefficient of its own."""
        parts = self._kept.pop(v)
        scope = tuple(sorted({u for part in parts for u in part.scope if u != v}))
        axes = {u: k for k, u in enumerate((*scope, v))}  # the variable itself comes last
        total = np.zeros((2,) * len(axes))
        total[..., 1] += linear
        for part in parts:
            order = sorted(range(len(part.scope)), key=lambda k: axes[part.scope[k]])
            shape = [1] * len(axes)
            for u in part.scope:
                shape[axes[u]] = 2
            total += part.least.transpose(order).reshape(shape)
        choice = (total[..., 1] < total[..., 0]).astype(np.uint8)
        if scope:
            self._keep(_Table(scope, np.minimum(total[..., 0], total[..., 1])))
        return _Step(v, scope, choice)

    def _keep(self, table: _Table) -> None:
        first = min(table.scope, key=self._place.__getitem__)
        self._kept[first].append(table)


def _with_squares(f: QuadraticFunction) -> NDArray[np.float64]:
    """(n,) linear coefficients, with the diagonal of the products: x x = x."""
    linear = f.linear.copy()
    square = f.quadratic.row == f.quadratic.column
    np.add.at(linear, f.quadratic.row[square], f.quadratic.value[square])
    return linear
