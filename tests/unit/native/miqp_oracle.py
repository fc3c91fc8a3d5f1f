"""The plain way to few names: try every support, sign and lot; each leaf is a small convex program."""

import itertools
from dataclasses import dataclass
from typing import Any

import clarabel
import numpy as np
import scipy.sparse as sp
from ketgate_native import miqp
from ketgate_native.monitor import Monitor
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass
class Problem:
    """The arguments of miqp.solve, all given."""

    quadratic: Array
    linear: Array
    rows: Array
    row_lower: Array
    row_upper: Array
    lower: Array
    upper: Array
    names_max: int
    names_min: int
    position_min: Array
    lot: Array
    book: Array
    buy: Array
    sell: Array
    turnover: float

    def value(self, x: Array) -> float:
        move = x - self.book
        fees = self.buy @ np.maximum(move, 0) + self.sell @ np.maximum(-move, 0)
        return float(0.5 * x @ self.quadratic @ x + self.linear @ x + fees)


def solve(problem: Problem, monitor: Monitor | None = None, **options: Any) -> miqp.MIQPResult:
    p = problem
    return miqp.solve(
        p.quadratic, p.linear, p.rows, p.row_lower, p.row_upper, p.lower, p.upper,
        cardinality_max=p.names_max, cardinality_min=p.names_min, position_min=p.position_min,
        lot=p.lot, book=p.book, buy_cost=p.buy, sell_cost=p.sell,
        turnover=None if np.isinf(p.turnover) else p.turnover, monitor=monitor, **options,
    )  # fmt: skip


def random_problem(seed: int, names: int = 5) -> Problem:
    """Every feature comes and goes; about half of them have no feasible point."""
    g = np.random.default_rng(seed)
    n = int(g.integers(1, names + 1))
    loadings = g.normal(size=(n, int(g.integers(1, n + 2))))
    quadratic = loadings @ loadings.T + np.diag(g.uniform(0, 1, n) * (g.random() < 0.7))
    rows, row_lower, row_upper = [np.ones(n)], [1.0], [1.0]
    if g.random() < 0.4:  # a group
        rows.append(g.integers(0, 2, n).astype(float))
        row_lower.append(-np.inf if g.random() < 0.5 else 0.2)
        row_upper.append(0.8)
    if g.random() < 0.3:  # a target return
        rows.append(g.normal(size=n))
        row_lower.append(g.normal() * 0.2)
        row_upper.append(np.inf)
    if g.random() < 0.2:
        row_lower[0] = 0.5
    if g.random() < 0.1:
        rows, row_lower, row_upper = [], [], []
    shorts = g.random() < 0.35
    position_min = g.choice([0.05, 0.1, 0.2], n) * (g.random() < 0.7)
    lot = np.where(g.random(n) < 0.6, g.choice([0.1, 0.125, 0.2], n), 0.0) * (g.random() < 0.35)
    costs = g.random() < 0.4
    names_max = int(g.integers(1, n + 1))
    counted = bool((np.maximum(position_min, lot) > 0).all()) and g.random() < 0.5
    return Problem(
        quadratic, g.normal(size=n) * g.choice([0.0, 0.3, 3.0]),
        np.array(rows).reshape(-1, n), np.array(row_lower), np.array(row_upper),
        np.where(g.random(n) < 0.6, -0.5, 0.0) * shorts, np.full(n, g.choice([0.4, 0.6, 1.0])),
        names_max, int(g.integers(0, names_max + 1)) if counted else 0, position_min, lot,
        np.where(g.random(n) < 0.6, g.uniform(0, 0.5, n), 0.0) * (g.random() < 0.5),
        g.uniform(0, 0.2, n) * costs, g.uniform(0, 0.2, n) * costs,
        float(g.uniform(0.2, 1.5)) if g.random() < 0.3 else np.inf,
    )  # fmt: skip


