"""The events of jobs, read in the order of their revisions."""

from ketgate_server.errors import KetgateError, Reason
from ketgate_server.jobs import convert
from ketgate_server.jobs.base import Event
from ketgate_server.store.base import Reader

COMPACTED = "events compacted"
"""Counter: the newest revision whose event is not kept any more."""

_COUNTER = "SELECT value FROM counters WHERE name = ?"
_EVENTS = """SELECT revision, tenant, time_us, event FROM events WHERE revision >= ?
    ORDER BY revision LIMIT ?"""
_EVENTS_OF = """SELECT revision, tenant, time_us, event FROM events
    WHERE tenant = ? AND revision >= ? ORDER BY revision LIMIT ?"""


def read(
    reader: Reader, tenant: str | None, start_revision: int, limit: int
) -> list[tuple[int, str, Event]]:
    """Events from start_revision on: revision, tenant, event. tenant: None for all.

    Raises REVISION_COMPACTED when some of them are not kept any more.
    """
    oldest = compacted(reader) + 1
    if start_revision < oldest:
        raise KetgateError(
            Reason.REVISION_COMPACTED,
            f"start_revision: changes are kept from revision {oldest} on, given {start_revision}; "
            "list, then watch from the revision after that of the list",
            field="start_revision",
            metadata={"oldest_revision": str(oldest)},
        )
    if tenant is None:
        rows = reader.rows(_EVENTS, (start_revision, limit))
    else:
        rows = reader.rows(_EVENTS_OF, (tenant, start_revision, limit))
    return [
        (revision, of, convert.event(revision, time_us, bytes(stored)))
        for revision, of, time_us, stored in rows
    ]


def compacted(reader: Reader) -> int:
    """The newest revision whose event is not kept any more; 0: all are."""
    row = reader.row(_COUNTER, (COMPACTED,))
    return row[0] if row else 0


def newest(reader: Reader) -> int:
    """The newest revision."""
    row = reader.row(_COUNTER, ("revision",))
    return row[0] if row else 0
