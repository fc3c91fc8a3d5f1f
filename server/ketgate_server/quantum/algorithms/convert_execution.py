"""ExecutionOptions and OptimizerOptions of the contract."""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ketgate.quantum.v1 import algorithm_service_pb2 as pb

from ketgate_server.errors import FieldError, LimitError
from ketgate_server.limits import Limit
from ketgate_server.quantum.algorithms.optimizer import METHODS, OptimizerOptions
from ketgate_server.quantum.base import RunOptions
from ketgate_server.quantum.circuit import Circuit
from ketgate_server.quantum.convert_noise import Noise, read_noise
from ketgate_server.quantum.convert_options import (
    read_caps,
    read_choice,
    read_duration,
    read_precision,
    read_shots,
    read_threads,
)
from ketgate_server.quantum.observable import PauliSum
from ketgate_server.quantum.work import Caps, Choice, Work

TIME_LIMIT_DEFAULT_S = 10.0
EVALUATIONS_DEFAULT = 500
EVALUATIONS_MAX = 1_000_000
STARTS_MAX = 1_000
TOLERANCE_DEFAULT = 1e-8
NATIVE = "native"

Limits = Mapping[str, Limit]


@dataclass(frozen=True)
class Execution:
    """Where and how."""

    options: RunOptions
    choice: Choice
    caps: Caps
    time_limit_s: float
    device: str

    @property
    def is_native_and_exact(self) -> bool:
        """Whether kernels for special circuits may stand in for the native simulator."""
        options = self.options
        plain = not options.shots and options.noise is None and not self.device
        return plain and self.choice.backend == NATIVE

    def work(self, circuit: Circuit, observable: PauliSum | None = None, shots: int = 0) -> Work:
        """What the gateway is asked for. shots: where the caller gave none and the algorithm cannot
        do without."""
        options = replace(self.options, shots=self.options.shots or shots)
        values = dict.fromkeys(circuit.parameters, 0.0)
        return Work(
            circuits=(circuit,),
            parameters=(values,),
            bound=(circuit.bind(values),),
            options=options,
            choice=self.choice,
            caps=self.caps,
            observables=(observable,) if observable is not None else (),
            time_limit_s=self.time_limit_s,
            device=self.device,
        )


def read_execution(
    given: pb.ExecutionOptions, limits: Limits, threads_max: int, path: str
) -> Execution:
    noise = read_noise(given.noise, limits, f"{path}.noise") if given.HasField("noise") else Noise()
    choice = read_choice(given.backend, f"{path}.backend")
    if choice == Choice():
        choice = replace(choice, backend=NATIVE)
    longest_s = limits["quantum.time_limit_ms_max"].value / 1000
    time_limit_s = min(TIME_LIMIT_DEFAULT_S, longest_s)
    if given.HasField("time_limit"):
        time_limit_s = read_duration(given.time_limit, longest_s, f"{path}.time_limit")
    options = RunOptions(
        shots=read_shots(given.shots, limits, f"{path}.shots"),
        seed=given.seed if given.HasField("seed") else secrets.randbits(63),
        precision=read_precision(given.precision, f"{path}.precision"),
        threads=read_threads(given.threads, threads_max, f"{path}.threads"),
        noise=noise.model,
        noise_method=noise.method,
        trajectories=noise.trajectories,
    )
    caps = read_caps(given.caps, f"{path}.caps")
    return Execution(options, choice, caps, time_limit_s, noise.device)


def read_optimizer(given: pb.OptimizerOptions, path: str) -> OptimizerOptions:
    if given.method and given.method not in METHODS:
        raise FieldError(f"{path}.method", expected=" or ".join(METHODS), given=given.method)
    if not 0 <= given.evaluations_max <= EVALUATIONS_MAX:
        raise FieldError(
            f"{path}.evaluations_max",
            expected=f"0 to {EVALUATIONS_MAX}",
            given=given.evaluations_max,
        )
    tolerance = given.tolerance if given.HasField("tolerance") else TOLERANCE_DEFAULT
    if not (math.isfinite(tolerance) and 0.0 <= tolerance <= 1.0):
        raise FieldError(f"{path}.tolerance", expected="0 to 1", given=tolerance)
    if not 0 <= given.starts <= STARTS_MAX:
        raise FieldError(f"{path}.starts", expected=f"0 to {STARTS_MAX}", given=given.starts)
    return OptimizerOptions(
        method=given.method,
        evaluations_max=given.evaluations_max or EVALUATIONS_DEFAULT,
        tolerance=tolerance,
        starts=given.starts or 1,
    )


def read_layers(given: int, limits: Limits, path: str) -> int:
    allowed = limits["quantum.layers_max"].value
    if given < 1:
        raise FieldError(path, expected="at least 1 layer", given=given)
    if given > allowed:
        raise LimitError("quantum.layers_max", allowed=allowed, given=given, field=path)
    return given


def check_operations(count: int, limits: Limits, path: str) -> None:
    """Before a circuit is written out."""
    allowed = limits["quantum.operations_max"].value
    if count > allowed:
        raise LimitError("quantum.operations_max", allowed=allowed, given=count, field=path)


def check_method(options: OptimizerOptions, execution: Execution, path: str) -> None:
    """Gradients need exact expectations."""
    if options.method == "lbfgs" and (execution.options.shots or execution.options.noise):
        raise FieldError(
            f"{path}.method",
            expected="spsa or none with shots or noise",
            given="lbfgs",
            hint="adjoint gradients need exact, ideal expectations",
        )
