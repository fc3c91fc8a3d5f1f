"""The solver "highs-qp": continuous portfolios by the quadratic solver of the library HiGHS."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

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
from ketgate_server.optimization.interruption import stop_when
from ketgate_server.optimization.portfolio import conic
from ketgate_server.optimization.portfolio.active_set import portfolio, settled
from ketgate_server.optimization.portfolio.covariance import Factors
from ketgate_server.optimization.portfolio.model import (
    MinimumVariance,
    PortfolioProblem,
    TargetReturn,
    Utility,
)
from ketgate_server.optimization.portfolio.program import program_of

if TYPE_CHECKING:
    import highspy

NAMES_MAX = 1_000
FEASIBILITY = 1e-10


class HighsQuadratic:
    """Implements base.Solver. An oracle for the native kernels, and a fallback."""

    name = "highs-qp"
    description = (
        "Convex portfolios by the active-set method of HiGHS; an independent check of active-set."
    )
    problems = frozenset({ProblemKind.PORTFOLIO_CONTINUOUS})
    proofs = frozenset({Proof.OPTIMALITY, Proof.BOUND, Proof.INFEASIBILITY})
    parameters: Sequence[ParameterSpec] = ()
    part = "highs"
    work_unit = "iterations"
    deterministic = True
    warm_start = False

    def unsuitable(self, problem: Problem) -> str | None:
        asked = portfolio(problem)
        if asked.constraints.discrete:
            return "it takes continuous weights only"
        if not isinstance(asked.objective, (MinimumVariance, Utility, TargetReturn)):
            return "it finds one portfolio of a quadratic objective"
        if isinstance(asked.covariance, Factors):
            return "it takes a dense covariance"
        return None if asked.size <= NAMES_MAX else f"it takes at most {NAMES_MAX} names"

    def memory_bytes(self, problem: Problem) -> int:
        return 8 * portfolio(problem).covariance.nbytes

    def solve(self, problem: Problem, task: Task) -> Outcome:
        import highspy

        asked = portfolio(problem)
        form = conic.standard(program_of(asked))
        solver = highspy.Highs()
        solver.silent()
        for option, value in (
            ("threads", 1),
            ("time_limit", max(task.remaining_s, 1e-3)),
            ("primal_feasibility_tolerance", FEASIBILITY),
            ("dual_feasibility_tolerance", FEASIBILITY),
        ):
            solver.setOptionValue(option, value)
        if task.work_limit:
            solver.setOptionValue("qp_iteration_limit", int(min(task.work_limit, 2**31 - 1)))
        solver.passModel(_model(form))
        stop_when(solver, lambda: task.should_stop)
        solver.run()
        return _outcome(asked, task, form, solver)


def _model(form: conic.Standard) -> "highspy.HighsModel":
    import highspy

    model = highspy.HighsModel()
    model.lp_ = form.rows.highs_lp(form.linear)
    lower = sparse.tril(form.quadratic, format="csc")
    if lower.nnz:
        hessian = highspy.HighsHessian()
        hessian.dim_ = form.rows.size
        hessian.format_ = highspy.HessianFormat.kTriangular
        hessian.start_, hessian.index_, hessian.value_ = lower.indptr, lower.indices, lower.data
        model.hessian_ = hessian
    return model


def _outcome(
    problem: PortfolioProblem, task: Task, form: conic.Standard, solver: "highspy.Highs"
) -> Outcome:
    import highspy

    status = solver.getModelStatus()
    work = max(0, int(solver.getInfo().qp_iteration_count)) + max(
        0, int(solver.getInfo().simplex_iteration_count)
    )
    if status == highspy.HighsModelStatus.kInfeasible:
        return settled(problem, task, Status.INFEASIBLE, None, -np.inf, work)
    solution = solver.getSolution()
    x = np.array(solution.col_value)
    if len(x) != form.rows.size or not np.isfinite(x).all():
        return settled(problem, task, Status.NO_SOLUTION, None, -np.inf, work)
    program = form.program
    weights = conic.repaired(program, form.weights(x))
    dual = -np.array(solution.row_dual)
    if len(dual) != form.rows.count:
        return settled(problem, task, Status.FEASIBLE, weights, -np.inf, work)
    price = max(0.0, float(dual[form.turnover])) if form.turnover >= 0 else 0.0
    bound = program.lagrangian_bound(weights, dual[form.main], price)
    gap = program.objective(weights) - bound
    proven = status == highspy.HighsModelStatus.kOptimal and gap <= 1e-9 * max(
        program.size_of_parts(weights), 1e-300
    )
    return settled(
        problem, task, Status.OPTIMAL if proven else Status.FEASIBLE, weights, bound, work
    )
