"""The audit log of a server, asynchronously: `client.audit` of ketgate.aio."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, cast

from ketgate._ask import Ask
from ketgate._audit_entry import AuditEntry
from ketgate._audit_log import AuditLog, EntryPages
from ketgate._audit_pins import server_name
from ketgate._flow import Flow, flow_result, run_aio
from ketgate._signature import describe_as

if TYPE_CHECKING:
    from ketgate.aio import Client

P = ParamSpec("P")
R = TypeVar("R")


def _flowing(
    build: Callable[Concatenate[AuditLog, P], Flow[R]],
) -> Callable[Concatenate[Audit, P], Awaitable[R]]:
    async def method(self: Audit, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await run_aio(build(self._log, *args, **kwargs), self._do)

    made = describe_as(method, build, bound=False, returns=flow_result(build))
    return cast(Callable[Concatenate["Audit", P], Awaitable[R]], made)


class Audit:
    """As `ketgate._audit.Audit`, awaited.

    >>> async for entry in client.audit.entries():
    ...     print(entry.time, entry.actor, entry.action, entry.outcome)
    >>> (await client.audit.verify()).head.size
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._log = AuditLog(client.address, server_name(client._endpoint))

    head = _flowing(AuditLog.head)
    verify = _flowing(AuditLog.verify)
    export = _flowing(AuditLog.export)
    prove = _flowing(AuditLog.prove)
    redact = _flowing(AuditLog.redact)

    async def entries(
        self, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[AuditEntry, None]:
        """As Audit.entries of the synchronous client."""
        pages = EntryPages(start, end)
        while not pages.over:
            for entry in await self._do(pages.ask()):
                yield entry

    async def _do(self, ask: Ask[Any]) -> Any:
        return ask.read(await self._client._call(ask.method, ask.request))
