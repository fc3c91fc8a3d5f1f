"""Parallel tempering of Ising energies: replicas at a ladder of temperatures exchange places."""

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


class ParallelTempering(BlockSolver):
    name = "parallel-tempering"
    description = "Replica exchange over a ladder of temperatures; strong on rugged energies."
    work_unit = "sweeps"
    longest = "sweeps"
    parameters: Sequence[ParameterSpec] = (
        ParameterSpec("sweeps", "Sweeps of the longest block.", 8192, 1, 10_000_000),
        ParameterSpec("ladders", "Ladders of temperatures run at a time.", 1, 1, 256),
        RUNS,
        BETA_START,
        BETA_END,
    )

    def run_block(
        self, kernel: ising.Ising, length: int, parameters: Mapping[str, Any], **common: Any
    ) -> ising.Samples:
        return ising.parallel_tempering(
            kernel,
            sweeps=length,
            ladders=parameters["ladders"],
            **temperatures(parameters),
            **common,
        )
