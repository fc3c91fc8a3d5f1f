"""The audit log of a server, synchronously: `client.audit`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from ketgate._ask import Ask
from ketgate._audit_entry import AuditEntry
from ketgate._audit_log import AuditLog, EntryPages
from ketgate._audit_pins import server_name
from ketgate._flow import Flow, flow_result, run
from ketgate._signature import describe_as

if TYPE_CHECKING:
    from ketgate._client import Client

P = ParamSpec("P")
R = TypeVar("R")


def _flowing(
    build: Callable[Concatenate[AuditLog, P], Flow[R]],
) -> Callable[Concatenate[Audit, P], R]:
    def method(self: Audit, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return run(build(self._log, *args, **kwargs), self._do)

    return describe_as(method, build, bound=False, returns=flow_result(build))


class Audit:
    """The server's record of everything that matters, and the proof that it is whole.

    Each head is compared with the last one that this user saw of the log and remembered in its
    place ("pinned", in $XDG_STATE_HOME/ketgate/audit-pins.json): a log that was rewritten since is
    an AuditTampered. Needs the role "audit.reader".

    >>> for entry in client.audit.entries():
    ...     print(entry.time, entry.actor, entry.action, entry.outcome)
    >>> client.audit.verify().head.size
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._log = AuditLog(client.address, server_name(client._endpoint))

    head = _flowing(AuditLog.head)
    verify = _flowing(AuditLog.verify)
    export = _flowing(AuditLog.export)
    prove = _flowing(AuditLog.prove)
    redact = _flowing(AuditLog.redact)

    def entries(self, start: int = 0, end: int | None = None) -> Iterator[AuditEntry]:
        """The entries from start on, up to end, in the order of the log; read as they are needed.

        What an entry says is checked against its commitment; verify() checks all of them against
        the head.
        """
        pages = EntryPages(start, end)
        while not pages.over:
            yield from self._do(pages.ask())

    def _do(self, ask: Ask[Any]) -> Any:
        return ask.read(self._client._call(ask.method, ask.request))
