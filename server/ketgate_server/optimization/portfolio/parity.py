"""Risk parity: weights whose shares of the variance are given.

F. Spinu, An algorithm for computing risk parity weights (2013): the minimum of x'Cx / 2 - sum b_i
log x_i, which is convex, has x_i (Cx)_i = b_i; scaled, x is the answer.
"""

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from ketgate_server.optimization.base import Task
from ketgate_server.optimization.portfolio.covariance import Array, Covariance, Factors

RESIDUAL = 1e-14
"""Greatest |share - budget|, relative to the greatest budget, at which the search ends."""
STEPS_MAX = 200
CHOLESKY_NAMES_MAX = 800
CONJUGATE_STEPS_MAX = 500
CONJUGATE_RESIDUAL = 1e-8
"""Square of the relative residual at which a direction is good enough."""


def parity(covariance: Covariance, budgets: Array, task: Task) -> tuple[Array, int, bool]:
    """Positive x with shares equal to budgets, unscaled; the steps taken; whether it converged.

    Newton's method with a shortened step on a strictly convex function converges from any start,
    quadratically at the end.
    """
    x = np.sqrt(budgets / covariance.diagonal())
    risk = covariance.times(x)
    x = x / np.sqrt(float(x @ risk))  # so that the shares sum to 1 at once
    best, best_residual, stalled = x, np.inf, 0
    for step in range(STEPS_MAX):
        risk = covariance.times(x)
        residual = float(np.abs(x * risk / float(x @ risk) - budgets).max()) / float(budgets.max())
        stalled = stalled + 1 if residual > 0.5 * best_residual else 0
        if residual < best_residual:
            best, best_residual = x, residual
        if best_residual <= RESIDUAL or task.should_stop or (stalled > 4 and best_residual < 1e-9):
            return best, step, best_residual <= 1e-9
        x = _newton(covariance, budgets, x, risk, task)
    return best, STEPS_MAX, best_residual <= 1e-9


def _newton(covariance: Covariance, budgets: Array, x: Array, risk: Array, task: Task) -> Array:
    """One Newton step, shortened until x stays positive and the function falls."""
    gradient = risk - budgets / x
    direction = -_solve(covariance, budgets / np.square(x), gradient, task)
    slope = float(gradient @ direction)
    furthest = float((-direction / x).max())
    length = 1.0 if furthest < 0.95 else 0.95 / furthest
    moved = covariance.times(direction)
    # The change of the function along the step, from its parts: near the end the whole would drown
    # in rounding.
    first, second = float(risk @ direction), float(direction @ moved)
    for _ in range(50):
        change = (
            length * first
            + 0.5 * length**2 * second
            - float(budgets @ np.log1p(length * direction / x))
        )
        if change <= 1e-4 * length * slope or abs(slope) < 1e-15:
            break
        length /= 2
    return np.asarray(x + length * direction)


def _solve(covariance: Covariance, curvature: Array, right: Array, task: Task) -> Array:
    """(C + diag(curvature))^-1 right: by Woodbury's identity, O(n k^2), by Cholesky, or by
    conjugate gradients.

    The last where a factorisation would take longer than a limit may be overrun by.
    """
    if isinstance(covariance, Factors):
        diagonal = covariance.specific_variances + curvature
        loadings = covariance.scaled_loadings
        inner = np.eye(loadings.shape[1]) + loadings.T @ (loadings / diagonal[:, None])
        straight = right / diagonal
        back = cho_solve(cho_factor(inner), loadings.T @ straight)
        return np.asarray(straight - loadings @ back / diagonal)
    if covariance.size > CHOLESKY_NAMES_MAX:
        return _conjugate_gradients(covariance, curvature, right, task)
    matrix = covariance.dense() + np.diag(curvature)
    return np.asarray(cho_solve(cho_factor(matrix, lower=True), right))


def _conjugate_gradients(
    covariance: Covariance, curvature: Array, right: Array, task: Task
) -> Array:
    """Inexact, preconditioned by the diagonal: Newton's method needs no better direction to
    converge.
    """
    diagonal = covariance.diagonal() + curvature
    found, residual = np.zeros(len(right)), right.copy()
    direction = scaled = residual / diagonal
    size = start = float(residual @ scaled)
    for _ in range(CONJUGATE_STEPS_MAX):
        if size <= CONJUGATE_RESIDUAL * start or task.should_stop:
            break
        moved = covariance.times(direction) + curvature * direction
        length = size / float(direction @ moved)
        found += length * direction
        residual -= length * moved
        scaled = residual / diagonal
        size, previous = float(residual @ scaled), size
        direction = scaled + size / previous * direction
    return found if found.any() else right / diagonal
