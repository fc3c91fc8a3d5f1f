"""Quantum algorithms as solvers: QAOA, VQE and Grover adaptive search, on any back end of the gateway.

They prove nothing, and on a simulator they are slower than classical search: never chosen unless named.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ketgate_server.errors import FieldError, KetgateError, Reason, echo
from ketgate_server.optimization.base import (
    Outcome,
    ParameterSpec,
    Problem,
    ProblemKind,
    Proof,
    Status,
    StopReason,
    Task,
    sense_sign,
)
from ketgate_server.optimization.ising import IsingProblem
from ketgate_server.optimization.portfolio import supports
from ketgate_server.optimization.portfolio.model import PortfolioProblem
from ketgate_server.type.quadratic import QuadraticFunction

VARIABLES_MAX = 30
"""A state vector of so many qubits has 16 GiB: what is smaller is the gateway's to refuse, by its limit
of memory."""
CHOICES = 50
"""Choices of names whose weights are looked for, of a portfolio."""
STOPS = frozenset({Reason.CANCELLED, Reason.DEADLINE_EXCEEDED, Reason.SERVER_BUSY})

BACKEND = ParameterSpec(
    "backend", "Back end of the quantum gateway, as ListBackends tells it; not a QPU.", "native"
)
SHOTS = ParameterSpec(
    "shots",
    "Shots of each expectation; 0: exact, of simulators, and 1,024 of the final sample.",
    0,
    0,
    1_000_000,
)
EVALUATIONS = ParameterSpec(
    "evaluations", "Expectations to evaluate at most; gradients count for four.", 500, 1, 1_000_000
)


class QuantumSolver(ABC):
    """One that samples a state."""

    problems = frozenset({ProblemKind.ISING, ProblemKind.PORTFOLIO_DISCRETE})
    proofs: frozenset[Proof] = frozenset()
    part = "native"
    deterministic = True
    warm_start = False
    work_unit = "evaluations"
    name: str
    description: str
    parameters: Sequence[ParameterSpec]

    def unsuitable(self, problem: Problem) -> str | None:
        if isinstance(problem, PortfolioProblem):
            why = supports.unsuitable(problem)
            if why is not None:
                return why
        elif not isinstance(problem, IsingProblem):
            return "it takes spins and binaries without constraints"
        if problem.size > VARIABLES_MAX:
            return f"it takes at most {VARIABLES_MAX} variables, not {problem.size}"
        return None

    def memory_bytes(self, problem: Problem) -> int:
        return 48 << min(problem.size, VARIABLES_MAX)

    def solve(self, problem: Problem, task: Task) -> Outcome:
        from ketgate_server.quantum.base import Stopped

        try:
            found = self._find(problem, task)
        except Stopped:
            return Outcome(Status.NO_SOLUTION, _why(task))
        except KetgateError as error:
            if error.reason in STOPS and task.should_stop:
                return Outcome(Status.NO_SOLUTION, _why(task))
            if isinstance(error, FieldError):  # of the gateway's own request, which nobody sent
                raise KetgateError(
                    Reason.SOLVER_UNSUITABLE,
                    f"{self.name}: expected {error.expected}, given {echo(error.given)}; {error.hint}",
                ) from None
            raise
        if isinstance(problem, PortfolioProblem):
            return _weighted(problem, task, found)
        status = Status.FEASIBLE if found.samples else Status.NO_SOLUTION
        reason = StopReason.COMPLETED if found.complete else _why(task)
        return Outcome(
            status,
            reason,
            [values for values, _ in found.samples],
            [count for _, count in found.samples],
            work=found.work,
            warnings=found.warnings,
            quantum=found,
        )

    def _find(self, problem: Problem, task: Task) -> Any:
        if isinstance(problem, PortfolioProblem):
            function = supports.surrogate(problem)
            how = replace(asked(task), samples_max=CHOICES)
            return self.find(function, problem.constraints.names_max, task, how)
        assert isinstance(problem, IsingProblem)
        return self.find(problem.function, 0, task, asked(task))

    @abstractmethod
    def find(self, function: QuadraticFunction, ones: int, task: Task, how: Any) -> Any:
        """A quantum.solving.Solved; how: an Asked. ones: exactly so many are to be 1; 0: any."""


class Qaoa(QuantumSolver):
    name = "qaoa"
    description = (
        "Quantum approximate optimization: angles by gradients on exact simulators, by SPSA with "
        "shots; samples of the best state."
    )
    parameters: Sequence[ParameterSpec] = (
        ParameterSpec("layers", "Layers p.", 3, 1, 1000),
        BACKEND,
        SHOTS,
        EVALUATIONS,
    )

    def find(self, function: QuadraticFunction, ones: int, task: Task, how: Any) -> Any:
        from ketgate_server.quantum.qaoa.problem import Mixer
        from ketgate_server.quantum.solving import solve_qaoa

        mixer = Mixer.XY_RING if ones else Mixer.X  # which keeps the number of ones
        layers = task.parameters["layers"]
        return solve_qaoa(function, layers, how, mixer=mixer, hamming_weight=ones)


class Vqe(QuantumSolver):
    name = "vqe"
    description = (
        "Variational quantum eigensolver with rotations and entanglers on every qubit; samples of "
        "the best state."
    )
    parameters: Sequence[ParameterSpec] = (
        ParameterSpec("layers", "Layers of rotations and entanglers.", 2, 1, 1000),
        ParameterSpec(
            "entanglement",
            "Which qubits are entangled.",
            "linear",
            choices=("linear", "ring", "complete"),
        ),
        BACKEND,
        SHOTS,
        EVALUATIONS,
    )

    def find(self, function: QuadraticFunction, ones: int, task: Task, how: Any) -> Any:
        from ketgate_server.quantum.solving import solve_vqe

        layers, entanglement = task.parameters["layers"], task.parameters["entanglement"]
        whole = supports.penalised(function, ones) if ones else function
        return solve_vqe(whole, layers, how, entanglement=entanglement)


class Grover(QuantumSolver):
    name = "grover"
    description = (
        "Grover adaptive search: values in a register, the sign as oracle, each better value the "
        "next threshold."
    )
    work_unit = "oracle calls"
    parameters: Sequence[ParameterSpec] = (
        BACKEND,
        ParameterSpec("oracle_calls", "Oracle calls at most.", 10_000, 1, 1_000_000_000),
    )

    def find(self, function: QuadraticFunction, ones: int, task: Task, how: Any) -> Any:
        from ketgate_server.quantum.solving import solve_grover

        calls = task.parameters["oracle_calls"]
        calls = min(calls, task.work_limit or calls)
        whole = supports.penalised(function, ones) if ones else function
        return solve_grover(whole, how, oracle_calls_max=calls)


def asked(task: Task) -> Any:
    """How to run, for the gateway."""
    from ketgate_server.quantum.solving import Asked

    evaluations = task.parameters.get("evaluations", 500)
    return Asked(
        backend=task.parameters["backend"],
        shots=task.parameters.get("shots", 0),
        seed=task.seed,
        threads=task.threads,
        evaluations_max=min(evaluations, task.work_limit or evaluations),
        samples_max=max(task.pool_size, 1),
        remaining_s=task.remaining_s,
        is_stopped=lambda: task.should_stop,
        on_stop=task.on_stop,
    )


def _weighted(problem: PortfolioProblem, task: Task, found: Any) -> Outcome:
    """The best weights on each of the choices that were sampled, best first."""
    found.encoding = supports.ENCODING
    scored = []
    for values, count in found.samples:
        if task.should_stop:
            break
        chosen = values.astype(bool)
        if int(chosen.sum()) != problem.constraints.names_max:
            continue
        weights = supports.weights_on(problem, chosen, task)
        if weights is None:
            continue
        evaluation = problem.evaluate(weights)
        if evaluation.violation_max <= task.feasibility_tolerance:
            score = sense_sign(problem.sense) * evaluation.objective
            scored.append((score, weights, count))
            task.offer(weights, work=found.work)
    scored.sort(key=lambda one: one[0])
    kept = scored[: max(task.pool_size, 1)]
    complete = found.complete and not task.should_stop
    return Outcome(
        Status.FEASIBLE if kept else Status.NO_SOLUTION,
        StopReason.COMPLETED if complete else _why(task),
        [weights for _, weights, _ in kept],
        [count for _, _, count in kept],
        work=found.work,
        warnings=found.warnings,
        quantum=found,
    )


def _why(task: Task) -> StopReason:
    reason = task.stop_reason
    return StopReason.WORK_LIMIT if reason is StopReason.COMPLETED else reason
