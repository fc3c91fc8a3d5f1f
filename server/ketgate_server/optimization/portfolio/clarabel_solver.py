"""The solver "clarabel": continuous portfolios by the interior-point method of the library
Clarabel.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse

from ketgate_server.optimization.base import (
    Outcome,
    ParameterSpec,
    Problem,
    ProblemKind,
    Proof,
    Status,
    Task,
)
from ketgate_server.optimization.portfolio import conic
from ketgate_server.optimization.portfolio.active_set import portfolio, settled
from ketgate_server.optimization.portfolio.covariance import Array, Factors
from ketgate_server.optimization.portfolio.model import (
    EfficientFrontier,
    MaximumSharpe,
    PortfolioProblem,
    RiskParity,
)
from ketgate_server.optimization.portfolio.program import program_of

DENSE_NAMES_MAX = 700
"""It looks at its clock once an iteration, which takes 30 ms at this size: more would overrun a
limit.
"""
FACTOR_NAMES_MAX = 10_000
FACTORS_MAX = 100


class Clarabel:
    """Implements base.Solver. An oracle for the native kernels, and a fallback."""

    name = "clarabel"
    description = (
        "Convex portfolios by an interior-point method; an independent check of active-set."
    )
    problems = frozenset({ProblemKind.PORTFOLIO_CONTINUOUS})
    proofs = frozenset({Proof.OPTIMALITY, Proof.BOUND, Proof.INFEASIBILITY})
    parameters: Sequence[ParameterSpec] = (
        ParameterSpec(
            "iterations_max", "Interior-point iterations at most.", 200, minimum=1, maximum=10_000
        ),
    )
    part = "clarabel"
    work_unit = "iterations"
    deterministic = True
    warm_start = False

    def unsuitable(self, problem: Problem) -> str | None:
        asked = portfolio(problem)
        if asked.constraints.discrete:
            return "it takes continuous weights only"
        if isinstance(asked.objective, (RiskParity, EfficientFrontier)):
            return "it finds one portfolio of a quadratic objective"
        if isinstance(asked.covariance, Factors):
            wide = asked.covariance.loadings.shape[1] > FACTORS_MAX or asked.size > FACTOR_NAMES_MAX
            return (
                f"it takes at most {FACTOR_NAMES_MAX} names and {FACTORS_MAX} factors"
                if wide
                else None
            )
        return (
            None
            if asked.size <= DENSE_NAMES_MAX
            else f"it takes at most {DENSE_NAMES_MAX} names here"
        )

    def memory_bytes(self, problem: Problem) -> int:
        covariance = portfolio(problem).covariance
        return 12 * covariance.nbytes + 2000 * problem.size

    def solve(self, problem: Problem, task: Task) -> Outcome:
        import clarabel

        asked = portfolio(problem)
        ratio = isinstance(asked.objective, MaximumSharpe)
        form = conic.homogeneous(asked) if ratio else conic.standard(program_of(asked))
        matrix, right, cones, origin = _cones(form, clarabel)
        settings = clarabel.DefaultSettings()
        settings.verbose = False
        settings.time_limit = max(task.remaining_s, 1e-3)
        iterations = int(task.parameters.get("iterations_max", 200))
        settings.max_iter = min(iterations, task.work_limit) if task.work_limit else iterations
        settings.max_threads = 1
        settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = 1e-12
        settings.presolve_enable = False  # it drops rows with large ends, and their multipliers
        upper = sparse.triu(form.quadratic, format="csc")
        found = clarabel.DefaultSolver(upper, form.linear, matrix, right, cones, settings).solve()
        return _outcome(asked, task, form, found, origin)


def _cones(
    form: conic.Standard, clarabel: Any
) -> tuple[sparse.csc_matrix, Array, list[Any], np.ndarray]:
    """A x + s = b with s in cones; and for each row of it the row of the program it stands for,
    signed, 0 for none.
    """
    rows = form.rows.matrix
    low, high = form.rows.ends
    lower, upper = form.rows.bounds
    everything = sparse.vstack((rows, sparse.identity(form.rows.size))).tocsr()
    low, high = np.concatenate((low, lower)), np.concatenate((high, upper))
    equal = np.flatnonzero(low == high)
    above = np.flatnonzero((low != high) & np.isfinite(high))
    below = np.flatnonzero((low != high) & np.isfinite(low))
    matrix = sparse.vstack((everything[equal], everything[above], -everything[below])).tocsc()
    right = np.concatenate((high[equal], high[above], -low[below]))
    cones = [clarabel.ZeroConeT(len(equal)), clarabel.NonnegativeConeT(len(above) + len(below))]
    origin = np.concatenate((equal + 1, above + 1, -(below + 1)))
    return matrix, right, cones, origin


def _outcome(
    problem: PortfolioProblem, task: Task, form: conic.Standard, found: Any, origin: np.ndarray
) -> Outcome:
    status = str(found.status)
    work = int(found.iterations)
    if "PrimalInfeasible" in status:
        return settled(
            problem,
            task,
            Status.INFEASIBLE if status == "PrimalInfeasible" else Status.NO_SOLUTION,
            None,
            -np.inf,
            work,
        )
    x = np.array(found.x)
    if not np.isfinite(x).all() or (form.scaled and not x[-1] > 0):
        return settled(problem, task, Status.NO_SOLUTION, None, -np.inf, work)
    weights = conic.repaired(form.program, form.weights(x))
    bound = -np.inf
    if not form.scaled:
        bound = form.program.lagrangian_bound(
            weights, *_multipliers(form, np.array(found.z), origin)
        )
    proven = status == "Solved" and not form.scaled and _close(form, weights, bound)
    return settled(
        problem, task, Status.OPTIMAL if proven else Status.FEASIBLE, weights, bound, work
    )


def _multipliers(form: conic.Standard, dual: Array, origin: np.ndarray) -> tuple[Array, float]:
    by_row = np.zeros(form.rows.count + form.rows.size)
    np.add.at(by_row, np.abs(origin) - 1, np.sign(origin) * dual)
    price = max(0.0, float(by_row[form.turnover])) if form.turnover >= 0 else 0.0
    return by_row[form.main], price


def _close(form: conic.Standard, weights: Array, bound: float) -> bool:
    program = form.program
    return program.objective(weights) - bound <= 1e-9 * max(program.size_of_parts(weights), 1e-300)
