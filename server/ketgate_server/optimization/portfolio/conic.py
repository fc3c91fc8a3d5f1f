"""Programs as sparse quadratic programs, for the libraries that solve those.

Columns: the weights; with a cost or limit of turnover what is bought and what is sold; in factor
form the exposures f = F'w, so that no (n, n) matrix is formed; for the greatest Sharpe ratio the
factor kappa by which all is scaled.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from ketgate_server.optimization.portfolio.covariance import Array, Factors
from ketgate_server.optimization.portfolio.model import MaximumSharpe, PortfolioProblem
from ketgate_server.optimization.portfolio.program import Program, build
from ketgate_server.optimization.portfolio.rows import RowBuilder


@dataclass(frozen=True, eq=False)
class Standard:
    """Minimise x'Px / 2 + q'x over rows and bounds."""

    program: Program
    quadratic: sparse.csc_matrix
    """P, symmetric."""
    linear: Array
    rows: RowBuilder
    main: slice
    """Rows that are the program's own, in its order."""
    turnover: int
    """Row of the limit of turnover; -1 without."""
    scaled: bool
    """Whether the weights are to be divided by kappa, the last column."""

    def weights(self, x: Array) -> Array:
        size = self.program.size
        return np.asarray(x[:size] / x[-1] if self.scaled else x[:size])


def standard(program: Program) -> Standard:
    """The program itself."""
    rows, size = RowBuilder(), program.size
    w = rows.columns(program.lower, program.upper)
    for row, low, high in zip(
        program.rows.matrix, program.rows.lower, program.rows.upper, strict=True
    ):
        kept = np.flatnonzero(row)
        rows.row(w[kept], row[kept], low, high)
    linear = [program.linear]
    turnover = -1
    if program.costly or program.turnover_max is not None:
        trades, turnover = _trades(rows, program, w, None)
        linear.append(np.concatenate((program.buy_cost, program.sell_cost)))
        assert len(trades) == 2 * size
    blocks, extra = _risk(rows, program, w)
    linear.append(np.zeros(extra))
    total = np.concatenate(linear)
    return Standard(
        program,
        _place(blocks, rows.size, program.scale),
        total,
        rows,
        slice(0, len(program.rows.lower)),
        turnover,
        False,
    )


def homogeneous(problem: PortfolioProblem) -> Standard:
    """The greatest Sharpe ratio as one quadratic program.

    G. Cornuejols, R. Tutuncu, Optimization methods in finance (2006), section 8.2: with y = kappa
    w, the least y'Cy at an excess return of 1 has the greatest ratio; every constraint is scaled by
    kappa. Infeasible where no portfolio has an excess return.
    """
    assert isinstance(problem.objective, MaximumSharpe)
    program = build(problem, scale=1.0, returns=1.0)
    rows, size = RowBuilder(), problem.size
    y = rows.columns(np.full(size, -np.inf), np.full(size, np.inf))
    trading = program.costly or program.turnover_max is not None
    held = (
        rows.columns(np.zeros(2 * size), np.full(2 * size, np.inf))
        if trading
        else np.empty(0, np.int64)
    )
    factors = (
        program.covariance.scaled_loadings.shape[1]
        if isinstance(program.covariance, Factors)
        else 0
    )
    exposures = rows.columns(np.full(factors, -np.inf), np.full(factors, np.inf))
    kappa = rows.columns(np.zeros(1), np.full(1, np.inf))[0]
    for row, low, high in zip(
        program.rows.matrix, program.rows.lower, program.rows.upper, strict=True
    ):
        _scaled_row(rows, y, row, float(low), float(high), kappa)
    for k in range(size):
        _scaled_row(
            rows, y[k : k + 1], np.ones(1), float(program.lower[k]), float(program.upper[k]), kappa
        )
    if trading:
        _trade_rows(rows, program, y, held, kappa)
    _exposure_rows(rows, program, y, exposures)
    costs = np.concatenate((program.buy_cost, program.sell_cost)) if trading else np.empty(0)
    place = np.concatenate((y, held, [kappa]))
    rows.row(
        place,
        np.concatenate((-program.linear, -costs, [-problem.objective.risk_free_rate])),
        1.0,
        1.0,
    )
    blocks = _blocks(program, y, exposures)
    return Standard(
        program, _place(blocks, rows.size, 1.0), np.zeros(rows.size), rows, slice(0, 0), -1, True
    )


