"""QaoaSpec to a plan, and its answer to a message."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from ketgate.quantum.v1 import algorithm_service_pb2 as pb

from ketgate_server.errors import FieldError
from ketgate_server.limits import Limit
from ketgate_server.quantum.algorithms import qaoa, qaoa_circuit
from ketgate_server.quantum.algorithms.builder import Builder
from ketgate_server.quantum.algorithms.convert_answer import (
    write_baseline,
    write_convergence,
    write_resources,
)
from ketgate_server.quantum.algorithms.convert_execution import (
    check_method,
    check_operations,
    read_execution,
    read_layers,
    read_optimizer,
)
from ketgate_server.quantum.algorithms.optimizer import Angles
from ketgate_server.quantum.algorithms.plan import Plan
from ketgate_server.quantum.algorithms.qaoa import Instance
from ketgate_server.quantum.algorithms.qaoa_fast import evaluator_of, first_angles, needs_no_state
from ketgate_server.quantum.algorithms.runner import Runner
from ketgate_server.quantum.qaoa.problem import Mixer, mixing_pairs
from ketgate_server.type.convert_quadratic import read_ising_function, read_qubo_function
from ketgate_server.type.quadratic import QuadraticFunction
from ketgate_server.type.tensors import read_float64, write_tensor

SAMPLES_DEFAULT, SAMPLES_MAX = 10, 10_000
MIXERS = {
    pb.QAOA_MIXER_UNSPECIFIED: Mixer.X,
    pb.QAOA_MIXER_X: Mixer.X,
    pb.QAOA_MIXER_XY_RING: Mixer.XY_RING,
    pb.QAOA_MIXER_XY_COMPLETE: Mixer.XY_COMPLETE,
}

Limits = Mapping[str, Limit]


def read_qaoa(spec: pb.QaoaSpec, limits: Limits, threads_max: int) -> Plan:
    execution = read_execution(spec.execution, limits, threads_max, "spec.execution")
    optimizer = read_optimizer(spec.optimizer, "spec.optimizer")
    check_method(optimizer, execution, "spec.optimizer")
    instance = _instance(spec, limits)
    if not 0 <= spec.samples_max <= SAMPLES_MAX:
        raise FieldError("spec.samples_max", expected=f"0 to {SAMPLES_MAX}", given=spec.samples_max)
    start = _start(spec, instance)
    memory_bytes_max = limits["quantum.memory_bytes_max"].value

    def perform(runner: Runner) -> qaoa.Qaoa:
        return qaoa.run(
            instance,
            evaluator_of(instance, runner, memory_bytes_max),
            runner,
            optimizer,
            start,
            spec.samples_max or SAMPLES_DEFAULT,
        )

    def write(found: qaoa.Qaoa, runner: Runner) -> pb.QaoaResult:
        return pb.QaoaResult(
            samples=[
                pb.AlgorithmSample(
                    values=write_tensor(one.values.astype(np.int8)),
                    objective=one.objective,
                    count=one.count,
                )
                for one in found.samples
            ],
            expectation=found.minimum.value,
            standard_error=found.standard_error,
            angles=write_tensor(found.minimum.angles.reshape(2, -1)),
            approximation_ratio=found.approximation_ratio,
            ground_state_probability=found.ground_state_probability,
            convergence=write_convergence(found.convergence),
            baseline=write_baseline(found.baseline),
            resources=write_resources(runner, limits),
            method=found.method,
        )

    if execution.is_native_and_exact and needs_no_state(instance, memory_bytes_max):
        # No state of this size is made: it is not what the back end has to hold.
        work = execution.work(Builder(1).circuit("qaoa"))
    else:
        observable = qaoa_circuit.hamiltonian(instance.function)
        work = execution.work(qaoa.described(instance), observable)
    return Plan(work, perform, write, repetitions=optimizer.evaluations_max)


def _instance(spec: pb.QaoaSpec, limits: Limits) -> Instance:
    function, n = _function(spec, limits)
    layers = read_layers(spec.layers, limits, "spec.layers")
    if spec.mixer not in MIXERS:
        raise FieldError("spec.mixer", expected="a mixer of the contract", given=spec.mixer)
    mixer = MIXERS[spec.mixer]
    if mixer is Mixer.X and spec.hamming_weight:
        raise FieldError(
            "spec.hamming_weight", expected="0 with the X mixer", given=spec.hamming_weight
        )
    if mixer is not Mixer.X and not 0 < spec.hamming_weight < n:
        raise FieldError(
            "spec.hamming_weight",
            expected=f"1 to {n - 1} with an XY mixer",
            given=spec.hamming_weight,
        )
    pairs = 0 if mixer is Mixer.X else len(mixing_pairs(n, mixer))
    per_layer = function.quadratic.entries + 4 * n + pairs
    check_operations(
        layers * per_layer + 5 * n * max(1, spec.hamming_weight), limits, "spec.layers"
    )
    warm = None
    if spec.HasField("warm_start"):
        if mixer is not Mixer.X:
            raise FieldError("spec.warm_start", expected="none with an XY mixer", given="one")
        warm = np.array(read_float64(spec.warm_start, "spec.warm_start", shape=(n,)))
        if (warm < 0.0).any() or (warm > 1.0).any():
            k = int(np.argmax((warm < 0.0) | (warm > 1.0)))
            raise FieldError(
                "spec.warm_start", expected="values 0 to 1", given=f"{warm[k]} at element {k}"
            )
    return Instance(function, layers, mixer, spec.hamming_weight, warm)


def _function(spec: pb.QaoaSpec, limits: Limits) -> tuple[QuadraticFunction, int]:
    match spec.WhichOneof("problem"):
        case "ising":
            function = read_ising_function(spec.ising, "spec.ising", limits)
        case "qubo":
            function = read_qubo_function(spec.qubo, "spec.qubo", limits)
        case _:
            raise FieldError("spec.problem", expected="ising or qubo", given="none of them")
    return function, function.size


def _start(spec: pb.QaoaSpec, instance: Instance) -> Angles:
    if spec.HasField("initial_angles"):
        given = read_float64(spec.initial_angles, "spec.initial_angles", shape=(2, instance.layers))
        return np.array(given).reshape(-1)
    return first_angles(instance)
