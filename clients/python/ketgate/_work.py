"""Heavy work other than solves: what is sent, by which method, and what is made of the answer. Both
clients and jobs use it alike.

A kind of work is the name of its field in the oneofs of JobSpec and JobResult.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Generic, TypeGuard, TypeVar

from google.protobuf.message import Message

from ketgate import _wire
from ketgate._errors import ProgramInvalid
from ketgate._options import Progress
from ketgate.quantum.v1 import algorithm_service_pb2, learning_service_pb2, quantum_service_pb2

R = TypeVar("R")

TIME_LIMIT_S_DEFAULT = 600.0
"""Waited for work that says nothing of its own time limit, and has no default in the contract."""

ALGORITHM_S_DEFAULT = 10.0
"""What the contract says of an algorithm without a time limit."""

_METHODS = {
    "run_circuits": ("Quantum", "RunCircuits"),
    "estimate_observables": ("Quantum", "EstimateObservables"),
    "qaoa": ("Algorithm", "RunQaoa"),
    "vqe": ("Algorithm", "RunVqe"),
    "grover": ("Algorithm", "RunGrover"),
    "fourier_transform": ("Algorithm", "RunFourierTransform"),
    "phase_estimation": ("Algorithm", "RunPhaseEstimation"),
    "amplitude_estimation": ("Algorithm", "RunAmplitudeEstimation"),
    "factoring": ("Algorithm", "RunFactoring"),
    "kernel": ("Learning", "ComputeKernel"),
    "classifier": ("Learning", "TrainClassifier"),
}
_MESSAGES: dict[str, Any] = {
    "Quantum": quantum_service_pb2,
    "Algorithm": algorithm_service_pb2,
    "Learning": learning_service_pb2,
}
_RESULTS = {
    "run_circuits": ("_quantum_result", "RunResult"),
    "estimate_observables": ("_estimate_result", "EstimateResult"),
    "qaoa": ("_algorithm_result", "QaoaResult"),
    "vqe": ("_algorithm_result", "VqeResult"),
    "grover": ("_search_result", "GroverResult"),
    "fourier_transform": ("_search_result", "FourierTransformResult"),
    "phase_estimation": ("_search_result", "PhaseEstimationResult"),
    "amplitude_estimation": ("_search_result", "AmplitudeEstimationResult"),
    "factoring": ("_search_result", "FactoringResult"),
    "kernel": ("_learning_result", "KernelResult"),
    "classifier": ("_learning_result", "ClassifierResult"),
}


@dataclass(frozen=True)
class Work(Generic[R]):
    """A spec, and the class of its result, which is made of the message and the spec."""

    kind: str
    spec: Any
    result: Callable[[Any, Any], R]
    progress: Progress = False

    @property
    def method(self) -> "_wire.Method[Any, Any]":
        return method(*_METHODS[self.kind], work=True)

    def request(self, spec: Message, *, validate_only: bool = False) -> Any:
        return self.method.request_type(spec=spec, validate_only=validate_only)

    @property
    def time_limit_s(self) -> float:
        return work_time_limit_s(self.spec)

    @property
    def timeout_s(self) -> float:
        """The call's deadline."""
        return self.time_limit_s + _wire.SOLVE_GRACE_S


def work(kind: str, spec: Message) -> Work[Any]:
    """Work of a kind, with its result's class."""
    return Work(kind, spec, result_class(kind))


@cache
def method(service: str, name: str, *, work: bool = False) -> "_wire.Method[Any, Any]":
    """A method of the quantum services."""
    messages = _MESSAGES[service]
    return _wire.Method(
        f"/ketgate.quantum.v1.{service}Service/{name}",
        getattr(messages, f"{name}Request"),
        getattr(messages, f"{name}Response"),
        work=work,
    )


def result_class(kind: str) -> Callable[[Any, Any], Any]:
    """The class that a result of this kind is read into."""
    module, name = _RESULTS[kind]
    made: Callable[[Any, Any], Any] = getattr(import_module(f"ketgate.{module}"), name)
    return made


def known(kind: str | None) -> TypeGuard[str]:
    return kind in _RESULTS


def work_time_limit_s(spec: Any) -> float:
    """Seconds that a spec of any kind allows."""
    fields = spec.DESCRIPTOR.fields_by_name
    options = spec.execution if "execution" in fields else spec
    if options.HasField("time_limit"):
        return float(options.time_limit.seconds + options.time_limit.nanos / 1e9)
    return ALGORITHM_S_DEFAULT if "execution" in fields else TIME_LIMIT_S_DEFAULT


@contextmanager
def program_is_shown(request: Message) -> Iterator[None]:
    """An error in a program gets the line that it is about, from the request."""
    try:
        yield
    except ProgramInvalid as error:
        lines = _text_at(request, error.field or "").splitlines()
        if 0 < error.line <= len(lines):
            error.source = lines[error.line - 1]
        raise


def _text_at(message: Any, path: str) -> str:
    """The text of a field such as spec.circuits[0].openqasm; empty where the path leads nowhere."""
    for name, index in re.findall(r"(\w+)(?:\[(\d+)\])?", path):
        message = getattr(message, name, None)
        if index and message is not None:
            message = message[int(index)] if int(index) < len(message) else None
    return message if isinstance(message, str) else ""
