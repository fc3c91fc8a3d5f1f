"""Who is told of refusals, for the audit: of strangers, and of calls that would have changed
something."""

import logging
from typing import Protocol

from google.protobuf.message import Message

from ketgate_server.errors import Reason
from ketgate_server.rpc.endpoint import Route
from ketgate_server.rpc.grpc_call import NOBODY, GrpcCall
from ketgate_server.store.errors import StoreError
from ketgate_server.store.requests import request_digest

_STRANGERS = {Reason.TOKEN_MISSING, Reason.TOKEN_INVALID, Reason.TLS_REQUIRED}

_RESOURCE_FIELDS = ("name", "upload", "key", "key_id", "start")
"""Where requests say what they would change or use: by its name, or in a message that names it."""

_log = logging.getLogger(__name__)


class Witness(Protocol):
    """The audit's recorder. Neither method waits; both may raise StoreError."""

    def login_failed(self, peer: str, reason: str, method: str = "", call_id: str = "") -> None: ...

    def refused(
        self,
        *,
        actor: str,
        tenant: str,
        method: str,
        reason: str,
        resource: str = "",
        request_digest: bytes = b"",
        call_id: str = "",
    ) -> None: ...


def tell(witness: Witness, route: Route, call: GrpcCall, reason: Reason) -> None:
    """Tell of a refused call, if it is one to tell of."""
    try:
        if reason in _STRANGERS:
            witness.login_failed(call.peer, reason.value, route.method, call.request_id)
        elif route.endpoint.mutates and call.identity is not NOBODY:
            witness.refused(
                actor=call.identity.subject,
                tenant=call.identity.tenant,
                method=route.method,
                reason=reason.value,
                resource=_resource(call.request),
                request_digest=b"" if call.request is None else request_digest(call.request),
                call_id=call.request_id,
            )
    except StoreError as error:  # the caller is refused all the same, and its log line says so
        _log.warning("a refusal is not in the audit: %s", error)


def _resource(request: Message | None) -> str:
    """What a request names, as the caller wrote it; empty if it names nothing."""
    for field in _RESOURCE_FIELDS:
        named = getattr(request, field, "")
        if isinstance(named, Message):
            named = _resource(named)
        if isinstance(named, str) and named:
            return named
    return ""
