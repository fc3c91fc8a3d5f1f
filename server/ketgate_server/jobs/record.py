"""A job as the table has it."""

from typing import NamedTuple

from ketgate_server.store.base import Reader, Row

QUEUED, SUBMITTED, RUNNING, CANCELLING, SUCCEEDED, FAILED, CANCELLED, EXPIRED = range(1, 9)
"""The contract's JobState."""

TERMINAL = frozenset({SUCCEEDED, FAILED, CANCELLED, EXPIRED})

READY = "end_time_us IS NULL AND wake_time_us IS NULL AND lease_time_us IS NULL"
"""Not over, waits for no time, and nobody holds it: a new job, a retry, or work at a provider that is
to be asked after. As the partial index has it, or SQLite would not use the index."""

FOREVER_US = 1 << 62
"""Of outside_until_us: without a bound."""


class JobRow(NamedTuple):
    """A row of `jobs`. Times in microseconds since 1970."""

    seq: int
    id: str
    tenant: str
    kind: str
    state: int
    priority: int
    labels: str
    """JSON; "" for none."""
    creator: str
    create_time_us: int
    start_time_us: int | None
    end_time_us: int | None
    update_time_us: int
    not_before_us: int | None
    wake_time_us: int | None
    deadline_us: int | None
    revision: int
    attempts: int
    faults: int
    losses: int
    fence: int
    worker: str
    lease_time_us: int | None
    progress: bytes | None
    error: bytes | None
    spec_digest: bytes
    outside_until_us: int | None
    """A provider may have work of it, which is followed until then; None: none has."""

    @property
    def is_over(self) -> bool:
        return self.state in TERMINAL

    def as_created(self) -> "JobRow":
        """As it was when it was accepted: what a repeat of that request is told."""
        return self._replace(
            state=QUEUED,
            start_time_us=None,
            end_time_us=None,
            update_time_us=self.create_time_us,
            revision=self.seq,
            attempts=0,
            progress=None,
            error=None,
        )


COLUMNS = ", ".join(JobRow._fields)
SELECT = f"SELECT {COLUMNS} FROM jobs"  # noqa: S608 - no value is in the text

_BY_SEQ = f"{SELECT} WHERE seq = ?"
_BY_ID = f"{SELECT} WHERE id = ?"


def as_job(row: Row) -> JobRow:
    return JobRow._make(row)


def by_seq(reader: Reader, seq: int) -> JobRow | None:
    row = reader.row(_BY_SEQ, (seq,))
    return JobRow._make(row) if row else None


def by_id(reader: Reader, tenant: str, job_id: str) -> JobRow | None:
    """The tenant's job of this id. Another tenant's is none."""
    row = reader.row(_BY_ID, (job_id,))
    job = JobRow._make(row) if row else None
    return job if job is not None and job.tenant == tenant else None
