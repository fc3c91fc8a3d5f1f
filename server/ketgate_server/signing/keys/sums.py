"""A sum over the rows of the key store, which the audit tells with every change of keys: rows that were put
back from an older copy, taken out or added give another one.

Of each row is summed where it is and the number of the change that wrote it; its code (see rows) binds the
rest to these. The sum is an additive hash (Bellare and Micciancio, 1997), so that a change costs the same
however many keys there are; it is long, as short ones can be met by choosing among many old rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from ketgate_server.store.base import Reader, Transaction

SUM_BYTES = 256
_MODULUS = 1 << (8 * SUM_BYTES)

_PLACES = {
    "signing_keys": ("tenant", "id"),
    "signing_versions": ("tenant", "key_id", "version"),
    "signing_changes": ("tenant", "id"),
}
_GENERATION = {
    table: f"SELECT generation FROM {table} WHERE {' AND '.join(f'{name} = ?' for name in place)}"  # noqa: S608
    for table, place in _PLACES.items()
}
_ROWS = {
    table: f"SELECT {', '.join(place)}, generation FROM {table}"  # noqa: S608 - constants
    for table, place in _PLACES.items()
}
_TOTAL = "SELECT total FROM signing_sums WHERE id = 1"
_PUT = """INSERT INTO signing_sums (id, total) VALUES (1, ?)
    ON CONFLICT (id) DO UPDATE SET total = excluded.total"""


def enter(tx: Transaction, table: str, place: tuple[object, ...], generation: int) -> None:
    """A row is about to be written by the change of this number. place: its primary key."""
    row = tx.row(_GENERATION[table], place)
    total = _total(tx) + _element(table, place, generation)
    if row is not None:
        total -= _element(table, place, int(row[0]))
    tx.execute(_PUT, ((total % _MODULUS).to_bytes(SUM_BYTES, "big"),))


def told(reader: Reader) -> str:
    """The sum as the audit tells it, as it was kept."""
    return _text(_total(reader))


def recount(tx: Transaction) -> None:
    """Keep the sum of the rows as they are."""
    total = sum(_elements(tx)) % _MODULUS
    tx.execute(_PUT, (total.to_bytes(SUM_BYTES, "big"),))


def counted(reader: Reader) -> str:
    """The same, of the rows as they are."""
    return _text(sum(_elements(reader)) % _MODULUS)


def _elements(reader: Reader) -> Iterator[int]:
    for table, select in _ROWS.items():
        for *place, generation in reader.rows(select):
            yield _element(table, tuple(place), int(generation))


def _element(table: str, place: tuple[object, ...], generation: int) -> int:
    # No part has a zero byte in it: names are checked, and numbers are digits.
    content = "\0".join([table, *map(str, place), str(generation)])
    return int.from_bytes(hashlib.shake_256(content.encode()).digest(SUM_BYTES), "big")


def _total(reader: Reader) -> int:
    row = reader.row(_TOTAL)
    return 0 if row is None else int.from_bytes(bytes(row[0]), "big")


def _text(total: int) -> str:
    return hashlib.sha256(total.to_bytes(SUM_BYTES, "big")).hexdigest()


NOTHING = _text(0)
"""Of no rows."""
