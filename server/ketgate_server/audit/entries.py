"""Reading entries, and dropping what one says."""

from ketgate_server.audit import log
from ketgate_server.errors import KetgateError
from ketgate_server.store import requests
from ketgate_server.store.base import Reader, Row, Transaction

COLUMNS = "idx, tenant, commitment, salt, payload"

_SELECT = f"SELECT {COLUMNS} FROM audit_entries "  # noqa: S608 - no value is in the text
_REDACT = "UPDATE audit_entries SET salt = NULL, payload = NULL WHERE idx = ?"


def resource(index: int) -> str:
    """Name of an entry."""
    return f"audit/{index}"


def tenant_of(row: Row) -> str:
    """Tenant that an entry concerns; empty: the server itself."""
    return str(row[1])


def page(reader: Reader, first: int, count: int) -> list[Row]:
    """Rows of COLUMNS, in the order of the log."""
    return reader.rows(_SELECT + "WHERE idx >= ? ORDER BY idx LIMIT ?", (first, count))


def get(reader: Reader, index: int) -> Row | None:
    """One row of COLUMNS."""
    return reader.row(_SELECT + "WHERE idx = ?", (index,))


def redact(
    tx: Transaction,
    index: int,
    fact: log.Fact,
    request_id: str,
    digest: bytes,
    missing: KetgateError,
    checkpoint: log.Checkpoint = lambda _: {},
) -> Row:
    """Drop salt and payload of an entry, and record that by fact, whose tenant is made the entry's;
    the row as it is then. Dropping again changes and records nothing. checkpoint: told as well, as the
    entry may be the one that had it.

    Raises missing when there is no such entry; REQUEST_ID_REUSED.
    """
    caller = fact.tenant
    if requests.find(tx, caller, fact.action, request_id, digest) is None:
        row = get(tx, index)
        if row is None:
            raise missing
        if row[3] is not None:
            fact.tenant = tenant_of(row)
            fact.facts = {**(fact.facts or {}), **checkpoint(tx)}
            log.record_many(tx, (fact,))
            tx.execute(_REDACT, (index,))
        requests.remember(tx, caller, fact.action, request_id, digest, resource(index), None)
    now = get(tx, index)
    if now is None:
        raise missing
    return now
