"""What the synchronous and the asynchronous client share of a call: methods, metadata, deadlines,
channel options.
"""

import uuid
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import grpc

from ketgate._connect import Endpoint
from ketgate._errors import Cancelled, DeadlineExceeded
from ketgate._events import Gathering, Outcome
from ketgate._portfolio_result import decode_any
from ketgate._status import from_rpc
from ketgate._version import VERSION
from ketgate.optimization.v1 import optimization_service_pb2 as service_pb2
from ketgate.optimization.v1 import result_pb2
from ketgate.server.v1 import server_service_pb2

Request = TypeVar("Request")
Response = TypeVar("Response")

SOLVE_GRACE_S = 10.0
"""Added to a solve's time limit to make its deadline: for the way there and back, and for the
making of the answer.
"""

ESTIMATE_TIMEOUT_S = 60.0

STREAM_TIMEOUT_S = 3_600.0
"""Of a call that is asked in pieces: as long as a server takes them. A large file over a slow line takes its time,
and one that is silent for minutes is ended by the server."""

CHANNEL_OPTIONS: list[tuple[str, Any]] = [
    (
        "grpc.max_receive_message_length",
        -1,
    ),  # the server's limits hold; an answer is never too long
    ("grpc.max_send_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),  # close() closes, and no back-off is shared
    ("grpc.enable_retries", 0),  # _retry.py decides, and knows what the server asked for
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),  # below what the retries of one call span
    ("grpc.primary_user_agent", f"ketgate-python/{VERSION}"),
]


@dataclass(frozen=True)
class Method(Generic[Request, Response]):
    """A method of the contract."""

    path: str
    request_type: Any
    response_type: Any
    work: bool = False
    """Heavy work: not worth the wait for a restart of the server."""

    def callable(self, channel: Any, *, stream: bool = False, requests: bool = False) -> Any:
        """The method on a channel, synchronous or asynchronous as the channel is. stream: whether it
        answers many times; requests: whether it is asked so.
        """
        make = channel.unary_stream if stream else channel.unary_unary
        if requests:
            make = channel.stream_stream if stream else channel.stream_unary
        return make(
            self.path,
            request_serializer=self.request_type.SerializeToString,
            response_deserializer=self.response_type.FromString,
        )


_OPTIMIZATION = "/ketgate.optimization.v1.OptimizationService"
SOLVE: Method[Any, Any] = Method(
    f"{_OPTIMIZATION}/Solve", service_pb2.SolveRequest, service_pb2.SolveResponse, work=True
)
SOLVE_STREAM: Method[Any, Any] = Method(
    f"{_OPTIMIZATION}/SolveStream", service_pb2.SolveStreamRequest, service_pb2.SolveStreamResponse
)
LIST_SOLVERS: Method[Any, Any] = Method(
    f"{_OPTIMIZATION}/ListSolvers", service_pb2.ListSolversRequest, service_pb2.ListSolversResponse
)
GET_SERVER_INFO: Method[Any, Any] = Method(
    "/ketgate.server.v1.ServerService/GetServerInfo",
    server_service_pb2.GetServerInfoRequest,
    server_service_pb2.GetServerInfoResponse,
)


def credentials(endpoint: Endpoint) -> Any:
    """TLS credentials of a channel; None for plaintext."""
    if endpoint.insecure:
        return None
    return grpc.ssl_channel_credentials(root_certificates=endpoint.ca_certificates)


def call_metadata(endpoint: Endpoint) -> tuple[str, list[tuple[str, str]]]:
    """A new request id, and the metadata of a call. The endpoint holds no token that the channel
    must not carry.
    """
    request_id = uuid.uuid4().hex
    metadata = [("x-request-id", request_id)]
    if endpoint.token:
        metadata.append(("authorization", f"Bearer {endpoint.token}"))
    return request_id, metadata


def salvage(error: Any, gathering: Gathering, endpoint: Endpoint, request_id: str) -> Outcome:
    """The best so far of a stream that ended early on purpose or by its deadline; raises what else
    the error means.

    What was found before any other failure goes with the exception, as its `best`.
    """
    made = from_rpc(error, endpoint=endpoint, request_id=request_id)
    if isinstance(made, Cancelled):
        best = gathering.best_so_far(result_pb2.STOP_REASON_CANCELLED)
    elif isinstance(made, DeadlineExceeded):
        best = gathering.best_so_far(
            result_pb2.STOP_REASON_DEADLINE,
            "the server did not answer in time; this is the last it had told",
        )
    else:
        best = None
        partial = gathering.best_so_far(result_pb2.STOP_REASON_UNSPECIFIED, made.message)
        made.best = None if partial is None else decode_any(partial)
    if best is None:
        raise made from None
    return best
