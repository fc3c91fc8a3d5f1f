"""Simulated annealing of Ising energies: many replicas in SIMD lanes, again and again with growing
length."""

from collections.abc import Mapping, Sequence
from typing import Any

from ketgate_native import ising

from ketgate_server.optimization.base import ParameterSpec
from ketgate_server.optimization.solvers.ising_solver import (
    BETA_END,
    BETA_START,
    RUNS,
    BlockSolver,
    temperatures,
)


class Annealing(BlockSolver):
    name = "annealing"
    description = "Simulated annealing of an Ising energy, many replicas at a time."
    work_unit = "sweeps"
    longest = "sweeps"
    parameters: Sequence[ParameterSpec] = (
        ParameterSpec("sweeps", "Sweeps of the longest annealing.", 1024, 1, 10_000_000),
        ParameterSpec("replicas", "Replicas annealed at a time.", 32, 1, 4096),
        RUNS,
        BETA_START,
        BETA_END,
    )

    def run_block(
        self, kernel: ising.Ising, length: int, parameters: Mapping[str, Any], **common: Any
    ) -> ising.Samples:
        return ising.anneal(
            kernel,
            sweeps=length,
            replicas=parameters["replicas"],
            **temperatures(parameters),
            **common,
        )
