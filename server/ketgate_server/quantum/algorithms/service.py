"""AlgorithmService: messages in, messages out. Every method has the same shape: a spec becomes a plan,
the gateway opens a session for it, and what it brought is written with its evidence."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message
from ketgate.quantum.v1 import algorithm_service_pb2 as pb

from ketgate_server.errors import FieldError
from ketgate_server.jobs.base import JobKind
from ketgate_server.limits import Limit
from ketgate_server.quantum import reading
from ketgate_server.quantum.algorithms.convert_estimation import (
    read_amplitude_estimation,
    read_factoring,
    read_fourier,
    read_phase_estimation,
)
from ketgate_server.quantum.algorithms.convert_qaoa import read_qaoa
from ketgate_server.quantum.algorithms.convert_search import read_grover
from ketgate_server.quantum.algorithms.convert_vqe import read_vqe
from ketgate_server.quantum.algorithms.job import PlanKind
from ketgate_server.quantum.algorithms.plan import Plan
from ketgate_server.quantum.algorithms.running import caller_of, estimate, run
from ketgate_server.quantum.gateway import Gateway
from ketgate_server.rpc.call import Call, Method, Service

NAME = "ketgate.quantum.v1.AlgorithmService"
ROLE = "quantum.user"

Limits = Mapping[str, Limit]
Reader = Callable[[Any, Limits, int], Plan]


@dataclass(frozen=True)
class Algorithm:
    """A method, its messages, and the kind of job that does the same."""

    method: str
    kind: str
    request: type[Message]
    response: type[Message]
    read: Reader


ALGORITHMS = (
    Algorithm("RunQaoa", "qaoa", pb.RunQaoaRequest, pb.RunQaoaResponse, read_qaoa),
    Algorithm("RunVqe", "vqe", pb.RunVqeRequest, pb.RunVqeResponse, read_vqe),
    Algorithm("RunGrover", "grover", pb.RunGroverRequest, pb.RunGroverResponse, read_grover),
    Algorithm(
        "RunFourierTransform",
        "fourier_transform",
        pb.RunFourierTransformRequest,
        pb.RunFourierTransformResponse,
        read_fourier,
    ),
    Algorithm(
        "RunPhaseEstimation",
        "phase_estimation",
        pb.RunPhaseEstimationRequest,
        pb.RunPhaseEstimationResponse,
        read_phase_estimation,
    ),
    Algorithm(
        "RunAmplitudeEstimation",
        "amplitude_estimation",
        pb.RunAmplitudeEstimationRequest,
        pb.RunAmplitudeEstimationResponse,
        read_amplitude_estimation,
    ),
    Algorithm(
        "RunFactoring",
        "factoring",
        pb.RunFactoringRequest,
        pb.RunFactoringResponse,
        read_factoring,
    ),
)


def create_service(gateway: Gateway, limits: Limits) -> tuple[Service, tuple[JobKind, ...]]:
    """The service as the edge serves it, and the kinds of jobs."""
    methods = {
        one.method: Method(one.request, ROLE, unary=handler(one, gateway, limits))
        for one in ALGORITHMS
    }
    kinds = tuple(PlanKind(one.kind, one.read, gateway, limits) for one in ALGORITHMS)
    return Service(NAME, methods), kinds


def handler(
    algorithm: Algorithm, gateway: Gateway, limits: Limits
) -> Callable[[Call, Any], Message]:
    """The unary method."""

    def answer(call: Call, request: Any) -> Message:
        if not request.HasField("spec"):
            raise FieldError("spec", expected="what to run", given="nothing")
        started_s = time.monotonic()
        caller = caller_of(call)
        with reading.by_caller(caller):
            plan = algorithm.read(request.spec, limits, gateway.threads)
        if request.validate_only:
            return algorithm.response(estimate=estimate(gateway, plan, caller))
        checking_s = time.monotonic() - started_s
        result = run(gateway, plan, caller, request.spec, checking_s)
        return algorithm.response(result=result)

    return answer
