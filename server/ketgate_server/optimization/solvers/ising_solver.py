"""What the native solvers of Ising energies have in common."""

from collections.abc import Sequence

from ketgate_server.optimization.base import ParameterSpec, Problem, ProblemKind, Proof
from ketgate_server.optimization.ising import IsingProblem


class IsingSolver:
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
        """The kernel's own copy of the couplings, both ways, and a block of replicas for each of a
        few threads."""
        assert isinstance(problem, IsingProblem)
        return 64 * problem.terms + 2048 * problem.size + (4 << 20)


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
