"""What is written down of every call that ended: its metrics and one line of log.

Done by the log's thread, many calls at a time: on a call's own thread it would be a fifth of what
the edge costs.
"""

import time
from typing import Any

from ketgate_server.rpc.endpoint import Route
from ketgate_server.rpc.grpc_call import GrpcCall, trace_id
from ketgate_server.rpc.log import LEVELS, LogWriter, json_line
from ketgate_server.rpc.metrics import Metrics


class Journal:
    """Writes calls down."""

    def __init__(self, metrics: Metrics, log: LogWriter) -> None:
        self._metrics = metrics
        self._log = log

    def record(
        self,
        route: Route,
        call: GrpcCall,
        code: str,
        reason: str | None = None,
        fault: str | None = None,
    ) -> None:
        """Write down that a call ended, within some 20 ms. fault: the stack of an error of ours."""
        # Taken now: nothing that is kept may belong to grpcio, whose call ends with this one.
        seconds = time.monotonic() - call.arrival_s
        trace_parent = call.metadata.get("traceparent")
        level = "error" if fault else route.log_level
        facts = (
            route,
            call.request_id,
            call.identity,
            call.peer if self._log.writes(level) else "",
            trace_parent,
            seconds,
            code,
            reason,
        )
        if not self._log.submit((self._line, (facts, fault))):
            self._count(route, code, reason, seconds)

    def _line(self, threshold: int, facts: tuple[Any, ...], fault: str | None) -> str:
        route, request_id, identity, peer, trace_parent, seconds, code, reason = facts
        self._count(route, code, reason, seconds)
        level = "error" if fault else route.log_level
        if LEVELS[level] < threshold:
            return ""
        fields: dict[str, Any] = {
            "request_id": request_id,
            "method": route.method,
            "code": code,
            "duration_ms": round(seconds * 1e3, 3),
            "tenant": identity.tenant,
            "subject": identity.subject,
            "peer": peer,
        }
        if reason is not None:
            fields["reason"] = reason
        if fault is not None:
            fields["stack"] = fault
        if trace_parent is not None:
            fields["trace_id"] = trace_id(trace_parent)
        return json_line(time.time(), level, "call", fields)

    def _count(self, route: Route, code: str, reason: str | None, seconds: float) -> None:
        route.metrics.record(code, seconds)
        if reason is not None:
            self._metrics.ended(reason)