def _choices(p: Problem, i: int) -> list[tuple[float, float, bool]]:
    """Where name i may lie: (from, to, whether it counts)."""
    low, up, least, lot = p.lower[i], p.upper[i], p.position_min[i], p.lot[i]
    if lot > 0:
        lots = range(int(np.ceil(low / lot - 1e-9)), int(np.floor(up / lot + 1e-9)) + 1)
        return [(k * lot, k * lot, k != 0) for k in lots if k == 0 or abs(k * lot) >= least - 1e-12]
    found = [(0.0, 0.0, False)] if low <= 0 <= up else []
    if up > 0 and max(low, least, 0.0) <= up:
        found.append((max(low, least, 0.0), up, True))
    if low < 0 and low <= min(up, -least, 0.0):
        found.append((low, min(up, -least, 0.0), True))
    return found


def _leaf(p: Problem, low: Array, up: Array) -> float:
    """The convex program with every name in its interval; inf if infeasible. x = book + bought - sold."""
    n = len(low)
    eye, none = sp.eye(n), sp.csc_matrix((n, n))
    blocks: list[Any] = [sp.hstack([eye, -eye, eye])]
    limits: list[Any] = [p.book]
    cones: list[Any] = [clarabel.ZeroConeT(n)]
    for row, bottom, top in zip(p.rows, p.row_lower, p.row_upper, strict=True):
        line = sp.csc_matrix(np.r_[row, np.zeros(2 * n)][None])
        if bottom == top:
            blocks.append(line)
            limits.append([top])
            cones.append(clarabel.ZeroConeT(1))
            continue
        for sign, limit in ((1, top), (-1, -bottom)):
            if np.isfinite(limit):
                blocks.append(sign * line)
                limits.append([limit])
                cones.append(clarabel.NonnegativeConeT(1))
    box = [[eye, none, none], [-eye, none, none], [none, -eye, none], [none, none, -eye]]
    blocks.append(sp.vstack([sp.hstack(row) for row in box]))
    limits.append(np.r_[up, -low, np.zeros(2 * n)])
    cones.append(clarabel.NonnegativeConeT(4 * n))
    if np.isfinite(p.turnover):
        blocks.append(sp.csc_matrix(np.r_[np.zeros(n), np.ones(2 * n)][None]))
        limits.append([p.turnover])
        cones.append(clarabel.NonnegativeConeT(1))
    curvature = sp.block_diag([sp.triu(sp.csc_matrix(p.quadratic)), sp.csc_matrix((2 * n, 2 * n))])
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    solution = clarabel.DefaultSolver(
        curvature.tocsc(), np.r_[p.linear, p.buy, p.sell], sp.vstack(blocks).tocsc(),
        np.concatenate([np.asarray(limit, dtype=float) for limit in limits]), cones, settings,
    ).solve()  # fmt: skip
    return p.value(np.array(solution.x)[:n]) if "Solved" in str(solution.status) else np.inf


def brute_force(p: Problem) -> float:
    """The optimum, inf if there is none; good to about 1e-7."""
    best = np.inf
    for choice in itertools.product(*(_choices(p, i) for i in range(len(p.linear)))):
        if not p.names_min <= sum(held for _, _, held in choice) <= p.names_max:
            continue
        low, up = np.array([c[0] for c in choice]), np.array([c[1] for c in choice])
        least, most = np.minimum(p.rows * low, p.rows * up), np.maximum(p.rows * low, p.rows * up)
        if (least.sum(1) > p.row_upper + 1e-9).any() or (most.sum(1) < p.row_lower - 1e-9).any():
            continue
        if np.maximum(0, np.maximum(low - p.book, p.book - up)).sum() > p.turnover + 1e-9:
            continue
        best = min(best, _leaf(p, low, up))
    return best


def assert_feasible(p: Problem, x: Array, tolerance: float = 1e-9) -> None:
    held = x != 0
    assert p.names_min <= held.sum() <= p.names_max
    assert (np.abs(x[held]) >= p.position_min[held] * (1 - 1e-12)).all()
    assert (x >= p.lower - tolerance).all()
    assert (x <= p.upper + tolerance).all()
    lots = p.lot > 0
    assert (np.round(x[lots] / p.lot[lots]) * p.lot[lots] == x[lots]).all()
    assert (p.rows @ x >= p.row_lower - tolerance).all()
    assert (p.rows @ x <= p.row_upper + tolerance).all()
    assert np.abs(x - p.book).sum() <= p.turnover + tolerance
