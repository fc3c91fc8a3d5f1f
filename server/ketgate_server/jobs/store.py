"""The jobs of a store: all there is to do to them. Every method may be called from any thread."""

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from ketgate.jobs.v1.job_pb2 import JobProgress

from ketgate_server.errors import NotFound
from ketgate_server.jobs import (
    claims,
    commands,
    convert,
    creation,
    due,
    events,
    listing,
    record,
    retention,
)
from ketgate_server.jobs.base import Actor, Claim, Ending, Event, Job, NewJob, Outcome, RequestKey
from ketgate_server.jobs.creation import Prepared
from ketgate_server.jobs.ids import job_name
from ketgate_server.jobs.kinds import KINDS
from ketgate_server.jobs.listing import ListQuery, Page
from ketgate_server.jobs.policy import Policy, Retention
from ketgate_server.jobs.record import JobRow
from ketgate_server.randomness import drawn
from ketgate_server.store.base import Reader, Row, Store, StoreUnavailable, Transaction

_log = logging.getLogger(__name__)

DUE_MAX = 500
"""Jobs that one tick changes; what is more waits for the next."""

CLAIMS_MAX = 256
"""Attempts that one claim begins."""

RETAIN_MAX = 500
"""Rows of each sort that one call of retain removes."""

_SALT_BYTES = 32
_List = list  # the class has a method of that name
_ATTEMPTS = "SELECT attempt FROM job_attempts WHERE seq = ? ORDER BY number"
_BODIES = "SELECT spec, result FROM job_bodies WHERE seq = ?"


