"""Parallel tempering of Ising energies: replicas at a ladder of temperatures exchange places."""

from collections.abc import Sequence

from ketgate_native import ising
from ketgate_native.monitor import Monitor

from ketgate_server.optimization.base import Outcome, ParameterSpec, Problem, Task
from ketgate_server.optimization.ising import IsingProblem
from ketgate_server.optimization.solvers.blocks import initial_spins, lengths, run_blocks
from ketgate_server.optimization.solvers.ising_solver import BETA_END, BETA_START, RUNS, IsingSolver


class ParallelTempering(IsingSolver):
    name = "parallel-tempering"
    description = "Replica exchange over a ladder of temperatures; strong on rugged energies."
    work_unit = "sweeps"
    parameters: Sequence[ParameterSpec] = (
        ParameterSpec("sweeps", "Sweeps of the longest block.", 8192, 1, 10_000_000),
        ParameterSpec("ladders", "Ladders of temperatures run at a time.", 1, 1, 256),
        RUNS,
        BETA_START,
        BETA_END,
    )

    def solve(self, problem: Problem, task: Task) -> Outcome:
        assert isinstance(problem, IsingProblem)
        kernel = problem.kernel()
        initial = initial_spins(problem, task)
        p = task.parameters

        def block(length: int, seed: int, monitor: Monitor) -> ising.Samples:
            return ising.parallel_tempering(
                kernel,
                sweeps=length,
                ladders=p["ladders"],
                seed=seed,
                beta_start=p["beta_start"] or None,
                beta_end=p["beta_end"] or None,
                initial=initial,
                threads=task.threads,
                pool=task.pool_size,
                monitor=monitor,
            )

        return run_blocks(problem, task, lengths(p["sweeps"], p["runs"]), block)