def _scaled_row(
    rows: RowBuilder, y: np.ndarray, row: Array, low: float, high: float, kappa: int
) -> None:
    kept = np.flatnonzero(row)
    place = np.append(y[kept], kappa)
    if np.isfinite(low):
        rows.row(place, np.append(row[kept], -low), 0.0, 0.0 if low == high else np.inf)
    if np.isfinite(high) and low != high:
        rows.row(place, np.append(row[kept], -high), -np.inf, 0.0)


def _trades(
    rows: RowBuilder, program: Program, w: np.ndarray, kappa: int | None
) -> tuple[np.ndarray, int]:
    held = rows.columns(np.zeros(2 * program.size), np.full(2 * program.size, np.inf))
    return held, _trade_rows(rows, program, w, held, kappa)


def _trade_rows(
    rows: RowBuilder, program: Program, w: np.ndarray, held: np.ndarray, kappa: int | None
) -> int:
    """w - bought + sold = book, and the limit of their sum; the position of that row, -1
    without.
    """
    size = program.size
    for k in range(size):
        place, values = np.array([w[k], held[k], held[size + k]]), np.array([1.0, -1.0, 1.0])
        if kappa is None:
            rows.row(place, values, program.book[k], program.book[k])
        else:
            rows.row(np.append(place, kappa), np.append(values, -program.book[k]), 0.0, 0.0)
    if program.turnover_max is None:
        return -1
    if kappa is None:
        rows.row(held, np.ones(2 * size), -np.inf, program.turnover_max)
    else:
        rows.row(
            np.append(held, kappa),
            np.append(np.ones(2 * size), -program.turnover_max),
            -np.inf,
            0.0,
        )
    return rows.count - 1


def _risk(
    rows: RowBuilder, program: Program, w: np.ndarray
) -> tuple[list[tuple[np.ndarray, sparse.spmatrix]], int]:
    count = (
        program.covariance.scaled_loadings.shape[1]
        if isinstance(program.covariance, Factors)
        else 0
    )
    exposures = rows.columns(np.full(count, -np.inf), np.full(count, np.inf))
    _exposure_rows(rows, program, w, exposures)
    return _blocks(program, w, exposures), count


def _exposure_rows(
    rows: RowBuilder, program: Program, w: np.ndarray, exposures: np.ndarray
) -> None:
    if isinstance(program.covariance, Factors):
        for k, column in enumerate(program.covariance.scaled_loadings.T):
            rows.row(np.append(w, exposures[k]), np.append(column, -1.0), 0.0, 0.0)


def _blocks(
    program: Program, w: np.ndarray, exposures: np.ndarray
) -> list[tuple[np.ndarray, sparse.spmatrix]]:
    if isinstance(program.covariance, Factors):
        specific = sparse.diags(program.covariance.specific_variances)
        return [(w, specific), (exposures, sparse.identity(len(exposures)))]
    return [(w, sparse.coo_matrix(program.covariance.dense()))]


def _place(
    blocks: list[tuple[np.ndarray, sparse.spmatrix]], size: int, scale: float
) -> sparse.csc_matrix:
    """The blocks on the diagonal of a (size, size) matrix, at the positions of their columns."""
    row, column, value = [], [], []
    for positions, block in blocks:
        entries = sparse.coo_matrix(block)
        row.append(positions[entries.row])
        column.append(positions[entries.col])
        value.append(scale * entries.data)
    shape = (size, size)
    return sparse.csc_matrix(
        (np.concatenate(value), (np.concatenate(row), np.concatenate(column))), shape=shape
    )


def repaired(program: Program, weights: Array) -> Array:
    """What an interior-point method found, put on the bounds it came near to, and its rows made
    exact again.

    Such a method ends some 1e-10 inside its bounds; a desk wants zeros. The rows' rounding is
    spread over the names between their bounds, as little as will do.
    """
    w = np.clip(weights, program.lower, program.upper)
    at_lower, at_upper = w - program.lower < 1e-8, program.upper - w < 1e-8
    w = np.where(at_lower, program.lower, np.where(at_upper, program.upper, w))
    free = ~(at_lower | at_upper)
    for _ in range(3):
        value = program.rows.matrix @ w
        missing = np.clip(value, program.rows.lower, program.rows.upper) - value
        if not missing.any() or not free.any():
            break
        w[free] += np.linalg.lstsq(program.rows.matrix[:, free], missing, rcond=None)[0]
    return np.clip(w, program.lower, program.upper)
