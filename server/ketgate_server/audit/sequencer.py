"""Adds committed entries to the tree, in order, many at a time.

How far the tree is, is the position of a lease. Reading and hashing is done beside the writer; what
it is given is a few rows and the position that they start from. Where that is another by then,
nothing is written: so any server may add entries when a head is asked of it, and the lease only
keeps servers from doing in the background what another already does.
"""

import threading
import time
from collections.abc import Callable

from ketgate._merkle import leaf_hash

from ketgate_server.audit import merkle, nodes
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.store.base import Reader, Store, Transaction

LEASE = "audit.sequencer"
LEASE_US = 10_000_000
BATCH_ENTRIES_MAX = 2048
"""Bounds the transaction: some 40 rows of at most 8 KiB."""
RETRY_AFTER_S = 1.0

_READ = "SELECT position, holder, until_us FROM leases WHERE name = ?"
_WRITE = """INSERT INTO leases (name, holder, until_us, position) VALUES (?, ?, ?, ?)
    ON CONFLICT (name) DO UPDATE
    SET holder = excluded.holder, until_us = excluded.until_us, position = excluded.position"""


class Sequencer:
    """The tree's one writer. holder: name of this server among those of the store."""

    def __init__(self, store: Store, holder: str, *, batch: int = BATCH_ENTRIES_MAX) -> None:
        self._store = store
        self._holder = holder
        self._batch = batch
        self._adding = threading.Lock()

    def catch_up(self, timeout_s: float) -> int:
        """Size of the tree, with every entry in it that was durable when this was called.

        Raises SERVER_BUSY when that takes longer than timeout_s, and what the store raises.
        """
        end_s = time.monotonic() + timeout_s
        with self._store.read() as reader:
            wanted, size = nodes.durable_size(reader), position(reader)
        if size >= wanted:
            return size
        if not self._adding.acquire(timeout=max(0.0, end_s - time.monotonic())):
            raise _behind(wanted - size)
        try:
            while True:
                size = self.add()
                if size >= wanted:
                    return size
                if time.monotonic() >= end_s:
                    raise _behind(wanted - size)
        finally:
            self._adding.release()

    def add(self) -> int:
        """Add one batch, if entries wait, and return the size of the tree. Another server may have
        been quicker; what it added is in the size."""
        with self._store.read() as reader:
            begin = position(reader)
            end = min(nodes.durable_size(reader), begin + self._batch)
            if end <= begin:
                return begin
            stored = nodes.StoredNodes(reader)
            leaves = [leaf_hash(c) for c in nodes.commitments(reader, begin, end)]
            grown = merkle.grow(begin, leaves, lambda *node: stored([node])[0])
            changed = nodes.blocks_of(reader, grown)

        def advance(tx: Transaction) -> int:
            row = tx.row(_READ, (LEASE,))
            now, holder, until_us = row if row is not None else (0, "", 0)
            if now != begin:
                return int(now)
            if holder == self._holder or until_us <= tx.now_us:
                holder, until_us = self._holder, tx.now_us + LEASE_US
            nodes.write_blocks(tx, changed)
            tx.execute(_WRITE, (LEASE, holder, until_us, end))
            return end

        return self._store.run(advance)

    def add_all(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """Add what waits, as the background does: not while another server holds the lease, or the
        writer has more urgent work, or when stopped."""
        while self._store.has_room and not stopped():
            with self._store.read() as reader:
                row = reader.row(_READ, (LEASE,)) or (0, "", 0)
                waiting = nodes.durable_size(reader) > row[0]
            _, holder, until_us = row
            if not waiting or (holder != self._holder and until_us > self._store.now_us()):
                return
            with self._adding:
                self.add()


def position(reader: Reader) -> int:
    """Size of the tree."""
    row = reader.row(_READ, (LEASE,))
    return 0 if row is None else int(row[0])


def _behind(entries: int) -> KetgateError:
    return KetgateError(
        Reason.SERVER_BUSY,
        f"the audit's tree is {entries} entries behind; try again in a moment",
        retry_after_s=RETRY_AFTER_S,
    )
