"""Small problems of binaries by trying every assignment: the answer is proven, and the pool is
complete."""

from collections.abc import Sequence

import numpy as np

from ketgate_server.optimization.base import (
    Conflict,
    Outcome,
    ParameterSpec,
    Problem,
    ProblemKind,
    Proof,
    SolveOptions,
    Status,
    StopReason,
    Task,
)
from ketgate_server.optimization.binary import BinaryProblem
from ketgate_server.optimization.ising import IsingProblem
from ketgate_server.optimization.rows import NO_ROWS
from ketgate_server.optimization.solvers.blocks import reason_after

VARIABLES_MAX = 40
VISIT_S = 12e-9
START_S = 2e-4
DRIFT = 2.0**-40
"""Relative to the sum of all magnitudes: more than 1,024 additions between two fresh sums can be
off by."""


class Exhaustive:
    name = "exhaustive"
    description = "Tries every assignment of up to 40 binaries or spins; proves what it answers."
    problems = frozenset({ProblemKind.ISING, ProblemKind.BINARY_QUADRATIC})
    proofs = frozenset({Proof.OPTIMALITY, Proof.INFEASIBILITY})
    parameters: Sequence[ParameterSpec] = ()
    part = "native"
    work_unit = "assignments"
    deterministic = True
    warm_start = False

    def unsuitable(self, problem: Problem) -> str | None:
        if not isinstance(problem, (IsingProblem, BinaryProblem)):
            return "it takes spins and binaries"
        if problem.size > VARIABLES_MAX:
            return f"it takes at most {VARIABLES_MAX} variables, not {problem.size}"
        return None

    def memory_bytes(self, problem: Problem) -> int:  # noqa: ARG002
        return 1 << 20

    def work_seconds(self, problem: Problem, options: SolveOptions) -> float:
        """How long all assignments take, about."""
        visits = 2.0**problem.size
        if options.work_limit:
            visits = min(visits, float(options.work_limit))
        rows = problem.num_constraints / 2
        return START_S + visits * VISIT_S * (1.0 + rows)

    def solve(self, problem: Problem, task: Task) -> Outcome:
        from ketgate_native.exhaustive import enumerate_binaries

        assert isinstance(problem, (IsingProblem, BinaryProblem))
        f = problem.function.as_binary()
        rows = problem.rows if isinstance(problem, BinaryProblem) else NO_ROWS
        to_caller = problem.function.from_binaries
        monitor = task.open_monitor(
            problem.size, lambda found: to_caller(np.frombuffer(found, dtype=np.uint8))
        )
        found = enumerate_binaries(
            f.linear,
            f.quadratic.row,
            f.quadratic.column,
            f.quadratic.value,
            rows.matrix.row,
            rows.matrix.column,
            rows.matrix.value,
            rows.lower,
            rows.upper,
            f.offset,
            tolerance=problem.tolerance if isinstance(problem, BinaryProblem) else 0.0,
            pool=task.pool_size,
            work=task.work_limit,
            monitor=monitor,
        )
        solutions = [to_caller(values.astype(np.uint8)) for values in found.values]
        if not found.completed:
            stop_reason = reason_after(task, monitor)
            if stop_reason is StopReason.COMPLETED:
                stop_reason = StopReason.WORK_LIMIT
            status = Status.FEASIBLE if solutions else Status.NO_SOLUTION
            return Outcome(status, stop_reason, solutions, work=found.visited)
        if not solutions:
            conflict = self._conflict(problem, task)
            completed = StopReason.COMPLETED
            return Outcome(Status.INFEASIBLE, completed, work=found.visited, conflict=conflict)
        slack = 0.0 if f.exact else DRIFT * f.magnitude
        bound = problem.evaluate(solutions[0]).objective - slack
        return Outcome(
            Status.OPTIMAL, StopReason.COMPLETED, solutions, bound=bound, work=found.visited
        )

    def _conflict(self, problem: Problem, task: Task) -> Sequence[Conflict]:
        from ketgate_server.optimization.conflict import irreducible

        return irreducible(problem, task)
