"""Removes what nobody uses: artifacts that nothing has referred to for long enough, uploads that do
not go on, and content that a crash left without a row.

Rows go first, then content, so that a row never promises what is not there. One server at a time
does it, a bounded piece a transaction; see index.py for why it never takes what is just being put.
"""

import logging
import threading
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice

from ketgate_server.artifacts import index
from ketgate_server.artifacts.index import NOBODY, ArtifactRow
from ketgate_server.artifacts.store import MARK_US, ArtifactStore
from ketgate_server.audit.log import new_salt
from ketgate_server.audit.log import record as record_audit
from ketgate_server.store.base import Reader, StoreUnavailable, Transaction

REMOVED = "artifacts.removed"
"""Action in the audit, with how many."""
SERVER = "server"

INTERVAL_S = 300.0
LEASE = "artifacts.collector"
LEASE_US = 900_000_000
PIECE = 200
"""Rows of one transaction."""
PIECE_INTERVAL_S = 0.05
SWEEPS_EVERY = 72
"""Rounds between two looks through all content: six hours."""
CLOSE_S = 5.0
"""How long the end of the server waits for a piece that is under way."""

_HOLD = """INSERT INTO leases (name, holder, until_us, position) VALUES (?, ?, ?, 0)
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until_us = excluded.until_us"""
_HELD = "SELECT holder, until_us FROM leases WHERE name = ?"
_STALE_UPLOADS = "SELECT id FROM uploads WHERE update_time_us < ? LIMIT ?"
_DROP_UPLOAD = "DELETE FROM uploads WHERE id = ? AND update_time_us < ?"
_UPLOAD = "SELECT 1 FROM uploads WHERE id = ?"
_UNUSED = """SELECT tenant, sha256 FROM artifacts WHERE (tenant, sha256) > (?, ?)
    AND tenant > '' AND used_time_us < ? AND NOT EXISTS (SELECT 1 FROM artifact_references r
        WHERE r.tenant = artifacts.tenant AND r.sha256 = artifacts.sha256)
    ORDER BY tenant, sha256 LIMIT ?"""
_MARKED = "SELECT sha256 FROM artifacts WHERE tenant = '' AND create_time_us < ? LIMIT ?"
_MARKED_BY = "SELECT sha256 FROM artifacts WHERE tenant = '' AND media_type = ?"
_KNOWN = "SELECT 1 FROM artifacts WHERE sha256 = ? UNION ALL SELECT 1 FROM uploads WHERE sha256 = ?"

_log = logging.getLogger(__name__)


