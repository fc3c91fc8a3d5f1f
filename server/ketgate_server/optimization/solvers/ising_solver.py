"""What the native solvers of Ising energies have in common: set-up that can be stopped, and blocks of
growing length."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from ketgate_native.ising import Ising, Samples
from ketgate_native.monitor import Monitor, Stopped

from ketgate_server.optimization.base import (
    Outcome,
    ParameterSpec,
    Problem,
    ProblemKind,
    Proof,
    Status,
    Task,
)
from ketgate_server.optimization.ising import IsingProblem
from ketgate_server.optimization.solvers.blocks import initial_spins, lengths, run_blocks

LANE_BYTES = 256
"""A spin and its field in every lane of a block: at most 32 lanes of 4 bytes each."""


class IsingSolver(ABC):
    """Base of the native solvers of Ising energies and QUBOs; holds no state of a run."""

    problems = frozenset({ProblemKind.ISING})
    proofs: frozenset[Proof] = frozenset()
    parameters: Sequence[ParameterSpec] = ()
    part = "native"
    deterministic = True
    warm_start = True

    def unsuitable(self, problem: Problem) -> str | None:
        return None if isinstance(problem, IsingProblem) else "it takes Ising energies and QUBOs"

    def memory_bytes(self, problem: Problem) -> int:
        """The kernel's own copy of the couplings, both ways, and what building it needs meanwhile."""
        assert isinstance(problem, IsingProblem)
        return 64 * problem.terms + 128 * problem.size + (4 << 20)

    def thread_bytes(self, problem: Problem) -> int:
        """A ladder of blocks is the most that a thread holds: one of lanes, one state of each lane
        twice over, and what grafts need."""
        return (LANE_BYTES + 128) * problem.size + (1 << 20)

    def solve(self, problem: Problem, task: Task) -> Outcome:
        """Build the kernel's problem, then search; stopped while building, nothing was found yet."""
        assert isinstance(problem, IsingProblem)
        try:
            kernel = problem.kernel(task.open_setup_monitor())
        except Stopped:
            task.prepared()
            # The kernel may see the end of its time a moment before we do.
            reason = task.stop_reason if task.should_stop else task.deadline_reason
            return Outcome(Status.NO_SOLUTION, reason)
        return self.search(problem, kernel, task)

    @abstractmethod
    def search(self, problem: IsingProblem, kernel: Ising, task: Task) -> Outcome: ...


class BlockSolver(IsingSolver):
    """One whose kernel takes an exact amount of work: run in blocks, up to the longest."""

    longest: str
    """The parameter that holds the length of the longest block."""

    def search(self, problem: IsingProblem, kernel: Ising, task: Task) -> Outcome:
        initial = initial_spins(problem, task)

        def block(length: int, seed: int, monitor: Monitor) -> Samples:
            return self.run_block(
                kernel,
                length,
                task.parameters,
                seed=seed,
                monitor=monitor,
                initial=initial,
                threads=task.threads,
                pool=task.pool_size,
            )

        sizes = lengths(task.parameters[self.longest], task.parameters[RUNS.name])
        return run_blocks(problem, task, sizes, block)

    @abstractmethod
    def run_block(
        self, kernel: Ising, length: int, parameters: Mapping[str, Any], **common: Any
    ) -> Samples:
        """common: seed, monitor, initial, threads and pool, as all kernels take them."""


BETA_START = ParameterSpec(
    "beta_start",
    "Inverse temperature at the start, in 1 / energy of the request; 0: from the weights.",
    0.0,
    0.0,
    1e12,
)
BETA_END = ParameterSpec(
    "beta_end",
    "Inverse temperature at the end, in 1 / energy of the request; 0: from the weights.",
    0.0,
    0.0,
    1e12,
)
RUNS = ParameterSpec(
    "runs",
    "Blocks of the full length to run; 0: blocks of growing length until a limit.",
    0,
    0,
    1_000_000,
)


def temperatures(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What the kernels call beta_start and beta_end."""
    return {spec.name: float(parameters[spec.name]) or None for spec in (BETA_START, BETA_END)}
