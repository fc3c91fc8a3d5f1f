"""The default for Ising energies and QUBOs: the native mix of annealing and tabu, until a limit."""

from typing import Any

import numpy as np
from ketgate_native import ising
from numpy.typing import NDArray

from ketgate_server.optimization.base import Outcome, StopReason, Task
from ketgate_server.optimization.ising import IsingProblem
from ketgate_server.optimization.solvers.blocks import (
    SamplePool,
    initial_spins,
    outcome,
    reason_after,
)
from ketgate_server.optimization.solvers.ising_solver import IsingSolver

DESCENT_VISITS_MAX = 50_000_000
"""About a tenth of a second: a flip of the descent looks at every spin."""


def descent_flips(size: int, work_limit: int) -> int:
    """Flips of the descent that goes before a search with a limit of work.

    The kernel's first block is one sweep of all its replicas, so a limit below that would return the
    start as it is. More work is never worse: the descent's path does not depend on its length, and
    beyond `size` flips it does not grow.
    """
    return min(work_limit, size, DESCENT_VISITS_MAX // size)


class LocalSearch(IsingSolver):
    name = "local-search"
    description = "Annealing and tabu in blocks of growing length, mixed by structure; the default."
    work_unit = "moves"

    def search(self, problem: IsingProblem, kernel: ising.Ising, task: Task) -> Outcome:
        def decode(found: bytes) -> NDArray[Any]:
            return problem.from_spins(np.frombuffer(found, dtype=np.int8))

        monitor = task.open_monitor(problem.size, decode)
        pool = SamplePool(task.pool_size)
        initial = initial_spins(problem, task)
        flips = descent_flips(problem.size, task.work_limit)
        if flips:
            descent = ising.tabu(
                kernel, iterations=flips, seed=task.seed, initial=initial, monitor=monitor
            )
            pool.add(descent)
            initial = np.vstack([descent.spins, *([] if initial is None else [initial])])
        samples = ising.search(
            kernel,
            work=task.work_limit or None,
            seed=task.seed,
            initial=initial,
            threads=task.threads,
            pool=task.pool_size,
            monitor=monitor,
        )
        pool.add(samples)
        stop_reason = reason_after(task, monitor)
        if stop_reason is StopReason.COMPLETED and task.work_limit:
            stop_reason = StopReason.WORK_LIMIT
        return outcome(problem, pool, stop_reason, int(samples.stats["work"]))
