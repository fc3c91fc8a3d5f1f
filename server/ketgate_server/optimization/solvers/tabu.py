"""Tabu search of Ising energies: independent trajectories, again and again with growing length."""

from collections.abc import Mapping, Sequence
from typing import Any

from ketgate_native import ising

from ketgate_server.optimization.base import ParameterSpec
from ketgate_server.optimization.solvers.ising_solver import (
    RUNS,
    BlockSolver,
)


class Tabu(BlockSolver):
    name = "tabu"
    description = "One-flip tabu search with perturbation; strong on dense QUBOs."
    work_unit = "iterations"
    longest = "iterations"
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

    def run_block(
        self, kernel: ising.Ising, length: int, parameters: Mapping[str, Any], **common: Any
    ) -> ising.Samples:
        return ising.tabu(
            kernel,
            iterations=length,
            restarts=parameters["restarts"],
            tenure=parameters["tenure"] or None,
            **common,
        )
