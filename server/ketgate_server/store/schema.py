"""The tables, as SQLAlchemy sees them: what migrations are compared with. Imported only to migrate
and to test."""

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData()

tokens = Table(
    "tokens",
    metadata,
    Column("uid", Integer, nullable=False),
    Column("secret_sha256", String(64), nullable=False),
    Column("name", String(100), nullable=False),
    Column("tenant", String(63), nullable=False),
    Column("roles", Text, nullable=False),
    Column("create_time_us", BigInteger, nullable=False),
    Column("expire_time_us", BigInteger),
    Column("revoke_time_us", BigInteger),
    PrimaryKeyConstraint("uid", name="tokens_pk"),
    UniqueConstraint("secret_sha256", name="tokens_secret_unique"),
)
# A name has one token that is not revoked, as a renewed one revokes that before; the revoked stay for the record.
Index(
    "tokens_name_live",
    tokens.c.name,
    unique=True,
    sqlite_where=tokens.c.revoke_time_us.is_(None),
    postgresql_where=tokens.c.revoke_time_us.is_(None),
)

counters = Table(
    "counters",
    metadata,
    Column("name", String(100), nullable=False),
    Column("value", BigInteger, nullable=False),
    PrimaryKeyConstraint("name", name="counters_pk"),
)
"""One row a counter, those of transaction.COUNTERS from the start; in PostgreSQL every transaction
locks these first, which makes them serial."""

