"""What this server uses of gRPC's core: the Cython layer that grpcio's own server stands on.

grpcio's server hands each call from the thread that polls to one of a pool, and back for every
message; benchmarks/edge.py compares what that costs. The layer is not public. It has not changed for
years in what is used here, all of which is in this file; an interpreter that finds another one is told
so at import.
"""

import grpc

try:
    from grpc._cython.cygrpc import (
        BatchOperationEvent,
        Call,
        CompletionQueue,
        CompletionType,
        ReceiveCloseOnServerOperation,
        ReceiveMessageOperation,
        RequestCallEvent,
        SendInitialMetadataOperation,
        SendMessageOperation,
        SendStatusFromServerOperation,
        Server,
    )
except ImportError as error:
    raise ImportError(
        f"grpcio {grpc.__version__} lacks what this server is built on ({error}); install the "
        "version that requirements.lock names"
    ) from error

TIMED_OUT = CompletionType.queue_timeout

__all__ = [
    "TIMED_OUT",
    "BatchOperationEvent",
    "Call",
    "CompletionQueue",
    "ReceiveCloseOnServerOperation",
    "ReceiveMessageOperation",
    "RequestCallEvent",
    "SendInitialMetadataOperation",
    "SendMessageOperation",
    "SendStatusFromServerOperation",
    "Server",
]
