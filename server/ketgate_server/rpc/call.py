"""What a service sees of a call. No grpc here: another front can take the place of this one."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from google.protobuf.message import Message

from ketgate_server.errors import KetgateError, Reason

ADMIN_ROLE = "admin"


@dataclass(frozen=True)
class Identity:
    """Who calls."""

    subject: str
    """Name of the token, for logs and the audit."""
    tenant: str
    roles: frozenset[str]


class Call(Protocol):
    """One call in progress."""

    method: str
    """Full name, ``/package.Service/Method``."""
    metadata: dict[str, str]
    identity: Identity
    request_id: str
    arrival_s: float
    """time.monotonic() when the call arrived."""
    request: Message | None
    """Of a method that changes something, once it is parsed: the audit tells what was refused."""

    def remaining_s(self) -> float:
        """Seconds until the caller's deadline; infinity without one."""

    @property
    def cancelled(self) -> bool:
        """Whether the caller went away or the server is stopping."""

    def on_cancel(self, callback: Callable[[], None]) -> None:
        """Run callback once when the call is cancelled or its deadline passes, at once if it was;
        from any thread."""

    def abandon(self) -> None:
        """Break the call off: nobody reads what it sends."""

    def set_trailer(self, key: str, value: str) -> None:
        """Send a trailer with the status."""


Answer = Message | bytes
"""A message, or the bytes of one: what is kept as bytes need not be parsed to be sent."""


@dataclass(frozen=True)
class Later:
    """The answer of a unary method that comes when something is done, and holds no thread until
    then."""

    begin: Callable[[Callable[[Callable[[], Answer]], None]], None]
    """Start it. What it is given is to be called once, from any thread, with a function that returns
    the answer or raises why there is none; unless begin itself raises."""


UnaryFunction = Callable[[Call, Any], Answer | Later]
StreamFunction = Callable[[Call, Any], Iterator[Answer]]
UploadFunction = Callable[[Call, Iterator[Any]], Answer]
Answers = Generator[bytes | Later, None, None]
Handler = Callable[[Call, Iterator[bytes]], Answers]
"""The seam between edge and services."""


@dataclass(frozen=True)
class Method:
    """One method of a service. Exactly one of unary, stream and upload is set."""

    request_type: type[Message]
    role: str
    """A caller needs this role, or ``admin``; empty: any valid token."""
    unary: UnaryFunction | None = None
    stream: StreamFunction | None = None
    upload: UploadFunction | None = None
    """Takes any number of requests, and gives one answer."""
    lane: str = ""
    """Whose threads it takes: "unary", "stream", "wait" (long polls), "watch"; empty: unary, or
    stream when it sends or takes one."""
    mutates: bool = False
    """It changes something, so that its refusals belong into the audit."""


@dataclass(frozen=True)
class Service:
    """A service as the composition root hands it to the edge."""

    name: str
    """Full name, for example ``ketgate.optimization.v1.OptimizationService``."""
    methods: dict[str, Method] = field(default_factory=dict)
    warm_up: Callable[[], object] | None = None
    """Loads what is slow to load. Called on a thread of its own once the server serves: not before
    it is ready, nor in a first call."""


def require_role(identity: Identity, role: str, method: str) -> None:
    """Raises KetgateError ROLE_MISSING, naming the role. An empty role: any identity will do."""
    if role and role not in identity.roles and ADMIN_ROLE not in identity.roles:
        raise KetgateError(
            Reason.ROLE_MISSING,
            f"{method} needs the role {role!r}; the token {identity.subject!r} has "
            f"{', '.join(sorted(identity.roles))}",
            metadata={"role": role},
        )
