"""The quantum services of the shared server, and refusals as a client reads them."""

from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from ketgate.quantum.v1 import quantum_service_pb2_grpc as services

HEADER = 'OPENQASM 3.0; include "stdgates.inc";\n'
BELL = HEADER + "qubit[2] q; bit[2] c; h q[0]; cx q[0], q[1]; c = measure q;"


@dataclass
class Refusal:
    """What a refused call came back with."""

    code: grpc.StatusCode
    message: str
    reason: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    fields: list[str] = field(default_factory=list)
    quotas: list[str] = field(default_factory=list)


def refused(call: Any, request: Any, **options: Any) -> Refusal:
    """Make a call that is refused."""

    def made() -> None:
        answer = call(request, **options)
        if hasattr(answer, "__next__"):
            list(answer)

    with pytest.raises(grpc.RpcError) as caught:
        made()
    error: Any = caught.value
    refusal = Refusal(error.code(), error.details())
    for key, value in error.trailing_metadata():
        if key == "grpc-status-details-bin":
            for packed in status_pb2.Status.FromString(value).details:
                _read(packed, refusal)
    return refusal


def _read(packed: Any, refusal: Refusal) -> None:
    kind = packed.type_url.rsplit(".", 1)[1]
    detail = getattr(error_details_pb2, kind).FromString(packed.value)
    match kind:
        case "ErrorInfo":
            refusal.reason, refusal.metadata = detail.reason, dict(detail.metadata)
        case "BadRequest":
            refusal.fields += [violation.field for violation in detail.field_violations]
        case "QuotaFailure":
            refusal.quotas += [violation.subject for violation in detail.violations]


@pytest.fixture
def stub(channel: grpc.Channel) -> services.QuantumServiceStub:
    return services.QuantumServiceStub(channel)
