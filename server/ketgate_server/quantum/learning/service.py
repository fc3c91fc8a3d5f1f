"""LearningService: messages in, messages out."""

from __future__ import annotations

from collections.abc import Mapping

from ketgate.quantum.v1 import learning_service_pb2 as pb

from ketgate_server.errors import FieldError
from ketgate_server.jobs.base import JobKind
from ketgate_server.limits import Limit
from ketgate_server.quantum.algorithms.job import PlanKind
from ketgate_server.quantum.algorithms.service import ROLE, Algorithm, handler
from ketgate_server.quantum.gateway import Gateway
from ketgate_server.quantum.learning import convert
from ketgate_server.rpc.call import Call, Method, Service

NAME = "ketgate.quantum.v1.LearningService"

KERNEL = Algorithm(
    "ComputeKernel",
    "kernel",
    pb.ComputeKernelRequest,
    pb.ComputeKernelResponse,
    convert.read_kernel,
)
CLASSIFIER = Algorithm(
    "TrainClassifier",
    "classifier",
    pb.TrainClassifierRequest,
    pb.TrainClassifierResponse,
    convert.read_classifier,
)


def create_service(
    gateway: Gateway, limits: Mapping[str, Limit]
) -> tuple[Service, tuple[JobKind, ...]]:
    """The service as the edge serves it, and the kinds of jobs."""
    methods = {
        one.method: Method(one.request, ROLE, unary=handler(one, gateway, limits))
        for one in (KERNEL, CLASSIFIER)
    }
    methods["Classify"] = Method(pb.ClassifyRequest, ROLE, unary=classify)
    kinds = tuple(PlanKind(one.kind, one.read, gateway, limits) for one in (KERNEL, CLASSIFIER))
    return Service(NAME, methods), kinds


def classify(call: Call, request: pb.ClassifyRequest) -> pb.ClassifyResponse:
    del call
    if not request.HasField("model"):
        raise FieldError("model", expected="what TrainClassifier returned", given="nothing")
    return convert.classify(request)
