"""What the edge can serve: a handler of bytes, and what a caller must hold to reach it."""

from dataclasses import dataclass

from ketgate_server.rpc.admission import Lane
from ketgate_server.rpc.call import Handler
from ketgate_server.rpc.metrics import MethodMetrics


@dataclass(frozen=True)
class Endpoint:
    """A method that is no Method of a Service: one that anybody may call, or that takes a stream of
    requests."""

    handler: Handler
    streams: bool = False
    """May send any number of messages."""
    takes_stream: bool = False
    """Reads its requests itself, any number of them."""
    role: str | None = None
    """None: no token is needed."""
    lane: str = ""
    """As in Method."""
    mutates: bool = False
    """As in Method."""


@dataclass(frozen=True)
class Route:
    """A method, ready to be called."""

    method: str
    endpoint: Endpoint
    lane: Lane
    metrics: MethodMetrics
    log_level: str = "info"
