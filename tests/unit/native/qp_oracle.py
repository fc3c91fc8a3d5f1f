"""Plain, slow answers for the convex QP kernel: every active set tried, and conditions checked one by one."""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass
class Problem:
    """minimise 1/2 x'Qx + c'x + costs, row_lower <= Ax <= row_upper, lower <= x <= upper."""

    Q: Array
    c: Array
    A: Array
    row_lower: Array
    row_upper: Array
    lower: Array
    upper: Array
    cost: tuple[Array, Array, Array] | None = None

    @property
    def arguments(self) -> tuple[Array, ...]:
        return self.Q, self.c, self.A, self.row_lower, self.row_upper, self.lower, self.upper

    def objective(self, x: Array) -> float:
        value = 0.5 * x @ self.Q @ x + self.c @ x
        if self.cost is not None:
            x0, buy, sell = self.cost
            value += buy @ np.maximum(x - x0, 0) + sell @ np.maximum(x0 - x, 0)
        return float(value)

    def violation(self, x: Array) -> float:
        rows = self.A @ x
        worst = [0.0, *(rows - self.row_upper), *(self.row_lower - rows)]
        return float(max([*worst, *(x - self.upper), *(self.lower - x)]))


def best_by_enumeration(problem: Problem) -> float | None:
    """The optimal value over every choice of active bounds and rows, or None when nothing is feasible.

    For problems whose optimum exists. Costs are kinks, which each name may also stand at; a free name is tried on
    both sides. Singular systems are solved by least squares: any solution of theirs that is feasible counts, and a
    face of optima has a vertex among the other choices as long as it is bounded.
    """
    n, m = len(problem.c), len(problem.row_lower)
    x0, buy, sell = (
        problem.cost if problem.cost is not None else (np.full(n, np.nan), np.zeros(n), np.zeros(n))
    )
    name_choices = []
    for i in range(n):
        fixed = [v for v in (problem.lower[i], problem.upper[i], x0[i]) if np.isfinite(v)]
        slopes = sorted({-sell[i], buy[i]})
        name_choices.append([("at", v) for v in fixed] + [("free", s) for s in slopes])
    row_choices = [
        [v for v in (problem.row_lower[j], problem.row_upper[j]) if np.isfinite(v)] + [None]
        for j in range(m)
    ]
    best = None
    for names in itertools.product(*name_choices):
        for rows in itertools.product(*row_choices):
            x = _stationary(problem, names, rows)
            if problem.violation(x) < 1e-9:
                value = problem.objective(x)
                best = value if best is None else min(best, value)
    return best


def _stationary(
    problem: Problem, names: tuple[tuple[str, float], ...], rows: tuple[float | None, ...]
) -> Array:
    x = np.array([value if kind == "at" else 0.0 for kind, value in names])
    free = [i for i, (kind, _) in enumerate(names) if kind == "free"]
    active = [j for j, value in enumerate(rows) if value is not None]
    B = problem.A[np.ix_(active, free)]
    H = problem.Q[np.ix_(free, free)]
    gradient = problem.c[free] + (problem.Q @ x)[free] + np.array([names[i][1] for i in free])
    target = np.array([value for value in rows if value is not None]) - problem.A[active] @ x
    matrix = np.block([[H, B.T], [B, np.zeros((len(active), len(active)))]])
    solution = np.linalg.lstsq(matrix, np.concatenate((-gradient, target)), rcond=1e-12)[0]
    x[free] = solution[: len(free)]
    return x


def stationarity(problem: Problem, x: Array, y: Array, z: Array) -> float:
    """Largest |Qx + c + A'y + z + cost slope|, with the slope chosen best where x stands at its kink."""
    gradient = problem.Q @ x + problem.c + problem.A.T @ y + z
    low, high = np.zeros(len(x)), np.zeros(len(x))
    if problem.cost is not None:
        x0, buy, sell = problem.cost
        low, high = np.where(x > x0, buy, -sell), np.where(x < x0, -sell, buy)
    scale = max(
        np.abs(problem.Q @ x).max(), np.abs(problem.c).max(), np.abs(problem.A.T @ y).max(initial=0)
    )
    return float(np.maximum(-gradient - high, gradient + low).max() / max(scale, 1e-3))