class JobStore:
    """Durable jobs.

    kinds: names of those whose jobs this server can run. random_bytes: where what is random comes
    from; tests give a seeded one.
    """

    def __init__(
        self,
        store: Store,
        policy: Policy | None = None,
        *,
        kinds: Iterable[str] = KINDS,
        random_bytes: Callable[[int], bytes] = drawn,
    ) -> None:
        self.store = store
        self.policy = policy or Policy()
        self._kinds = tuple(kinds)
        self._random_bytes = random_bytes
        self._listeners: list[Callable[[int], None]] = []
        self._newest = 0
        self._last_tenant = ""
        self._create_batch = self._creates  # one object: the store tells batches apart by it
        self._tell_listeners = self._tell

    def on_change(self, callback: Callable[[int], None]) -> None:
        """Call callback with the newest revision after commits of this server that changed jobs. It
        runs on the store's thread: it must be quick."""
        self._listeners.append(callback)

    def now_us(self) -> int:
        """The store's clock: microseconds since 1970."""
        return self.store.now_us()

    # What callers ask for.

    def create(self, new: NewJob) -> Job:
        """Accept a job: when this returns, it is on disk.

        Raises QUOTA_EXCEEDED, REQUEST_ID_REUSED, REPLY_EXPIRED, RESOURCE_NOT_FOUND (an artifact).
        """
        prepared = creation.prepare(new, self._random_bytes(_SALT_BYTES))
        return convert.job(JobRow._make(self.store.run_batched(self._create_batch, prepared)))

    def begin_create(self, new: NewJob, then: Callable[[Callable[[], Job]], None]) -> None:
        """As create, without waiting; see Store.begin_batched."""
        prepared = creation.prepare(new, self._random_bytes(_SALT_BYTES))
        self.store.begin_batched(
            self._create_batch,
            prepared,
            lambda outcome: then(lambda: convert.job(JobRow._make(outcome()))),
        )

    def get(self, tenant: str, job_id: str, *, full: bool = False) -> Job:
        """A job with its attempts; full: with spec and result. Raises RESOURCE_NOT_FOUND."""
        with self.store.read() as reader:
            job, seq = self._get(reader, tenant, job_id)
            bodies = reader.row(_BODIES, (seq,)) if full else None
        if bodies is not None:
            job.spec.ParseFromString(bodies[0])
            if bodies[1] is not None:
                job.result.ParseFromString(bodies[1])
        return job

    def get_encoded(self, tenant: str, job_id: str) -> bytes:
        """As get with full, in bytes: spec and result, which may be large, are not parsed."""
        with self.store.read() as reader:
            job, seq = self._get(reader, tenant, job_id)
            bodies = reader.row(_BODIES, (seq,))
        if bodies is None:
            return job.SerializeToString()
        return convert.with_bodies(job, bodies[0], bodies[1])

    def find(self, tenant: str, job_ids: Sequence[str]) -> "_List[Job]":
        """Those of the jobs that there are, BASIC, in the order asked for."""
        with self.store.read() as reader:
            rows = [record.by_id(reader, tenant, job_id) for job_id in job_ids]
        return [convert.job(row) for row in rows if row is not None]

    def list(self, tenant: str, query: ListQuery) -> Page:
        """A page of jobs. Raises FIELD_INVALID for filter, order_by and page_token."""
        with self.store.read() as reader:
            return listing.page(reader, tenant, query)

    def cancel(self, actor: Actor, request: RequestKey, job_id: str, reason: str = "") -> Job:
        """Tell a job to stop; one that is over stays as it is.

        Raises RESOURCE_NOT_FOUND, REQUEST_ID_REUSED, REPLY_EXPIRED.
        """
        salt = self._random_bytes(_SALT_BYTES)
        return self.store.run(
            lambda tx: commands.cancel(
                tx,
                actor,
                request,
                job_id,
                reason=reason,
                policy=self.policy,
                salt=salt,
                notify=self._changed,
            )
        )

    def delete(self, actor: Actor, request: RequestKey, job_id: str, etag: str = "") -> None:
        """Delete a job that is over.

        Raises RESOURCE_NOT_FOUND, ETAG_MISMATCH, JOB_UNFINISHED, REQUEST_ID_REUSED.
        """
        salt = self._random_bytes(_SALT_BYTES)
        self.store.run(
            lambda tx: commands.delete(
                tx, actor, request, job_id, etag=etag, salt=salt, notify=self._changed
            )
        )

    # What servers do.

    def claim(self, worker: str, count: int, lease_us: int) -> "_List[Claim]":
        """Begin attempts at up to count jobs that are ready, or further turns of attempts that are at
        a provider, tenants in turn. What is of a kind that this server does not know waits for a
        server that does."""
        count = min(count, CLAIMS_MAX)
        if count <= 0:
            return []
        with self.store.read() as reader:  # asked after every commit, and mostly in vain
            if not claims.any_ready(reader, self._kinds):
                return []
        after = self._last_tenant
        # Where it is uncertain whether this was committed, nothing can be given back, as nobody knows
        # the fences: if it was, the leases run out.
        claimed = self.store.run(
            lambda tx: claims.claim(tx, worker, self._kinds, count, lease_us, after, self._changed)
        )
        if not claimed:
            return []
        self._last_tenant = claimed[-1].tenant
        try:
            with self.store.read() as reader:
                complete = [claims.complete(reader, claim) for claim in claimed]
        except BaseException:  # no one would run them until their leases run out
            self._give_back(claimed)
            raise
        return [claim for claim in complete if claim is not None]

    def renew(self, worker: str, fences: Sequence[int], lease_us: int) -> dict[int, str]:
        """Prolong the leases of attempts to lease_us from now. Returns, for those that it concerns,
        claims.STOP (cancelled, or the deadline passed) or claims.LOST (held no more)."""
        del worker  # fences are unique over all workers
        if not fences:
            return {}
        return self.store.run(lambda tx: claims.renew(tx, fences, lease_us))

    def signs(self, fences: Sequence[int]) -> dict[int, str]:
        """What renew would return; nothing is written."""
        if not fences:
            return {}
        with self.store.read() as reader:
            return claims.signs(reader, fences, self.store.now_us())

    def progress(self, fence: int, seq: int, progress: JobProgress) -> None:
        """Write soon how far an attempt is. Left out when the store is busy, or the fence stale."""
        if self.store.has_room:
            self.store.submit(lambda tx: claims.progress(tx, fence, seq, progress, self._changed))

    def checkpoint(self, claim: Claim, handle: bytes, lease_us: int) -> bool:
        """Keep a handle of work at a provider for the turns to come, and prolong the lease to
        lease_us from now. False: the fence is stale, and nothing was written."""
        return self.store.run(
            lambda tx: claims.checkpoint(tx, claim, handle, lease_us, self.policy)
        )

    def finish(self, claim: Claim, ending: Ending) -> bool:
        """Write how an attempt ended. False: its fence is stale, and nothing was written."""
        return self.finish_many([(claim, ending)])[0]

    def finish_many(self, endings: Sequence[tuple[Claim, Ending]]) -> "_List[bool]":
        """As finish, for several at once."""
        jitter = [self._jitter() for _ in endings]
        return self.store.run(
            lambda tx: claims.finish_many(tx, endings, self.policy, jitter, self._changed)
        )

    def tick(self, limit: int = DUE_MAX) -> int | None:
        """Do what time has made due: leases that ran out, waits that ended, deadlines that passed.
        Returns when to come again, in the store's clock; not after now: at once; None: when
        something changes."""
        with self.store.read() as reader:
            next_us = due.next_time_us(reader)
            behind = due.is_behind(reader, self.store.now_us())
        if not behind and (next_us is None or next_us > self.store.now_us()):
            return next_us
        seed = int.from_bytes(self._random_bytes(8))
        self.store.run(lambda tx: due.pass_time(tx, self.policy, seed, limit, self._changed))
        with self.store.read() as reader:
            return due.next_time_us(reader)

    def recover(self, worker_prefix: str) -> int:
        """End, as lost, the attempts of workers whose names begin so: their process is known to be
        dead. Returns how many there were."""
        lost = 0
        while True:
            seed = int.from_bytes(self._random_bytes(8))
            some = self.store.run(
                partial(
                    due.lose,
                    worker_prefix=worker_prefix,
                    policy=self.policy,
                    seed=seed,
                    limit=DUE_MAX,
                    notify=self._changed,
                )
            )
            lost += some
            if some < DUE_MAX:
                return lost

    # What happened.

    def events(
        self, tenant: str | None, start_revision: int, limit: int
    ) -> "_List[tuple[int, str, Event]]":
        """Events from start_revision on, at most limit: revision, tenant, event. tenant: None for
        all. Raises REVISION_COMPACTED."""
        with self.store.read() as reader:
            return events.read(reader, tenant, start_revision, limit)

    def revision(self) -> int:
        """The newest revision. Events up to it can be read."""
        with self.store.read() as reader:
            return events.newest(reader)

    def version(self) -> int:
        """A number that rises with every change that a server may have to act on: also with those
        that no event tells of."""
        with self.store.read() as reader:
            return events.newest(reader) + claims.newest_fence(reader)

    def retain(self, policy: Retention, limit: int = RETAIN_MAX) -> bool:
        """Remove what was kept long enough, a bounded piece; whether there may be more."""
        more = False
        if policy.jobs_us is not None:
            more |= self._remove_jobs(self.store.now_us() - policy.jobs_us, limit)
        more |= self.store.run(lambda tx: retention.compact_events(tx, policy, limit)) == limit
        if policy.replies_us is not None:
            before_us = self.store.now_us() - policy.replies_us
            forget = partial(retention.forget_replies, before_us=before_us, limit=limit)
            more |= self.store.run(forget) == limit
        return more

    def _remove_jobs(self, before_us: int, limit: int) -> bool:
        with self.store.read() as reader:
            tenants = retention.tenants_with_old_jobs(reader, before_us, limit)
        more = len(tenants) == limit
        for tenant in tenants:
            salt = self._random_bytes(_SALT_BYTES)
            removed = self.store.run(
                partial(
                    retention.remove_jobs,
                    tenant=tenant,
                    before_us=before_us,
                    limit=limit,
                    salt=salt,
                    notify=self._changed,
                )
            )
            more |= removed == limit
        return more

    def _give_back(self, claimed: Sequence[Claim]) -> None:
        try:
            self.finish_many([(claim, Ending(Outcome.GIVEN_BACK)) for claim in claimed])
        except StoreUnavailable as error:
            _log.warning("%d attempts are lost before they began: %s", len(claimed), error)

    def _get(self, reader: Reader, tenant: str, job_id: str) -> tuple[Job, int]:
        row = record.by_id(reader, tenant, job_id)
        if row is None:
            raise NotFound(job_name(job_id))
        job = convert.job(row)
        stored = reader.rows(_ATTEMPTS, (row.seq,))
        job.attempts.extend(convert.attempt(bytes(attempt)) for (attempt,) in stored)
        return job, row.seq

    def _creates(self, tx: Transaction, items: Sequence[Prepared]) -> "Sequence[Row | Exception]":
        return creation.create(tx, items, self.policy, self._changed)

    def _jitter(self) -> float:
        return int.from_bytes(self._random_bytes(4)) / 2**32

    def _changed(self, tx: Transaction) -> None:
        self._newest = tx.peek("revision")
        tx.on_commit(self._tell_listeners)

    def _tell(self) -> None:
        for callback in self._listeners:
            try:
                callback(self._newest)
            except Exception:  # what it missed it finds by itself; the others must hear
                _log.exception("a listener to changes of jobs failed")
