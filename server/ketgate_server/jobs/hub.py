"""Tells watchers and long polls of changes: one thread reads what was committed, and wakes those
whom it concerns.

A watcher has a position and no queue: it reads from the tail of its tenant, or, when it is further
behind, pages from the store. So there is neither a gap nor a repeat where the two meet, and a slow
one holds no memory. Wake-ups are paced: a thousand watchers of one change must not stand before
the calls that wait for the processor.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from ketgate_server.errors import KetgateError, Reason
from ketgate_server.jobs.base import Event
from ketgate_server.jobs.convert_watch import change_of
from ketgate_server.jobs.tail import Change, Tail
from ketgate_server.jobs.watch import WRITE_LIMIT_S, Sleeper, Waiter, Watcher
from ketgate_server.store.errors import StoreError

PULL_EVENTS = 1_000
PULL_INTERVAL_S = 0.001
"""Between two looks at the store, so that what comes together is told together."""
POLL_INTERVAL_S = 0.2
"""How often other servers' commits are looked for, where there may be others: notices of them may be
missed."""
CHECK_INTERVAL_S = 1.0
WAKES_AT_ONCE = 20
WAKES_INTERVAL_S = 0.01
"""Together: at most 2,000 wake-ups a second, each some 0.2 ms of a processor."""
CHANGES_KEPT_MAX = 65_536
"""In all tails together."""
CHANGES_KEPT_MIN = 64
BATCH_EVENTS = 256
BATCH_BYTES = 1 << 18
"""Of one message: what a watcher that does not read makes the server hold."""
SCAN_CHANGES = 2_000
"""Looked through at once for the few that a watcher wants."""
CATCH_UPS_MAX = 4
"""Watchers that read from the store at once."""
_log = logging.getLogger(__name__)


class Source(Protocol):
    """Where events come from: the JobStore."""

    def events(
        self, tenant: str | None, start_revision: int, limit: int
    ) -> Sequence[tuple[int, str, Event]]:
        """(revision, tenant, event) in order, committed ones only, of one tenant or all. Raises
        REVISION_COMPACTED."""

    def revision(self) -> int:
        """The newest revision committed."""


class _Tenant:
    """Who watches a tenant, and its tail."""

    def __init__(self, floor: int) -> None:
        self.tail = Tail(floor)
        self.of_all: set[Watcher] = set()
        self.of_job: dict[str, set[Watcher]] = {}
        self.count = 0

    def concerned(self, change: Change) -> Iterator[Watcher]:
        yield from self.of_all
        yield from self.of_job.get(change.job, ())


class Hub:
    """All watchers and waiters of this server."""

    def __init__(
        self, source: Source, *, polls: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """polls: other servers may commit to the same store."""
        self.clock = clock
        self._source = source
        self._polls = polls
        self._lock = threading.Lock()
        self._tenants: dict[str, _Tenant] = {}
        self._waiters: dict[tuple[str, str], set[Waiter]] = {}
        self._sleepers = 0
        self._head = 0
        """Every event up to this revision was told, as long as anybody is there to be told."""
        self._to_wake: deque[Sleeper] = deque()
        self._catch_ups = threading.BoundedSemaphore(CATCH_UPS_MAX)
        self._changed = threading.Event()
        self._draining = False
        self._closed = False
        self._checked_s = 0.0
        self._thread = threading.Thread(target=self._run, name="watch-hub", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def changed(self, revision: int) -> None:  # noqa: ARG002 - the store's listener
        """Events were committed. Cheap, and from any thread."""
        if self._sleepers and not self._changed.is_set():
            self._changed.set()

    def changed_elsewhere(self) -> None:
        """As changed: another server may have committed events."""
        self.changed(0)

    def watch(
        self,
        tenant: str,
        start_revision: int,
        *,
        jobs: frozenset[str] = frozenset(),
        states_only: bool = False,
        break_off: Callable[[], None] = lambda: None,
    ) -> Watcher:
        """A watcher from a revision on; 0: from the next one. Close it. Raises REVISION_COMPACTED for
        one beyond that: nobody was told it by this store as it is."""
        head = self._source.revision()
        position = start_revision or head + 1
        if position > head + 1:
            raise KetgateError(
                Reason.REVISION_COMPACTED,
                f"start_revision: the next revision is {head + 1}, given {start_revision}, which is of "
                "another store, or of this one before it was restored from a back-up; list, then "
                "watch from the revision after that of the list",
                field="start_revision",
                metadata={"newest_revision": str(head)},
            )
        watcher = Watcher(self, tenant, position, jobs, states_only, break_off)
        with self._lock:
            self._join(head)
            known = self._tenants.get(tenant)
            if known is None:
                known = self._tenants[tenant] = _Tenant(self._head + 1)
            known.count += 1
            if jobs:
                for job in jobs:
                    known.of_job.setdefault(job, set()).add(watcher)
            else:
                known.of_all.add(watcher)
        self._changed.set()
        return watcher

    def waiter(self, tenant: str, job: str) -> Waiter:
        """Waits for the end of a job. Look at the job after this, and close it."""
        waiter = Waiter(self, tenant, job)
        head = self._source.revision()
        with self._lock:
            self._join(head)
            self._waiters.setdefault((tenant, job), set()).add(waiter)
        self._changed.set()
        return waiter

    def forget_watcher(self, watcher: Watcher) -> None:
        with self._lock:
            known = self._tenants[watcher.tenant]
            known.of_all.discard(watcher)
            for job in watcher.jobs:
                known.of_job[job].discard(watcher)
                if not known.of_job[job]:
                    del known.of_job[job]
            known.count -= 1
            if not known.count:  # a tail is complete only while it is written
                del self._tenants[watcher.tenant]
            self._sleepers -= 1

    def forget_waiter(self, waiter: Waiter) -> None:
        with self._lock:
            waiters = self._waiters[waiter.tenant, waiter.job]
            waiters.discard(waiter)
            if not waiters:
                del self._waiters[waiter.tenant, waiter.job]
            self._sleepers -= 1

    def check(self) -> None:
        if self._draining:
            raise KetgateError(Reason.DRAINING, "the server is stopping; go on with another call")

    @property
    def watchers(self) -> int:
        with self._lock:
            return sum(tenant.count for tenant in self._tenants.values())

    @property
    def waiters(self) -> int:
        with self._lock:
            return sum(map(len, self._waiters.values()))

    def begin_drain(self) -> None:
        """End every watch and every wait, and take no more."""
        self._draining = True
        with self._lock:
            sleepers = [*self._all_watchers(), *(w for s in self._waiters.values() for w in s)]
        for sleeper in sleepers:
            sleeper.wake()

    def close(self) -> None:
        self.begin_drain()
        self._closed = True
        self._changed.set()
        if self._thread.ident is not None:
            self._thread.join(CHECK_INTERVAL_S)

    def read(self, watcher: Watcher) -> tuple[bytes, bool]:
        """What a watcher is to be sent next, and whether there is more. Moves its position, and
        marks it asleep if there is not."""
        with self._lock:
            tail, head = self._tenants[watcher.tenant].tail, self._head
            in_tail = watcher.position >= tail.floor
            if in_tail:
                changes = tail.since(watcher.position, SCAN_CHANGES)
                watcher.asleep = not changes
        if not in_tail:
            changes, head = self._page(watcher)
        whole = in_tail and len(changes) < SCAN_CHANGES
        whole = whole or (not in_tail and len(changes) < BATCH_EVENTS)
        content, size, count = [], 0, 0
        for change in changes:
            watcher.position = change.revision + 1
            if watcher.wants(change):
                content.append(change.content)
                size, count = size + len(change.content), count + 1
                if count >= BATCH_EVENTS or size >= BATCH_BYTES:
                    break
        else:
            if whole:
                watcher.position = max(watcher.position, head + 1)
        return b"".join(content), bool(changes) or not in_tail

    def pull(self) -> bool:
        """Read what was committed since the last time, and note whom to wake. Whether there may be
        more."""
        with self._lock:
            if not self._sleepers:
                return False
            head = self._head
        try:
            events = self._source.events(None, head + 1, PULL_EVENTS)
        except KetgateError as error:
            if error.reason is not Reason.REVISION_COMPACTED:
                raise
            self._skip(head)
            return True
        with self._lock:
            if self._head != head:  # everybody left, and others came
                return True
            for revision, tenant, event in events:
                self._tell(revision, tenant, event)
        return len(events) == PULL_EVENTS

    def wake_some(self) -> bool:
        """Wake as many as may be woken at once. Whether there are more."""
        for _ in range(WAKES_AT_ONCE):
            try:
                self._to_wake.popleft().wake()
            except IndexError:
                return False
        return bool(self._to_wake)

    def break_off_unread(self) -> None:
        """End the calls whose callers do not read at all."""
        now_s = self.clock()
        with self._lock:
            watchers = self._all_watchers()
        for watcher in watchers:
            since_s = watcher.writing_since_s
            if since_s is not None and now_s - since_s > 2 * WRITE_LIMIT_S:
                watcher.break_off()

    def _skip(self, head: int) -> None:
        """Go on from what is newest, as what follows head is not kept any more. Everybody looks into
        the store, which tells those who missed something."""
        newest = self._source.revision()
        with self._lock:
            if self._head != head:
                return
            self._head = newest
            for tenant in self._tenants.values():
                tenant.tail = Tail(newest + 1)
            sleepers = [*self._all_watchers(), *(w for s in self._waiters.values() for w in s)]
            self._to_wake.extend(sleepers)

    def _join(self, head: int) -> None:
        if not self._sleepers:
            self._head = max(self._head, head)
            self._to_wake.clear()
        self._sleepers += 1

    def _all_watchers(self) -> list[Watcher]:
        found: set[Watcher] = set()
        for tenant in self._tenants.values():
            found.update(tenant.of_all, *tenant.of_job.values())
        return list(found)

    def _tell(self, revision: int, tenant: str, event: Event) -> None:
        known = self._tenants.get(tenant)
        waiters = self._waiters.get((tenant, event.job))
        self._head = revision
        if known is None and waiters is None:
            return
        change = change_of(revision, event)
        if known is not None:
            kept = max(CHANGES_KEPT_MIN, CHANGES_KEPT_MAX // len(self._tenants) // 2)
            known.tail.append(change, kept)
            for watcher in known.concerned(change):
                if watcher.asleep and watcher.wants(change):
                    watcher.asleep = False
                    self._to_wake.append(watcher)
        if waiters and change.ends:
            for waiter in waiters:
                if waiter.asleep:
                    waiter.asleep = False
                    self._to_wake.append(waiter)

    def _page(self, watcher: Watcher) -> tuple[list[Change], int]:
        """A page from the store, and a revision up to which it tells everything if it is not
        full."""
        with self._catch_ups:
            head = self._source.revision()  # first: the page shows at least as much
            page = self._source.events(watcher.tenant, watcher.position, BATCH_EVENTS)
        return [change_of(revision, event) for revision, _, event in page], head

    def _run(self) -> None:
        while not self._closed:
            try:
                self._turn()
            except StoreError as error:  # it comes back, or the operator is told by every call
                _log.warning("watchers wait for the store: %s", error)
                time.sleep(POLL_INTERVAL_S)
            except Exception:
                _log.exception("a change could not be told")
                time.sleep(POLL_INTERVAL_S)

    def _turn(self) -> None:
        interval_s = POLL_INTERVAL_S if self._polls and self._sleepers else CHECK_INTERVAL_S
        self._changed.wait(interval_s)
        self._changed.clear()
        more = True
        while more and not self._closed:
            more = self.pull()
            more = self.wake_some() or more
            time.sleep(WAKES_INTERVAL_S if self._to_wake else PULL_INTERVAL_S)
        if self.clock() - self._checked_s > CHECK_INTERVAL_S:
            self._checked_s = self.clock()
            self.break_off_unread()
