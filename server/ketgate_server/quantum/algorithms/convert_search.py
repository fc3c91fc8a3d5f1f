"""GroverSpec to a plan, and its answer to a message."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from ketgate.quantum.v1 import algorithm_service_pb2 as pb

from ketgate_server.errors import FieldError, LimitError
from ketgate_server.limits import Limit
from ketgate_server.quantum.algorithms import adaptive_search, baseline, grover
from ketgate_server.quantum.algorithms.convert_answer import (
    write_baseline,
    write_convergence,
    write_resources,
)
from ketgate_server.quantum.algorithms.convert_execution import (
    Execution,
    check_operations,
    read_execution,
)
from ketgate_server.quantum.algorithms.oracles import FormulaOracle, MarkedOracle
from ketgate_server.quantum.algorithms.plan import Plan
from ketgate_server.quantum.algorithms.runner import Runner
from ketgate_server.type.convert_quadratic import read_ising_function, read_qubo_function
from ketgate_server.type.quadratic import QuadraticFunction
from ketgate_server.type.tensors import write_tensor

ORACLE_CALLS_DEFAULT = 10_000
ORACLE_CALLS_MAX = 10**9
CLAUSES_MAX = 100_000
LITERALS_MAX = 64

Limits = Mapping[str, Limit]


def read_grover(spec: pb.GroverSpec, limits: Limits, threads_max: int) -> Plan:
    execution = read_execution(spec.execution, limits, threads_max, "spec.execution")
    if spec.iterations < 0:
        raise FieldError("spec.iterations", expected="0 or more", given=spec.iterations)
    if not 0 <= spec.oracle_calls_max <= ORACLE_CALLS_MAX:
        raise FieldError(
            "spec.oracle_calls_max",
            expected=f"0 to {ORACLE_CALLS_MAX}",
            given=spec.oracle_calls_max,
        )
    calls_max = spec.oracle_calls_max or ORACLE_CALLS_DEFAULT
    match spec.WhichOneof("target"):
        case "marked":
            oracle: MarkedOracle | FormulaOracle = _marked(spec.marked, limits)
            return _search(spec, oracle, True, calls_max, execution, limits)
        case "formula":
            oracle = _formula(spec.formula, limits)
            return _search(spec, oracle, False, calls_max, execution, limits)
        case "ising":
            function = read_ising_function(spec.ising, "spec.ising", limits)
            return _adaptive(spec, function, "spec.ising.num_spins", calls_max, execution, limits)
        case "qubo":
            function = read_qubo_function(spec.qubo, "spec.qubo", limits)
            path = "spec.qubo.num_variables"
            return _adaptive(spec, function, path, calls_max, execution, limits)
    raise FieldError("spec.target", expected="marked, formula, ising or qubo", given="none of them")


def _search(
    spec: pb.GroverSpec,
    oracle: MarkedOracle | FormulaOracle,
    count_known: bool,
    calls_max: int,
    execution: Execution,
    limits: Limits,
) -> Plan:
    states = 1 << oracle.num_bits
    count = len(oracle.states) if isinstance(oracle, MarkedOracle) else None
    iterations = spec.iterations
    if not iterations:
        iterations = (
            grover.best_iterations(states, count) if count is not None else math.isqrt(states)
        )
    step = len(oracle.operations()) + 2 * oracle.num_bits + 4
    check_operations(iterations * step, limits, "spec.iterations")
    circuit = grover.circuit(oracle, iterations)

    def perform(runner: Runner) -> grover.Search:
        return grover.search(
            oracle,
            runner,
            iterations=spec.iterations,
            count_known=count_known,
            oracle_calls_max=calls_max,
        )

    def write(found: grover.Search, runner: Runner) -> pb.GroverResult:
        return _write(found, grover.bits(found.state, oracle.num_bits), runner, limits)

    return Plan(execution.work(circuit, shots=grover.COUNTED_SHOTS), perform, write)


def _adaptive(
    spec: pb.GroverSpec,
    function: QuadraticFunction,
    path: str,
    calls_max: int,
    execution: Execution,
    limits: Limits,
) -> Plan:
    if spec.iterations:
        raise FieldError(
            "spec.iterations", expected="0 with an energy or a QUBO", given=spec.iterations
        )
    _check_bits(function.size, path, limits)
    n = function.size
    encoding = adaptive_search.encode(function)
    one = len(adaptive_search.load(encoding, 0, n))
    check_operations((2 * math.isqrt(1 << n) + 1) * (one + n), limits, path)
    circuit = adaptive_search.circuit(encoding, 0, n, math.isqrt(1 << n))

    def perform(runner: Runner) -> grover.Search:
        classical = baseline.least(
            function, seed=runner.options.seed, remaining_s=runner.remaining_s()
        )
        return adaptive_search.minimize(
            function, runner, baseline=classical.baseline, oracle_calls_max=calls_max
        )

    def write(found: grover.Search, runner: Runner) -> pb.GroverResult:
        values = function.from_binaries(grover.bits(found.state, n))
        return _write(found, values, runner, limits)

    return Plan(execution.work(circuit, shots=1), perform, write)


def _write(
    found: grover.Search, values: np.ndarray, runner: Runner, limits: Limits
) -> pb.GroverResult:
    return pb.GroverResult(
        found=found.found,
        values=write_tensor(values),
        objective=found.objective,
        oracle_calls=found.oracle_calls,
        baseline=write_baseline(found.baseline),
        iterations=found.iterations,
        success_probability=found.success_probability,
        solutions=found.solutions,
        resources=write_resources(runner, limits),
        convergence=write_convergence(found.convergence),
    )


def _marked(given: pb.MarkedStates, limits: Limits) -> MarkedOracle:
    _check_bits(given.num_bits, "spec.marked.num_bits", limits)
    check_operations(3 * len(given.states), limits, "spec.marked.states")
    for index, state in enumerate(given.states):
        if state >> given.num_bits:
            raise FieldError(
                f"spec.marked.states[{index}]",
                expected=f"0 to {(1 << given.num_bits) - 1}, as {given.num_bits} bits hold",
                given=state,
            )
    return MarkedOracle(given.num_bits, given.states)


def _formula(given: pb.Formula, limits: Limits) -> FormulaOracle:
    _check_bits(given.num_variables, "spec.formula.num_variables", limits)
    if len(given.clauses) > CLAUSES_MAX:
        raise FieldError(
            "spec.formula.clauses", expected=f"at most {CLAUSES_MAX}", given=len(given.clauses)
        )
    for index, clause in enumerate(given.clauses):
        path = f"spec.formula.clauses[{index}].literals"
        if len(clause.literals) > LITERALS_MAX:
            raise FieldError(path, expected=f"at most {LITERALS_MAX}", given=len(clause.literals))
        for literal in clause.literals:
            if not 1 <= abs(literal) <= given.num_variables:
                raise FieldError(
                    path,
                    expected=f"variables 1 to {given.num_variables}, negative where negated",
                    given=literal,
                )
    return FormulaOracle(given.num_variables, [tuple(c.literals) for c in given.clauses])


def _check_bits(count: int, path: str, limits: Limits) -> None:
    if count < 1:
        raise FieldError(path, expected="at least 1", given=count)
    allowed = limits["quantum.search_qubits_max"].value
    if count > allowed:
        raise LimitError("quantum.search_qubits_max", allowed=allowed, given=count, field=path)
