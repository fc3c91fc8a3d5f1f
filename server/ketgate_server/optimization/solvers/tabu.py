"""Tabu search of Ising energies: independent trajectories, again and again with growing length."""

from collections.abc import Sequence

from ketgate_native import ising
from ketgate_native.monitor import Monitor

from ketgate_server.optimization.base import Outcome, ParameterSpec, Problem, Task
from ketgate_server.optimization.ising import IsingProblem
from ketgate_server.optimization.solvers.blocks import initial_spins, lengths, run_blocks
from ketgate_server.optimization.solvers.ising_solver import RUNS, IsingSolver


class Tabu(IsingSolver):
    name = "tabu"
    description = "One-flip tabu search with perturbation; strong on dense QUBOs."
    work_unit = "iterations"
    parameters: Sequence[ParameterSpec] = (
        ParameterSpec(
            "iterations", "Flips of the longest block of a trajectory.", 1 << 20, 1, 1 << 40
        ),
        ParameterSpec("restarts", "Independent trajectories of a block.", 1, 1, 4096),
        ParameterSpec(
            "tenure", "Flips for which a spin stays tabu; 0: from the size.", 0, 0, 1_000_000
        ),
        RUNS,
    )

    def solve(self, problem: Problem, task: Task) -> Outcome:
        assert isinstance(problem, IsingProblem)
        kernel = problem.kernel()
        initial = initial_spins(problem, task)
        p = task.parameters

        def block(length: int, seed: int, monitor: Monitor) -> ising.Samples:
            return ising.tabu(
                kernel,
                iterations=length,
                restarts=p["restarts"],
                seed=seed,
                tenure=p["tenure"] or None,
                initial=initial,
                threads=task.threads,
                pool=task.pool_size,
                monitor=monitor,
            )

        return run_blocks(problem, task, lengths(p["iterations"], p["runs"]), block)
