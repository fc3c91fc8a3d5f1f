"""What HiGHS takes: a minimised linear form of a program, and of a binary quadratic one by its
products."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ketgate_server.optimization.base import Problem, sense_sign
from ketgate_server.optimization.binary import BinaryProblem
from ketgate_server.optimization.ising import IsingProblem
from ketgate_server.optimization.linear import LinearProblem
from ketgate_server.optimization.rows import NO_ROWS, Rows
from ketgate_server.type.sparse import Sparse

COEFFICIENT_LEAST = 1e-12
"""HiGHS leaves out what is not larger; it takes no smaller number for this option."""
END_MAX = 2.0**63
"""Well below 10^20, which HiGHS takes for infinite."""


@dataclass(frozen=True)
class LinearForm:
    """Minimise offset + c'x, rows, bounds, some x whole. The first `size` variables are the
    caller's."""

    size: int
    cost: NDArray[np.float64]
    offset: float
    rows: Rows
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    integer: NDArray[np.bool_]


def linear_form(problem: Problem) -> LinearForm:
    if isinstance(problem, LinearProblem):
        sign = sense_sign(problem.sense)
        return LinearForm(
            problem.size,
            sign * problem.objective,
            sign * problem.offset,
            problem.rows,
            problem.lower,
            problem.upper,
            problem.integer,
        )
    assert isinstance(problem, (IsingProblem, BinaryProblem))
    return _linearized(problem)


def _linearized(problem: IsingProblem | BinaryProblem) -> LinearForm:
    """Each product x_i x_j becomes a variable y in [0, 1]: pressed down where its coefficient is
    positive, to x_i + x_j - 1; pulled up where it is negative, to x_i and to x_j. Exact at binary x
    (Fortet 1960)."""
    f = problem.function.as_binary()
    rows = problem.rows if isinstance(problem, BinaryProblem) else NO_ROWS
    n, q = f.size, f.quadratic
    cost = f.linear.copy()
    square = q.row == q.column
    np.add.at(cost, q.row[square], q.value[square])
    kept = ~square & (q.value != 0.0)
    i, j, value = q.row[kept], q.column[kept], q.value[kept]
    products = len(value)
    y = n + np.arange(products)
    down = value > 0.0
    up = ~down
    m, k, u = rows.count, int(down.sum()), int(up.sum())
    first = m + np.arange(k)  # y >= x_i + x_j - 1
    second, third = m + k + np.arange(u), m + k + u + np.arange(u)  # y <= x_i; y <= x_j
    ones_down, ones_up = np.ones(k), np.ones(u)
    row = np.concatenate([rows.matrix.row, first, first, first, second, second, third, third])
    column = np.concatenate(
        [rows.matrix.column, y[down], i[down], j[down], y[up], i[up], y[up], j[up]]
    )
    entries = np.concatenate(
        [rows.matrix.value, ones_down, -ones_down, -ones_down, ones_up, -ones_up, ones_up, -ones_up]
    )
    count = k + 2 * u
    lower = np.concatenate([rows.lower, np.full(k, -1.0), np.full(2 * u, -np.inf)])
    upper = np.concatenate([rows.upper, np.full(k, np.inf), np.zeros(2 * u)])
    assert len(lower) == m + count
    integer = np.zeros(n + products, dtype=np.bool_)
    integer[:n] = True
    return LinearForm(
        n,
        np.concatenate([cost, value]),
        f.offset,
        Rows(Sparse(row, column, entries), lower, upper),
        np.zeros(n + products),
        np.ones(n + products),
        integer,
    )


def row_scales(rows: Rows) -> NDArray[np.float64]:
    """(m,) powers of two to multiply the rows by, so that HiGHS leaves out no small coefficient:
    the largest of such a row comes to lie from 1 to 2, unless its ends grow too large."""
    matrix, scales = rows.matrix, np.ones(rows.count)
    magnitudes = np.abs(matrix.value)
    small = magnitudes <= COEFFICIENT_LEAST
    if not small.any():
        return scales
    affected = np.unique(matrix.row[small])
    largest = np.zeros(rows.count)
    np.maximum.at(largest, matrix.row, magnitudes)
    ends = np.zeros(rows.count)
    for side in (rows.lower, rows.upper):
        ends = np.maximum(ends, np.where(np.isfinite(side), np.abs(side), 0.0))
    by_largest = 1 - np.frexp(largest[affected])[1]
    by_ends = np.frexp(END_MAX)[1] - 1 - np.frexp(ends[affected])[1]
    by_ends = np.where(ends[affected] > 0.0, by_ends, 1000)
    exponents = np.clip(np.minimum(by_largest, by_ends), 0, 1000)
    scales[affected] = np.ldexp(1.0, exponents)
    return scales


def entries_left_out(rows: Rows) -> int:
    """Coefficients, other than zero, that HiGHS does not see: then it proves nothing."""
    matrix = rows.matrix
    scaled = np.abs(matrix.value * row_scales(rows)[matrix.row])
    return int(((scaled <= COEFFICIENT_LEAST) & (matrix.value != 0.0)).sum())


def build(form: LinearForm, options: dict[str, Any]) -> Any:
    """A highspy.Highs that holds the form, its rows scaled. One thread: its scheduler is one a
    thread of ours, and refuses another number there."""
    import highspy

    lp = highspy.HighsLp()
    count, rows = len(form.cost), form.rows.count
    lp.num_col_, lp.num_row_ = count, rows
    lp.col_cost_, lp.offset_ = form.cost, form.offset
    lp.col_lower_, lp.col_upper_ = form.lower, form.upper
    scales = row_scales(form.rows)
    lp.row_lower_, lp.row_upper_ = form.rows.lower * scales, form.rows.upper * scales
    matrix = form.rows.matrix
    order = np.lexsort((matrix.row, matrix.column))
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.num_col_, lp.a_matrix_.num_row_ = count, rows
    lp.a_matrix_.start_ = np.searchsorted(matrix.column[order], np.arange(count + 1)).astype(
        np.int32
    )
    lp.a_matrix_.index_ = matrix.row[order].astype(np.int32)
    lp.a_matrix_.value_ = (matrix.value * scales[matrix.row])[order]
    if form.integer.any():
        kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
        lp.integrality_ = [kinds[flag] for flag in form.integer.astype(np.int8)]
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    chosen = {"threads": 1, "parallel": "off", "small_matrix_value": COEFFICIENT_LEAST, **options}
    for name, value in chosen.items():
        if highs.setOptionValue(name, value) != highspy.HighsStatus.kOk:
            raise RuntimeError(f"HiGHS refused the option {name} = {value}")
    if highs.passModel(lp) == highspy.HighsStatus.kError:
        raise RuntimeError("HiGHS refused the model")
    return highs
