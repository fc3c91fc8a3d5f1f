"""Simulated annealing of Ising energies: many replicas in SIMD lanes, again and again with growing
length."""

from collections.abc import Sequence

from ketgate_native import ising
from ketgate_native.monitor import Monitor

from ketgate_server.optimization.base import Outcome, ParameterSpec, Problem, Task
from ketgate_server.optimization.ising import IsingProblem
from ketgate_server.optimization.solvers.blocks import initial_spins, lengths, run_blocks
from ketgate_server.optimization.solvers.ising_solver import BETA_END, BETA_START, RUNS, IsingSolver


class Annealing(IsingSolver):
    name = "annealing"
    description = "Simulated annealing of an Ising energy, many replicas at a time."
    work_unit = "sweeps"
    parameters: Sequence[ParameterSpec] = (
        ParameterSpec("sweeps", "Sweeps of the longest annealing.", 1024, 1, 10_000_000),
        ParameterSpec("replicas", "Replicas annealed at a time.", 32, 1, 4096),
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
            return ising.anneal(
                kernel,
                sweeps=length,
                replicas=p["replicas"],
                seed=seed,
                beta_start=p["beta_start"] or None,
                beta_end=p["beta_end"] or None,
                initial=initial,
                threads=task.threads,
                pool=task.pool_size,
                monitor=monitor,
            )

        return run_blocks(problem, task, lengths(p["sweeps"], p["runs"]), block)