class Collector:
    """start(), then close(); stop() before it where there is other work meanwhile. holder: name of
    this server among those of the store."""

    def __init__(self, artifacts: ArtifactStore, holder: str) -> None:
        self._artifacts = artifacts
        self._store = artifacts.store
        self._blobs = artifacts.blobs
        self._holder = holder
        self._rounds = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="artifacts", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing more. Returns at once."""
        self._stop.set()

    def close(self, limit_s: float = CLOSE_S) -> None:
        """Stop. What takes longer is left, as where the content lies may not answer; what it leaves
        half done, a mark or a lease, the next collector finds."""
        self.stop()
        self._thread.join(limit_s)
        if self._thread.is_alive():
            _log.warning("artifacts were still being removed %g s after the end began", limit_s)

    def run_once(self, *, sweep: bool = True) -> bool:
        """Remove what there is to remove. False: another server does it. sweep: look through all
        content for what has no row as well, which takes long."""
        if not self._store.run(self._hold):
            return False
        self._drop_uploads()
        self._drop_unused()
        self._end_deletions()
        if sweep:
            self._sweep_uploads()
            self._sweep_blobs()
        return True

    def end_own_deletions(self) -> None:
        """Those that a former process of this server began. To be called before it begins any."""
        name = self._artifacts.server[: index.SERVER_CHARACTERS_MAX]
        with self._store.read() as reader:
            marked = [str(row[0]) for row in reader.rows(_MARKED_BY, (name,))]
        for sha256 in marked:
            self._artifacts.drop(sha256)

    def _run(self) -> None:
        while not self._stop.wait(INTERVAL_S):
            try:
                if self.run_once(sweep=self._rounds % SWEEPS_EVERY == 0):
                    self._rounds += 1
            except StoreUnavailable as error:
                _log.warning("unused artifacts are removed later: %s", error)
            except Exception:
                _log.exception("unused artifacts could not be removed")

    def _hold(self, tx: Transaction) -> bool:
        row = tx.row(_HELD, (LEASE,))
        if row is not None and row[0] != self._holder and row[1] > tx.now_us:
            return False
        tx.execute(_HOLD, (LEASE, self._holder, tx.now_us + LEASE_US))
        return True

    def _cut_us(self) -> int:
        return self._store.now_us() - self._artifacts.policy.unused_us

    def _drop_uploads(self) -> None:
        while not self._stop.is_set():
            cut_us = self._cut_us()

            def drop(tx: Transaction, cut_us: int = cut_us) -> list[str]:
                stale = [str(row[0]) for row in tx.rows(_STALE_UPLOADS, (cut_us, PIECE))]
                tx.execute_many(_DROP_UPLOAD, [(upload, cut_us) for upload in stale])
                return stale

            dropped = self._store.run(drop)
            for upload in dropped:
                self._blobs.discard(upload)
            if len(dropped) < PIECE:
                return
            self._stop.wait(PIECE_INTERVAL_S)

    def _drop_unused(self) -> None:
        position = ("", "")
        while not self._stop.is_set():
            cut_us = self._cut_us()
            with self._store.read() as reader:
                found = [(r[0], r[1]) for r in reader.rows(_UNUSED, (*position, cut_us, PIECE))]
            if found:
                salts = {tenant: new_salt() for tenant, _ in found}
                server = self._artifacts.server
                remove = partial(_remove, found=found, cut_us=cut_us, salts=salts, server=server)
                removed, digests = self._store.run(remove)
                self._artifacts.metrics.removed.inc(removed)
                for sha256 in digests:
                    self._artifacts.drop(sha256)
                position = found[-1]
            if len(found) < PIECE:
                return
            self._stop.wait(PIECE_INTERVAL_S)

    def _end_deletions(self) -> None:
        """Those that a server began and did not live to end."""
        cut_us = self._store.now_us() - MARK_US
        with self._store.read() as reader:
            marked = [str(row[0]) for row in reader.rows(_MARKED, (cut_us, PIECE))]
        for sha256 in marked:
            self._artifacts.drop(sha256)

    def _sweep_uploads(self) -> None:
        for some in _pieces(self._blobs.uploads()):
            with self._store.read() as reader:
                strays = [upload for upload in some if reader.row(_UPLOAD, (upload,)) is None]
            for upload in strays:
                self._blobs.discard(upload)
            if self._stop.wait(PIECE_INTERVAL_S):
                return

    def _sweep_blobs(self) -> None:
        for some in _pieces(self._blobs.digests()):
            with self._store.read() as reader:
                strays = [sha256 for sha256 in some if not _is_known(reader, sha256)]
            mark = partial(_mark, strays=strays, server=self._artifacts.server)
            for sha256 in self._store.run(mark) if strays else ():
                self._artifacts.drop(sha256)
            if self._stop.wait(PIECE_INTERVAL_S):
                return


def _remove(
    tx: Transaction,
    found: list[tuple[str, str]],
    cut_us: int,
    salts: dict[str, bytes],
    server: str,
) -> tuple[int, list[str]]:
    """Remove those that are still unused; how many, and what content is to be deleted."""
    unused: dict[str, list[ArtifactRow]] = {}
    for tenant, sha256 in found:
        row = index.get(tx, tenant, sha256)
        if row is not None and not row.references and row.used_time_us < cut_us:
            unused.setdefault(tenant, []).append(row)
    for tenant, rows in unused.items():
        assert tenant != NOBODY
        index.remove(tx, tenant, rows)
        facts = {"count": str(len(rows)), "bytes": str(sum(row.size_bytes for row in rows))}
        record_audit(
            tx, actor=SERVER, tenant=tenant, action=REMOVED, facts=facts, salt=salts[tenant]
        )
    removed = [row.sha256 for rows in unused.values() for row in rows]
    return len(removed), [
        sha256 for sha256 in dict.fromkeys(removed) if index.mark(tx, sha256, server)
    ]


def _mark(tx: Transaction, strays: list[str], server: str) -> list[str]:
    return [sha256 for sha256 in strays if index.mark(tx, sha256, server)]


def _is_known(reader: Reader, sha256: str) -> bool:
    return reader.row(_KNOWN, (sha256, sha256)) is not None


def _pieces(names: Iterable[str]) -> Iterator[list[str]]:
    iterator = iter(names)
    while some := list(islice(iterator, PIECE)):
        yield some