# What a request did, for as long as the store lives; the reply as long as retention says.
requests = Table(
    "requests",
    metadata,
    Column("tenant", String(63), nullable=False),
    Column("method", String(200), nullable=False),
    Column("request_id", String(128), nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("resource", String(200), nullable=False),
    Column("reply", LargeBinary),
    Column("create_time_us", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant", "method", "request_id", name="requests_pk"),
    sqlite_with_rowid=False,
)
Index(
    "requests_reply_age",
    requests.c.create_time_us,
    sqlite_where=requests.c.reply.is_not(None),
    postgresql_where=requests.c.reply.is_not(None),
)

jobs = Table(
    "jobs",
    metadata,
    # The revision that created it: rises with the order of commits, and is unique.
    Column("seq", BigInteger().with_variant(Integer(), "sqlite"), autoincrement=False),
    Column("id", String(32), nullable=False),
    Column("tenant", String(63), nullable=False),
    Column("kind", String(63), nullable=False),
    Column("state", SmallInteger, nullable=False),  # the contract's JobState
    Column("priority", SmallInteger, nullable=False),
    Column("labels", Text, nullable=False),  # JSON; "" for none
    Column("creator", String(100), nullable=False),
    Column("create_time_us", BigInteger, nullable=False),
    Column("start_time_us", BigInteger),
    Column("end_time_us", BigInteger),
    Column("update_time_us", BigInteger, nullable=False),
    Column("not_before_us", BigInteger),  # as the caller asked
    Column(
        "wake_time_us", BigInteger
    ),  # not before: by the caller, back-off or, at a provider, the next poll; NULL: ready, or held
    Column("deadline_us", BigInteger),
    Column("revision", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("faults", Integer, nullable=False),  # attempts that a provider or a server failed
    Column("losses", Integer, nullable=False),  # attempts in a row whose worker died
    Column("fence", BigInteger, nullable=False),  # of the attempt that may change it; 0: none
    Column("worker", String(200), nullable=False),
    Column("lease_time_us", BigInteger),  # until when that attempt's worker need not be heard of
    Column("progress", LargeBinary),  # JobProgress
    Column("error", LargeBinary),  # google.rpc.Status
    Column("spec_digest", LargeBinary, nullable=False),
    # A provider may have work of it (job_handles tells), which is followed until then; NULL: none has.
    Column("outside_until_us", BigInteger),
    PrimaryKeyConstraint("seq", name="jobs_pk"),
    UniqueConstraint("id", name="jobs_id_unique"),
)
_READY = "end_time_us IS NULL AND wake_time_us IS NULL AND lease_time_us IS NULL"
_DUE = "deadline_us IS NOT NULL AND state = 1 AND outside_until_us IS NULL"
Index("jobs_by_tenant", jobs.c.tenant, jobs.c.seq)
Index("jobs_by_state", jobs.c.tenant, jobs.c.state, jobs.c.seq)
Index(
    "jobs_by_end",
    jobs.c.tenant,
    jobs.c.end_time_us,
    jobs.c.seq,
    sqlite_where=jobs.c.end_time_us.is_not(None),
    postgresql_where=jobs.c.end_time_us.is_not(None),
)
Index(
    "jobs_ready",
    jobs.c.kind,  # first: a server takes the kinds that it knows, however many jobs of others wait
    jobs.c.tenant,
    jobs.c.state.desc(),  # polls first: they are short, and somebody waits for what they find
    jobs.c.priority.desc(),
    jobs.c.seq,
    sqlite_where=text(_READY),
    postgresql_where=text(_READY),
)
Index(
    "jobs_waking",
    jobs.c.wake_time_us,
    sqlite_where=text("wake_time_us IS NOT NULL"),
    postgresql_where=text("wake_time_us IS NOT NULL"),
)
Index(
    "jobs_leased",
    jobs.c.lease_time_us,
    sqlite_where=text("lease_time_us IS NOT NULL"),
    postgresql_where=text("lease_time_us IS NOT NULL"),
)
Index(
    "jobs_due",
    jobs.c.deadline_us,
    sqlite_where=text(_DUE),
    postgresql_where=text(_DUE),
)
Index(
    "jobs_outside",
    jobs.c.outside_until_us,
    sqlite_where=text("outside_until_us IS NOT NULL"),
    postgresql_where=text("outside_until_us IS NOT NULL"),
)

# Apart from jobs, so that lists and the queue stay small.
job_bodies = Table(
    "job_bodies",
    metadata,
    Column("seq", BigInteger().with_variant(Integer(), "sqlite"), autoincrement=False),
    Column("spec", LargeBinary, nullable=False),  # JobSpec
    Column("result", LargeBinary),  # JobResult
    PrimaryKeyConstraint("seq", name="job_bodies_pk"),
)
job_labels = Table(
    "job_labels",
    metadata,
    Column("tenant", String(63), nullable=False),
    Column("key", String(63), nullable=False),
    Column("value", String(63), nullable=False),
    Column("seq", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant", "key", "value", "seq", name="job_labels_pk"),
    sqlite_with_rowid=False,
)
job_attempts = Table(
    "job_attempts",
    metadata,
    Column("seq", BigInteger, nullable=False),
    Column("number", Integer, nullable=False),
    Column("attempt", LargeBinary, nullable=False),  # JobAttempt
    PrimaryKeyConstraint("seq", "number", name="job_attempts_pk"),
    sqlite_with_rowid=False,
)

# How a kind finds its work at a provider again. Apart from the spec, which may be large, as this changes.
job_handles = Table(
    "job_handles",
    metadata,
    Column("seq", BigInteger().with_variant(Integer(), "sqlite"), autoincrement=False),
    Column("handle", LargeBinary, nullable=False),
    PrimaryKeyConstraint("seq", name="job_handles_pk"),
)

# The outbox: written with the change, read by watchers and publishers, compacted by age.
events = Table(
    "events",
    metadata,
    Column("revision", BigInteger().with_variant(Integer(), "sqlite"), autoincrement=False),
    Column("tenant", String(63), nullable=False),
    Column("seq", BigInteger, nullable=False),  # of the job
    Column("time_us", BigInteger, nullable=False),
    Column("event", LargeBinary, nullable=False),  # JobEvent without revision and time
    PrimaryKeyConstraint("revision", name="events_pk"),
)
Index("events_by_tenant", events.c.tenant, events.c.revision)

# What one server at a time does: the audit's sequencer, retention, publishers.
leases = Table(
    "leases",
    metadata,
    Column("name", String(63), nullable=False),
    Column("holder", String(200), nullable=False),
    Column("until_us", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),  # how far the work is, for example a revision
    PrimaryKeyConstraint("name", name="leases_pk"),
)

audit_entries = Table(
    "audit_entries",
    metadata,
    Column("idx", BigInteger().with_variant(Integer(), "sqlite"), autoincrement=False),
    Column("tenant", String(63), nullable=False),
    Column("commitment", LargeBinary, nullable=False),
    Column("salt", LargeBinary),
    Column("payload", LargeBinary),  # AuditPayload
    PrimaryKeyConstraint("idx", name="audit_entries_pk"),
)
# Hashes of complete subtrees: block b of level l holds those of number 256 b and on, 32 bytes each.
audit_nodes = Table(
    "audit_nodes",
    metadata,
    Column("level", SmallInteger, nullable=False),
    Column("block", BigInteger, nullable=False),
    Column("hashes", LargeBinary, nullable=False),
    PrimaryKeyConstraint("level", "block", name="audit_nodes_pk"),
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("tenant", String(63), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("media_type", String(100), nullable=False),
    Column("create_time_us", BigInteger, nullable=False),
    Column("used_time_us", BigInteger, nullable=False),  # when something last referred to it
    PrimaryKeyConstraint("tenant", "sha256", name="artifacts_pk"),
)
Index("artifacts_by_content", artifacts.c.sha256)
Index("artifacts_by_time", artifacts.c.tenant, artifacts.c.create_time_us, artifacts.c.sha256)
artifact_references = Table(
    "artifact_references",
    metadata,
    Column("tenant", String(63), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("seq", BigInteger, nullable=False),  # of the job
    PrimaryKeyConstraint("tenant", "sha256", "seq", name="artifact_references_pk"),
    sqlite_with_rowid=False,
)
Index("artifact_references_by_job", artifact_references.c.seq)
uploads = Table(
    "uploads",
    metadata,
    Column("id", String(32), nullable=False),
    Column("tenant", String(63), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("media_type", String(100), nullable=False),
    Column("offset_bytes", BigInteger, nullable=False),  # at least so much has arrived
    Column("update_time_us", BigInteger, nullable=False),
    PrimaryKeyConstraint("id", name="uploads_pk"),
    UniqueConstraint("tenant", "sha256", name="uploads_content_unique"),
)
Index("uploads_by_content", uploads.c.sha256)

# What work at providers cost, of one job each; kept, as jobs may be deleted.
quantum_charges = Table(
    "quantum_charges",
    metadata,
    Column("tenant", String(63), nullable=False),
    Column("job", String(32), nullable=False),
    Column("time_us", BigInteger, nullable=False),
    Column("asset", String(64), nullable=False),
    Column("minor_units", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant", "job", name="quantum_charges_pk"),
)
Index("quantum_charges_by_time", quantum_charges.c.tenant, quantum_charges.c.time_us)
# The estimates of what providers are being asked to take: they count as charges do, until they are
# charges or given back.
quantum_reservations = Table(
    "quantum_reservations",
    metadata,
    Column("tenant", String(63), nullable=False),
    Column("job", String(32), nullable=False),
    Column("time_us", BigInteger, nullable=False),
    Column("asset", String(64), nullable=False),
    Column("minor_units", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant", "job", name="quantum_reservations_pk"),
)

# Keys, their versions, changes that wait for approvals, wrapping keys, and what they are encrypted under.
signing_keys = Table(
    "signing_keys",
    metadata,
    Column("tenant", String(63), nullable=False),
    Column("id", String(63), nullable=False),
    Column("uid", String(32), nullable=False),
    Column("algorithm", String(40), nullable=False),
    Column("etag", String(32), nullable=False),
    Column("primary_version", Integer(), nullable=False),
    Column("min_version", Integer(), nullable=False),
    Column("next_rotation_us", BigInteger(), nullable=True),
    # The rest of the record, as canonical JSON; read and written as a whole.
    Column("body", LargeBinary(), nullable=False),
    # Number of the change that wrote it, and a code over the row: what another hand wrote is seen.
    Column("generation", BigInteger(), nullable=False),
    Column("mac", LargeBinary(), nullable=False),
    PrimaryKeyConstraint("tenant", "id", name="signing_keys_pk"),
)
Index(
    "signing_keys_by_rotation",
    signing_keys.c.next_rotation_us,
    sqlite_where=signing_keys.c.next_rotation_us.isnot(None),
    postgresql_where=signing_keys.c.next_rotation_us.isnot(None),
)
signing_versions = Table(
    "signing_versions",
    metadata,
    Column("tenant", String(63), nullable=False),
    Column("key_id", String(63), nullable=False),
    Column("version", Integer(), nullable=False),
    Column("state", String(20), nullable=False),
    Column("destroy_time_us", BigInteger(), nullable=True),
    # The private key, encrypted; NULL: there is none, or it was destroyed.
    Column("envelope", LargeBinary(), nullable=True),
    Column("kek", String(32), nullable=True),
    Column("public_key", LargeBinary(), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("body", LargeBinary(), nullable=False),
    Column("generation", BigInteger(), nullable=False),
    Column("mac", LargeBinary(), nullable=False),
    PrimaryKeyConstraint("tenant", "key_id", "version", name="signing_versions_pk"),
)
Index(
    "signing_versions_by_destruction",
    signing_versions.c.destroy_time_us,
    sqlite_where=signing_versions.c.destroy_time_us.isnot(None),
    postgresql_where=signing_versions.c.destroy_time_us.isnot(None),
)
Index("signing_versions_by_fingerprint", signing_versions.c.tenant, signing_versions.c.fingerprint)
Index("signing_versions_by_kek", signing_versions.c.kek)
signing_changes = Table(
    "signing_changes",
    metadata,
    Column("tenant", String(63), nullable=False),
    Column("id", String(32), nullable=False),
    Column("key_id", String(63), nullable=False),
    Column("state", String(20), nullable=False),
    Column("create_time_us", BigInteger(), nullable=False),
    Column("expire_time_us", BigInteger(), nullable=False),
    Column("body", LargeBinary(), nullable=False),
    Column("generation", BigInteger(), nullable=False),
    Column("mac", LargeBinary(), nullable=False),
    PrimaryKeyConstraint("tenant", "id", name="signing_changes_pk"),
)
Index(
    "signing_changes_by_key",
    signing_changes.c.tenant,
    signing_changes.c.key_id,
    signing_changes.c.id,
)
Index(
    "signing_changes_pending",
    signing_changes.c.tenant,
    signing_changes.c.expire_time_us,
    sqlite_where=signing_changes.c.state == "PENDING",
    postgresql_where=signing_changes.c.state == "PENDING",
)
signing_wrapping_keys = Table(
    "signing_wrapping_keys",
    metadata,
    Column("tenant", String(63), nullable=False),
    Column("id", String(32), nullable=False),
    Column("creator", String(100), nullable=False),
    Column("algorithm", String(40), nullable=False),
    Column("public_key", LargeBinary(), nullable=False),
    Column("envelope", LargeBinary(), nullable=False),
    Column("kek", String(32), nullable=False),
    Column("expire_time_us", BigInteger(), nullable=False),
    PrimaryKeyConstraint("tenant", "id", name="signing_wrapping_keys_pk"),
)
Index("signing_wrapping_keys_by_time", signing_wrapping_keys.c.expire_time_us)
signing_keks = Table(
    "signing_keks",
    metadata,
    Column("id", String(32), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("body", LargeBinary(), nullable=False),
    Column("create_time_us", BigInteger(), nullable=False),
    Column("retire_time_us", BigInteger(), nullable=True),
    PrimaryKeyConstraint("id", name="signing_keks_pk"),
)
signing_sums = Table(
    "signing_sums",
    metadata,
    Column("id", Integer(), nullable=False),
    Column("total", LargeBinary(), nullable=False),
    PrimaryKeyConstraint("id", name="signing_sums_pk"),
)
audit_keys = Table(
    "audit_keys",
    metadata,
    Column("number", Integer(), nullable=False),
    Column("key_id", String(64), nullable=False),
    Column("previous_key_id", String(64), nullable=False),
    Column("idx", BigInteger(), nullable=False),
    PrimaryKeyConstraint("number", name="audit_keys_pk"),
)
