"""HiGHS: linear and mixed-integer programs, and binary quadratic ones whose products are few."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ketgate_server.optimization.base import (
    Outcome,
    ParameterSpec,
    Problem,
    ProblemKind,
    Proof,
    SolveOptions,
    Status,
    StopReason,
    Task,
    reason_of_proof,
)
from ketgate_server.optimization.binary import BinaryProblem
from ketgate_server.optimization.interruption import stop_when
from ketgate_server.optimization.ising import IsingProblem
from ketgate_server.optimization.linear import LinearProblem
from ketgate_server.optimization.solvers.highs_model import (
    COEFFICIENT_LEAST,
    LinearForm,
    build,
    entries_left_out,
    linear_form,
)

PRODUCTS_MAX = 100_000
COUNT_MAX = 2**31 - 1
MAGNITUDE_MAX = 1e19
"""A tenth of what HiGHS takes for infinite: over binaries, coefficients of spins grow fourfold."""
FEASIBILITY_LEAST = 1e-10
"""The tightest feasibility tolerance HiGHS takes."""
QUICK_NONZEROS = 400
"""Linear programs up to this size take a millisecond or two."""


class Highs:
    name = "highs"
    description = "HiGHS: simplex and branch-and-cut; binary quadratic problems by their products."
    problems = frozenset(
        {
            ProblemKind.LINEAR,
            ProblemKind.MIXED_INTEGER,
            ProblemKind.BINARY_QUADRATIC,
            ProblemKind.ISING,
        }
    )
    proofs = frozenset({Proof.OPTIMALITY, Proof.BOUND, Proof.INFEASIBILITY})
    parameters: Sequence[ParameterSpec] = (
        ParameterSpec(
            "presolve",
            "Whether to simplify the problem first.",
            "choose",
            choices=("choose", "on", "off"),
        ),
        ParameterSpec(
            "method",
            "How a linear program is solved.",
            "choose",
            choices=("choose", "simplex", "ipm"),
        ),
    )
    part = "highs"
    work_unit = "nodes"
    deterministic = True
    warm_start = True

    def unsuitable(self, problem: Problem) -> str | None:
        if isinstance(problem, (IsingProblem, BinaryProblem)):
            products = problem.function.quadratic.entries
            if products > PRODUCTS_MAX:
                return f"it takes at most {PRODUCTS_MAX} products, not {products}"
            if not problem.function.magnitude < MAGNITUDE_MAX:
                return f"it takes coefficients that sum to less than {MAGNITUDE_MAX:g}"
            return None
        return None if isinstance(problem, LinearProblem) else "it takes linear programs"

    def memory_bytes(self, problem: Problem) -> int:
        nonzeros = (1 if isinstance(problem, LinearProblem) else 5) * problem.terms
        return 256 * nonzeros + 1024 * (problem.size + problem.num_constraints) + (16 << 20)

    def work_seconds(self, problem: Problem, options: SolveOptions) -> float | None:  # noqa: ARG002
        """Known for small linear programs only."""
        if problem.kind is not ProblemKind.LINEAR or not isinstance(problem, LinearProblem):
            return None
        small = (
            problem.rows.matrix.entries + problem.size + problem.num_constraints <= QUICK_NONZEROS
        )
        return 0.004 if small else None

    def solve(self, problem: Problem, task: Task) -> Outcome:
        form = linear_form(problem)
        run = _Run(problem, form, task)
        return run.solve()


class _Run:
    """One run of HiGHS and what follows from its end."""

    def __init__(self, problem: Problem, form: LinearForm, task: Task) -> None:
        self.problem = problem
        self.form = form
        self.task = task
        self.mixed = bool(form.integer.any())
        self.left_out = entries_left_out(form.rows)

    def solve(self) -> Outcome:
        outcome = self._solve()
        if not self.left_out:
            return outcome
        proven = outcome.status in (Status.INFEASIBLE, Status.UNBOUNDED)
        found = Status.FEASIBLE if outcome.solutions and not proven else Status.NO_SOLUTION
        warning = (
            f"highs takes no coefficients up to {COEFFICIENT_LEAST:g} beside ones of 1 or more, and "
            f"left {self.left_out} out: what it finds is checked, but it proves nothing"
        )
        return replace(outcome, status=found, bound=None, conflict=(), warnings=[warning])

    def _solve(self) -> Outcome:
        import highspy

        highs = build(self.form, self._options())
        self._subscribe(highs)
        self._start_from(highs)
        self.task.prepared()
        if self.task.should_stop:
            return Outcome(Status.NO_SOLUTION, self.task.stop_reason)
        # Only now: building the model took time too, and HiGHS counts from the start of its run.
        highs.setOptionValue("time_limit", max(0.0, self.task.remaining_s))
        if highs.run() == highspy.HighsStatus.kError:
            raise RuntimeError(f"HiGHS failed: {highs.getModelStatus()}")
        status = highs.getModelStatus()
        kinds = highspy.HighsModelStatus
        work = self._work(highs)
        if status in (kinds.kInfeasible, kinds.kUnbounded, kinds.kUnboundedOrInfeasible):
            return self._no_best(status is kinds.kInfeasible, work)
        solutions = self._solutions(highs)
        if status in (kinds.kOptimal, kinds.kModelEmpty):
            bound = self._bound(highs, optimal=True)
            score = float(highs.getInfo().objective_function_value)
            reason = reason_of_proof(score, score if bound is None else bound)
            return Outcome(Status.OPTIMAL, reason, solutions, bound=bound, work=work)
        stop_reason = self._stop_reason(status)
        found = Status.FEASIBLE if solutions else Status.NO_SOLUTION
        bound = self._bound(highs, optimal=False)
        return Outcome(found, stop_reason, solutions, bound=bound, work=work)

    def _options(self) -> dict[str, Any]:
        task = self.task
        tolerance = min(max(FEASIBILITY_LEAST, 0.1 * task.feasibility_tolerance), 1e-7)
        options = {
            "random_seed": task.seed & COUNT_MAX,
            "primal_feasibility_tolerance": tolerance,
            "dual_feasibility_tolerance": 1e-9,
            "mip_feasibility_tolerance": 1e-9,
            "mip_rel_gap": task.gap_relative,
            "mip_abs_gap": task.gap_absolute,
            "presolve": task.parameters["presolve"],
            "solver": task.parameters["method"],
        }
        if task.work_limit:
            limit = "mip_max_nodes" if self.mixed else "simplex_iteration_limit"
            options[limit] = min(task.work_limit, COUNT_MAX)
        if task.target is not None and self.mixed:
            options["objective_target"] = task.target
        return options

    def _subscribe(self, highs: Any) -> None:
        """Report incumbents and bounds, and stop when told to. Called by HiGHS every few
        milliseconds to half a second; whoever cannot wait goes on without it."""

        def tell_bound(event: Any) -> None:
            bound = float(event.data_out.mip_dual_bound)
            if math.isfinite(bound) and not self.left_out:
                self.task.offer_bound(bound, work=max(0, int(event.data_out.mip_node_count)))

        def improve(event: Any) -> None:
            x = np.array(event.data_out.mip_solution, dtype=np.float64)
            if len(x) >= self.form.size:
                work = max(0, int(event.data_out.mip_node_count))
                self.task.offer(self._to_caller(x), work=work)

        self._stop_when_told(highs)
        if self.mixed:
            highs.cbMipInterrupt.subscribe(tell_bound)
            highs.cbMipImprovingSolution.subscribe(improve)

    def _stop_when_told(self, highs: Any) -> None:
        stop_when(highs, lambda: self.task.should_stop)

    def _start_from(self, highs: Any) -> None:
        """Give HiGHS the first of the initial solutions; it completes or drops it."""
        if (
            self.task.initial is None
            or not self.mixed
            or not isinstance(self.problem, LinearProblem)
        ):
            return
        import highspy

        start = highspy.HighsSolution()
        start.col_value = np.asarray(self.task.initial[0], dtype=np.float64)
        highs.setSolution(start)

    def _solutions(self, highs: Any) -> list[NDArray[Any]]:
        """What HiGHS holds at its end, with whole numbers whole and the rest fitted to them."""
        if highs.getInfo().primal_solution_status != 2:  # kSolutionStatusFeasible
            return []
        x = np.array(highs.getSolution().col_value, dtype=np.float64)
        if self.mixed and not self.form.integer.all() and isinstance(self.problem, LinearProblem):
            x = self._refit(x)
        return [self._to_caller(x)]

    def _refit(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """The best continuous part for the whole part, rounded: branch-and-cut leaves both a little
        off."""
        import highspy

        problem, form = self.problem, self.form
        whole = np.rint(x)
        lower, upper = form.lower.copy(), form.upper.copy()
        lower[form.integer] = upper[form.integer] = whole[form.integer]
        none = np.zeros(len(x), dtype=np.bool_)
        fixed = LinearForm(form.size, form.cost, form.offset, form.rows, lower, upper, none)
        options = {
            "time_limit": max(0.01, self.task.remaining_s),
            "primal_feasibility_tolerance": FEASIBILITY_LEAST,
            "dual_feasibility_tolerance": 1e-9,
        }
        highs = build(fixed, options)
        self._stop_when_told(highs)
        highs.run()
        if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return x
        refitted = np.array(highs.getSolution().col_value, dtype=np.float64)
        before = problem.evaluate(problem.polish(x)).violation_max
        after = problem.evaluate(problem.polish(refitted)).violation_max
        return refitted if after <= max(before, self.task.feasibility_tolerance) else x

    def _to_caller(self, x: NDArray[np.float64]) -> NDArray[Any]:
        if isinstance(self.problem, LinearProblem):
            return x
        assert isinstance(self.problem, (IsingProblem, BinaryProblem))
        binaries = (x[: self.form.size] > 0.5).astype(np.uint8)
        return self.problem.function.from_binaries(binaries)

    def _no_best(self, infeasible: bool, work: int) -> Outcome:
        """Infeasible or unbounded: HiGHS does not always say which, so ask without the
        objective."""
        if not infeasible:
            feasible = self._is_feasible()
            if feasible is None:
                return Outcome(Status.NO_SOLUTION, self._stop_reason(None), work=work)
            if feasible:
                return Outcome(Status.UNBOUNDED, StopReason.COMPLETED, work=work)
        from ketgate_server.optimization.conflict import irreducible

        conflict = irreducible(self.problem, self.task)
        return Outcome(Status.INFEASIBLE, StopReason.COMPLETED, work=work, conflict=conflict)

    def _is_feasible(self) -> bool | None:
        import highspy

        form = self.form
        zero = np.zeros_like(form.cost)
        plain = LinearForm(form.size, zero, 0.0, form.rows, form.lower, form.upper, form.integer)
        highs = build(plain, {"time_limit": max(0.0, self.task.remaining_s)})
        self._stop_when_told(highs)
        highs.run()
        status = highs.getModelStatus()
        if status == highspy.HighsModelStatus.kInfeasible:
            return False
        return True if status == highspy.HighsModelStatus.kOptimal else None

    def _bound(self, highs: Any, *, optimal: bool) -> float | None:
        if self.mixed:
            bound = float(highs.getInfo().mip_dual_bound)
        elif optimal:
            bound = float(highs.getInfo().objective_function_value)
        else:
            return None
        return bound if math.isfinite(bound) else None

    def _work(self, highs: Any) -> int:
        found = highs.getInfo()
        count = found.mip_node_count if self.mixed else found.simplex_iteration_count
        return max(0, int(count))

    def _stop_reason(self, status: Any) -> StopReason:
        import highspy

        kinds = highspy.HighsModelStatus
        if status == kinds.kObjectiveTarget:
            return StopReason.TARGET
        if self.task.should_stop or status == kinds.kTimeLimit:
            # HiGHS may see the end of its time a moment before we do.
            return self.task.deadline_reason if not self.task.should_stop else self.task.stop_reason
        if status in (kinds.kIterationLimit, kinds.kSolutionLimit):
            return StopReason.WORK_LIMIT
        return StopReason.COMPLETED
