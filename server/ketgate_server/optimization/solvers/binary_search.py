"""Binary quadratic programs by native local search: flips and swaps, with weights on violated
rows."""

from collections.abc import Sequence
from typing import Any

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
from ketgate_server.optimization.binary import BinaryProblem
from ketgate_server.optimization.solvers.blocks import reason_after


class BinarySearch:
    name = "binary-search"
    description = "Local search over flips and swaps; rows are kept, not turned into penalties."
    problems = frozenset({ProblemKind.BINARY_QUADRATIC})
    proofs: frozenset[Proof] = frozenset()
    parameters: Sequence[ParameterSpec] = ()
    part = "native"
    work_unit = "moves"
    deterministic = True
    warm_start = True

    def unsuitable(self, problem: Problem) -> str | None:
        if isinstance(problem, BinaryProblem):
            return None
        return "it takes binary quadratic programs"

    def memory_bytes(self, problem: Problem) -> int:
        assert isinstance(problem, BinaryProblem)
        return 64 * problem.terms + 512 * problem.size + 128 * problem.num_constraints + (4 << 20)

    def solve(self, problem: Problem, task: Task) -> Outcome:
        from ketgate_native import binary

        assert isinstance(problem, BinaryProblem)
        kernel = problem.kernel()
        monitor = task.open_monitor(problem.size, decode)
        found = binary.search_binary(
            kernel,
            work=task.work_limit or None,
            seed=task.seed,
            initial=None if task.initial is None else task.initial.astype(np.int8),
            threads=task.threads,
            pool=task.pool_size,
            monitor=monitor,
        )
        stop_reason = reason_after(task, monitor)
        if stop_reason is StopReason.COMPLETED and task.work_limit:
            stop_reason = StopReason.WORK_LIMIT
        return Outcome(
            Status.FEASIBLE if len(found.values) else Status.NO_SOLUTION,
            stop_reason,
            solutions=[values.astype(np.uint8) for values in found.values],
            occurrences=[int(count) for count in found.occurrences],
            work=int(found.stats["work"]),
        )


def decode(found: bytes) -> NDArray[Any]:
    return np.frombuffer(found, dtype=np.uint8)
