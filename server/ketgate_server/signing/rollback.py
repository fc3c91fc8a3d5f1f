"""Whether the key store is the one that the audit log tells of, and not an older copy of it.

Three witnesses: the log's newest word on the sum over all rows (tables that were put back by themselves), the
journal of what was destroyed, and what this server last saw of the log (a store that was put back as a
whole). What nobody here can notice is a data folder that was put back whole: clients do, by the heads that
they have seen.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ketgate_server.audit import seen, told
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.signing.keys import effects, rows, sums
from ketgate_server.signing.keys.asker import server_asker
from ketgate_server.signing.keys.change import Change
from ketgate_server.signing.keys.due import DESTROYED
from ketgate_server.signing.keys.journal import Journal, Version
from ketgate_server.signing.keys.names import version_name
from ketgate_server.signing.keys.record import VersionState
from ketgate_server.signing.keys.store import KeyStore
from ketgate_server.store.base import Reader, Store, Transaction

SUM, GENERATION = "sum", "generation"
"""Facts of entries."""
ACCEPTED = "signing.rollback.accepted"
NAMED_MAX = 20

_log = logging.getLogger(__name__)

_VERSION = """SELECT v.state, v.destroy_time_us FROM signing_versions v
    JOIN signing_keys k ON k.tenant = v.tenant AND k.id = v.key_id
    WHERE v.tenant = ? AND k.uid = ? AND v.key_id = ? AND v.version = ?"""
_ROW_GENERATION = """SELECT generation FROM signing_versions
    WHERE tenant = ? AND key_id = ? AND version = ?"""
_KEY_GENERATION = "SELECT generation FROM signing_keys WHERE tenant = ? AND id = ?"


@dataclass(frozen=True)
class Rollback:
    """An older copy of the key store."""

    why: tuple[str, ...]
    missing: tuple[str, ...] = ()
    """Changes that the log tells of and the tables lack, the newest first, as far as they can be told."""

    def refusal(self) -> KetgateError:
        why = self.why[0].partition(": ")[0]  # no names of keys: callers of every tenant are told
        return KetgateError(
            Reason.KEY_STORE_ROLLED_BACK,
            f"the key store is an older copy: {why}; keys are not used until its operator has "
            "decided what to do (`ketgate audit accept-rollback`, or `ketgate restore`)",
        )

    def __str__(self) -> str:
        lacking = f"; it lacks: {', '.join(self.missing)}" if self.missing else ""
        return f"{'; '.join(self.why)}{lacking}"


class Watch:
    """Notices a store that is put back while a server runs on it, as far as the number of its newest
    change tells. Threads may share it."""

    def __init__(self, store: Store, found: Rollback | None) -> None:
        self._store = store
        self._newest = 0
        self.found = found
        """What tells that the key store is an older copy; None where nothing does."""

    def look(self) -> None:
        """To be called when the number is another than it was."""
        newest = self._newest
        with self._store.read() as reader:  # anew: what a caller read may be from before the newest
            now = rows.newest_change(reader)
        if now >= newest:
            self._newest = now
            return
        if self.found is None:
            self.found = Rollback(
                (f"its newest change was number {newest}, and is {now} while the server runs",)
            )
            _log.error("the key store is an older copy, keys are not used: %s", self.found)


def checkpoint(reader: Reader) -> Mapping[str, str]:
    """For the audit: the state of the key store, by which an older one is told."""
    return {SUM: sums.told(reader), GENERATION: str(rows.newest_change(reader))}


def find(store: Store, data_dir: Path) -> Rollback | None:
    """What tells that the key store is an older copy; None where nothing does."""
    with store.read() as reader:
        why = [*_against_log(reader)]
        missing = tuple(_missing(reader)) if why else ()
        of_log = seen.fault(reader, data_dir)
        why += [of_log] if of_log else []
        why += _against_journal(reader, Journal(data_dir), store.now_us())
    return Rollback(tuple(why), missing) if why else None


def untold(store: Store, journal: Iterable[Version]) -> list[Version]:
    """Versions that are destroyed and not in the journal: a server was killed before it told, or another one
    that shares the store destroyed them."""
    known = set(journal)
    with store.read() as reader:
        destroyed = [Version(*one) for one in rows.destroyed(reader)]
    return [one for one in destroyed if one not in known]


def _against_log(reader: Reader) -> Iterator[str]:
    newest = next(told.backwards(reader, SUM), None)
    counted = sums.counted(reader)
    generation = rows.newest_change(reader)
    if newest is None:
        if generation or counted != sums.NOTHING:
            yield "the audit log tells nothing of the keys that there are"
        return
    facts = newest.fact.facts or {}
    if facts[SUM] == counted:
        return
    last = facts.get(GENERATION, "")
    if last.isdecimal() and int(last) > generation:
        yield f"its newest change is number {generation}, and the audit log tells of number {last}"
    else:
        yield (
            f"its rows are not those that entry {newest.entry} of the audit log tells of: some are older, "
            "missing, or another's"
        )


def _against_journal(reader: Reader, journal: Iterable[Version], now_us: int) -> list[str]:
    back = [version for version in journal if _is_back(reader, version, now_us)]
    if not back:
        return []
    names = ", ".join(version_name(v.key_id, v.version) for v in back[:NAMED_MAX])
    return [f"it has versions that were destroyed: {names}"]


def _is_back(reader: Reader, version: Version, now_us: int) -> bool:
    """Whether a destroyed version is there. One whose time has come may be about to be destroyed, as
    the journal is written first."""
    row = reader.row(_VERSION, version)
    if row is None or row[0] == VersionState.DESTROYED.value:
        return False
    return not (
        row[0] == VersionState.DESTROY_SCHEDULED.value and row[1] is not None and row[1] <= now_us
    )


def _missing(reader: Reader) -> Iterator[str]:
    """Changes that rows of the tables should be of, and are not; of each row the newest."""
    looked: set[tuple[str, ...]] = set()
    named = 0
    for one in told.backwards(reader, SUM):
        facts = one.fact.facts or {}
        name = (one.fact.tenant, facts.get("key", ""), facts.get("version", ""))
        if not name[1] or name in looked:
            continue
        looked.add(name)
        row = (
            reader.row(_ROW_GENERATION, (name[0], name[1], int(name[2])))
            if name[2].isdecimal()
            else reader.row(_KEY_GENERATION, name[:2])
        )
        if row is None or row[0] < int(facts.get(GENERATION) or 0):
            yield f"{one.fact.action} of {one.fact.resource} (entry {one.entry})"
            named += 1
            if named == NAMED_MAX:
                return


def accept(keys: KeyStore, data_dir: Path, found: Rollback) -> list[Version]:
    """Go on with the older copy: what is known to be destroyed is destroyed again, and the log tells that
    it was accepted. The versions that were destroyed now."""
    again = destroy_again(keys, {*Journal(data_dir), *_destroyed_by_log(keys.store)})
    facts = {"why": str(found)[:1000], "destroyed_again": str(len(again))}

    def operation(change: Change) -> None:
        _raise_counter(change.tx)
        sums.recount(change.tx)
        change.facts |= facts | {GENERATION: str(change.generation)}

    keys.change(server_asker("", ACCEPTED), operation)
    seen.forget(data_dir)
    return again


def destroy_again(keys: KeyStore, destroyed: Iterable[Version]) -> list[Version]:
    """Destroy the versions that are there although they were destroyed; those that were."""
    with keys.store.read() as reader:
        now_us = keys.store.now_us()
        back = [one for one in sorted(destroyed) if _is_back(reader, one, now_us)]
    for one in back:
        keys.change(server_asker(one.tenant, DESTROYED), _destruction(one))
    return back


def _destroyed_by_log(store: Store) -> Iterator[Version]:
    """Versions of which the log tells that they were destroyed. Keys go by their uid: another may have been made
    under the name since."""
    with store.read() as reader:
        for one in told.backwards(reader, SUM):
            facts = one.fact.facts or {}
            name, uid = facts.get("ended", ""), facts.get("ended_uid", "")
            if one.fact.action == DESTROYED and not name:
                name, uid = one.fact.resource, facts.get("key_uid", "")
            key_id, _, number = name.removeprefix("keys/").partition("/versions/")
            if number.isdecimal():
                yield Version(one.fact.tenant, uid, key_id, int(number))


def _raise_counter(tx: Transaction) -> None:
    """Numbers that the log has told are not given again."""
    for one in told.backwards(tx, SUM):
        last = (one.fact.facts or {}).get(GENERATION, "")
        if last.isdecimal():
            behind = int(last) - tx.peek(rows.COUNTER)
            if behind > 0:
                tx.take(rows.COUNTER, behind)
            return


def _destruction(one: Version) -> Callable[[Change], None]:
    def operation(change: Change) -> None:
        key = change.key(one.key_id)
        version = change.version(key, one.version)
        if key.uid != one.key_uid or version.state is VersionState.DESTROYED:
            return
        effects.end(change, key, version)
        change.facts["again"] = "it was destroyed before the store was put back"

    return operation
