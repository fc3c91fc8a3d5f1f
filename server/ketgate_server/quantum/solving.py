"""The quantum gateway's face to optimisation: a quadratic function of spins or binaries in, samples
and evidence out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ketgate_server.errors import KetgateError, Reason
from ketgate_server.limits import LIMITS, Limit
from ketgate_server.quantum import shared
from ketgate_server.quantum.algorithms import (
    adaptive_search,
    ansatz,
    baseline,
    qaoa,
    qaoa_circuit,
    vqe,
)
from ketgate_server.quantum.algorithms.answer import Baseline
from ketgate_server.quantum.algorithms.builder import Builder
from ketgate_server.quantum.algorithms.grover import bits
from ketgate_server.quantum.algorithms.optimizer import OptimizerOptions
from ketgate_server.quantum.algorithms.qaoa_fast import evaluator_of, first_angles, needs_no_state
from ketgate_server.quantum.algorithms.runner import Runner
from ketgate_server.quantum.base import RunOptions, Stopped
from ketgate_server.quantum.circuit import Circuit
from ketgate_server.quantum.evidence import Evidence
from ketgate_server.quantum.qaoa.problem import Mixer
from ketgate_server.quantum.work import Caller, Choice, Work
from ketgate_server.type.quadratic import QuadraticFunction

NATIVE = "native"


@dataclass(frozen=True)
class Asked:
    """How to solve, whatever the algorithm."""

    backend: str = NATIVE
    shots: int = 0
    """0: exact expectations; the final sample takes qaoa.SHOTS_DEFAULT."""
    seed: int = 0
    threads: int = 1
    evaluations_max: int = 500
    samples_max: int = 1
    remaining_s: float = float("inf")
    is_stopped: Callable[[], bool] = lambda: False
    on_stop: Callable[[Callable[[], None]], None] = lambda _: None


@dataclass
class Solved:
    """What came of it."""

    samples: Sequence[tuple[NDArray[Any], int]]
    """(values in the caller's form, how often), best first; none where it was stopped too early."""
    baseline: Baseline
    evidence: Evidence
    runner: Runner
    total_s: float
    work: int
    """Evaluations of expectations, or oracle calls."""
    complete: bool
    layers: int = 0
    method: str = "circuits"
    expectation: float | None = None
    approximation_ratio: float | None = None
    ground_state_probability: float | None = None
    encoding: str = ""
    warnings: Sequence[str] = field(default_factory=tuple)


def solve_qaoa(
    function: QuadraticFunction,
    layers: int,
    asked: Asked,
    *,
    mixer: Mixer = Mixer.X,
    hamming_weight: int = 0,
    warm_start: NDArray[np.float64] | None = None,
    limits: Mapping[str, Limit] = LIMITS,
) -> Solved:
    """Raises KetgateError, and Stopped where there is nothing yet."""
    instance = qaoa.Instance(function, layers, mixer, hamming_weight, warm_start)
    memory_bytes_max = limits["quantum.memory_bytes_max"].value
    circuit = qaoa.described(instance)
    exact = asked.backend == NATIVE and not asked.shots
    if exact and needs_no_state(instance, memory_bytes_max):
        if mixer is Mixer.X:
            raise KetgateError(
                Reason.BACKEND_UNSUITABLE,
                f"a state of {function.size} qubits does not fit into "
                f"quantum.memory_bytes_max = {memory_bytes_max}, and without one nothing is sampled",
            )
        circuit = Builder(1).circuit("qaoa")

    def perform(runner: Runner) -> dict[str, Any]:
        found = qaoa.run(
            instance,
            evaluator_of(instance, runner, memory_bytes_max),
            runner,
            OptimizerOptions(evaluations_max=asked.evaluations_max),
            first_angles(instance),
            asked.samples_max,
        )
        return {
            "samples": [(one.values, one.count) for one in found.samples],
            "baseline": found.baseline,
            "work": found.minimum.evaluations,
            "complete": found.minimum.complete,
            "layers": layers,
            "method": found.method,
            "expectation": found.minimum.value,
            "approximation_ratio": found.approximation_ratio,
            "ground_state_probability": found.ground_state_probability,
        }

    return _run(circuit, asked, limits, perform, shots=0)


def solve_vqe(
    function: QuadraticFunction,
    layers: int,
    asked: Asked,
    *,
    entanglement: str = "linear",
    limits: Mapping[str, Limit] = LIMITS,
) -> Solved:
    """As solve_qaoa, with a hardware-efficient trial state."""
    n = function.size
    trial = ansatz.hardware_efficient(n, layers, entanglement)
    hamiltonian = qaoa_circuit.hamiltonian(function)

    def perform(runner: Runner) -> dict[str, Any]:
        classical = baseline.least(function, seed=asked.seed, remaining_s=runner.remaining_s())
        options = OptimizerOptions(evaluations_max=asked.evaluations_max)
        starts = vqe.random_starts(trial, 1, asked.seed)
        minimum, _ = vqe.search(hamiltonian, trial, starts, runner, options)
        shots = asked.shots or qaoa.SHOTS_DEFAULT
        values = dict(zip(trial.parameters, minimum.angles.tolist(), strict=True))
        measured = Builder(n, n).add(trial.bind(values).operations).measure(range(n))
        try:
            counts = runner.run([measured.circuit("vqe")], shots=shots)[0].counts
        except Stopped:
            counts = {}
        found = qaoa.ordered(function, counts, asked.samples_max)
        return {
            "samples": [(one.values, one.count) for one in found],
            "baseline": classical.baseline,
            "work": minimum.evaluations,
            "complete": minimum.complete,
            "layers": layers,
            "expectation": minimum.value,
        }

    return _run(trial, asked, limits, perform, shots=0)


def solve_grover(
    function: QuadraticFunction,
    asked: Asked,
    *,
    oracle_calls_max: int,
    limits: Mapping[str, Limit] = LIMITS,
) -> Solved:
    """Grover adaptive search."""
    n = function.size
    encoding = adaptive_search.encode(function)
    circuit = adaptive_search.circuit(encoding, 0, n, 1)

    def perform(runner: Runner) -> dict[str, Any]:
        classical = baseline.least(function, seed=asked.seed, remaining_s=runner.remaining_s())
        found = adaptive_search.minimize(
            function, runner, baseline=classical.baseline, oracle_calls_max=oracle_calls_max
        )
        return {
            "samples": [(function.from_binaries(bits(found.state, n)), 1)],
            "baseline": found.baseline,
            "work": found.oracle_calls,
            "complete": not runner.stopped and found.oracle_calls < oracle_calls_max,
        }

    return _run(circuit, asked, limits, perform, shots=1)


def _run(
    circuit: Circuit,
    asked: Asked,
    limits: Mapping[str, Limit],
    perform: Callable[[Runner], dict[str, Any]],
    *,
    shots: int,
) -> Solved:
    gateway = shared.gateway(limits, asked.threads)
    now_s = time.monotonic()
    values = dict.fromkeys(circuit.parameters, 0.0)
    work = Work(
        circuits=(circuit,),
        parameters=(values,),
        bound=(circuit.bind(values),),
        options=RunOptions(asked.shots or shots, asked.seed, threads=asked.threads),
        choice=Choice(asked.backend),
        time_limit_s=min(asked.remaining_s, limits["quantum.time_limit_ms_max"].value / 1000),
    )
    caller = Caller(
        arrival_s=now_s,
        deadline_s=now_s + asked.remaining_s,
        is_cancelled=asked.is_stopped,
        on_cancel=asked.on_stop,
    )
    with gateway.open(work, caller) as session:
        runner = Runner(session)
        found = perform(runner)
        session.succeeded()
    return Solved(
        evidence=session.evidence,
        runner=runner,
        total_s=time.monotonic() - now_s,
        warnings=tuple(session.evidence.warnings),
        **found,
    )
