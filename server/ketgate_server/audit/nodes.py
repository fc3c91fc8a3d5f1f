"""Where the tree is stored: leaves as the entries' commitments, the nodes above them in blocks of
256 hashes.

Nodes are those of complete subtrees, so a hash that is stored never changes; the last block of a
level is rewritten as it grows. Level 0 is not stored: it is one hash away from the entries.
"""

from collections.abc import Iterable, Sequence

from ketgate._merkle import HASH_BYTES, leaf_hash

from ketgate_server.audit.merkle import Growth, Node
from ketgate_server.store.base import Reader, Transaction

BLOCK_HASHES = 256
BLOCK_LEVELS = 8  # log2 of BLOCK_HASHES

_UPSERT = """INSERT INTO audit_nodes (level, block, hashes) VALUES (?, ?, ?)
    ON CONFLICT (level, block) DO UPDATE SET hashes = excluded.hashes"""

Block = tuple[int, int, bytes]
"""(level, block, hashes) as a row."""


class LogIncomplete(Exception):  # noqa: N818 - a state of the log
    """Entries or nodes that must be there are not: somebody took them out of the database."""


class StoredNodes:
    """The hashes of nodes, as a merkle.NodeSource, within one read."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def __call__(self, nodes: Sequence[Node]) -> list[bytes]:
        """Raises LogIncomplete."""
        found = dict(self._leaves({number for level, number in nodes if level == 0}))
        found |= self._blocks([node for node in nodes if node[0] > 0])
        missing = next((node for node in nodes if node not in found), None)
        if missing is not None:
            level, number = missing
            raise LogIncomplete(
                f"the audit log lacks its node {number} of level {level}, which is over the "
                f"entries {number << level} to {((number + 1) << level) - 1}"
            )
        return [found[node] for node in nodes]

    def _leaves(self, numbers: set[int]) -> list[tuple[Node, bytes]]:
        if not numbers:
            return []
        marks = ", ".join("?" * len(numbers))
        rows = self._reader.rows(
            f"SELECT idx, commitment FROM audit_entries WHERE idx IN ({marks})",  # noqa: S608
            tuple(numbers),
        )
        return [((0, row[0]), leaf_hash(row[1])) for row in rows]

    def _blocks(self, nodes: Sequence[Node]) -> dict[Node, bytes]:
        if not nodes:
            return {}
        # One question for all, as each costs a round trip; only the hashes themselves come back.
        # Numbers stand in the text: a parameter within VALUES would have no type on PostgreSQL.
        wanted = ", ".join(
            f"({level}, {number}, {number // BLOCK_HASHES}, "
            f"{number % BLOCK_HASHES * HASH_BYTES + 1})"
            for level, number in nodes
        )
        # CROSS JOIN: SQLite then looks each up, rather than going through the table.
        rows = self._reader.rows(
            f"WITH wanted (level, number, block, place) AS (VALUES {wanted}) "  # noqa: S608
            "SELECT w.level, w.number, substr(n.hashes, w.place, 32) "
            "FROM wanted w CROSS JOIN audit_nodes n "
            "WHERE n.level = w.level AND n.block = w.block"
        )
        return {(row[0], row[1]): row[2] for row in rows if len(row[2]) == HASH_BYTES}


def commitments(reader: Reader, begin: int, end: int) -> list[bytes]:
    """Those of entries begin to end - 1. Raises LogIncomplete."""
    rows = reader.rows(
        "SELECT idx, commitment FROM audit_entries WHERE idx >= ? AND idx < ? ORDER BY idx",
        (begin, end),
    )
    for expected, row in enumerate(rows, begin):
        if row[0] != expected:
            raise LogIncomplete(f"the audit log lacks its entry {expected}")
    if len(rows) != end - begin:
        raise LogIncomplete(f"the audit log lacks its entry {begin + len(rows)}")
    return [row[1] for row in rows]


def durable_size(reader: Reader) -> int:
    """How many entries are durable."""
    row = reader.row("SELECT idx FROM audit_entries ORDER BY idx DESC LIMIT 1")
    return 0 if row is None else int(row[0]) + 1


def blocks_of(reader: Reader, grown: Iterable[Growth]) -> list[Block]:
    """The rows that new nodes change: what they hold already, with the new ones appended. Raises
    LogIncomplete."""
    changed = []
    for level, first, hashes in grown:
        block, filled = divmod(first, BLOCK_HASHES)
        content = b"".join(hashes)
        if filled:
            row = reader.row(
                "SELECT hashes FROM audit_nodes WHERE level = ? AND block = ?", (level, block)
            )
            held = b"" if row is None else row[0][: filled * HASH_BYTES]
            if len(held) != filled * HASH_BYTES:
                raise LogIncomplete(f"the audit log lacks nodes of level {level}, block {block}")
            content = held + content
        size = BLOCK_HASHES * HASH_BYTES
        changed += [
            (level, block + i, content[start : start + size])
            for i, start in enumerate(range(0, len(content), size))
        ]
    return changed


def write_blocks(tx: Transaction, changed: Sequence[Block]) -> None:
    tx.execute_many(_UPSERT, changed)
