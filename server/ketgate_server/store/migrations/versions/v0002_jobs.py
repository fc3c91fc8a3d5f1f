"""Durable jobs: counters, requests, jobs and their events, the audit log, artifacts."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _common()
    _jobs()
    _audit()
    _artifacts()


def _common() -> None:
    op.create_table(
        "counters",
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="counters_pk"),
    )
    op.create_table(
        "requests",
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("method", sa.String(200), nullable=False),
        sa.Column("request_id", sa.String(128), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("resource", sa.String(200), nullable=False),
        sa.Column("reply", sa.LargeBinary()),
        sa.Column("create_time_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "method", "request_id", name="requests_pk"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "requests_reply_age",
        "requests",
        ["create_time_us"],
        sqlite_where=sa.text("reply IS NOT NULL"),
        postgresql_where=sa.text("reply IS NOT NULL"),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("holder", sa.String(200), nullable=False),
        sa.Column("until_us", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="leases_pk"),
    )
    op.execute(
        "INSERT INTO counters (name, value)"
        " VALUES ('revision', 0), ('audit', 0), ('tokens', 0), ('clock', 0)"
    )


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("kind", sa.String(63), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("creator", sa.String(100), nullable=False),
        sa.Column("create_time_us", sa.BigInteger(), nullable=False),
        sa.Column("start_time_us", sa.BigInteger()),
        sa.Column("end_time_us", sa.BigInteger()),
        sa.Column("update_time_us", sa.BigInteger(), nullable=False),
        sa.Column("not_before_us", sa.BigInteger()),
        sa.Column("wake_time_us", sa.BigInteger()),
        sa.Column("deadline_us", sa.BigInteger()),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("faults", sa.Integer(), nullable=False),
        sa.Column("losses", sa.Integer(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("worker", sa.String(200), nullable=False),
        sa.Column("lease_time_us", sa.BigInteger()),
        sa.Column("progress", sa.LargeBinary()),
        sa.Column("error", sa.LargeBinary()),
        sa.Column("spec_digest", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="jobs_pk"),
        sa.UniqueConstraint("id", name="jobs_id_unique"),
    )
    op.create_index(
        "jobs_by_end",
        "jobs",
        ["tenant", "end_time_us", "seq"],
        sqlite_where=sa.text("end_time_us IS NOT NULL"),
        postgresql_where=sa.text("end_time_us IS NOT NULL"),
    )
    op.create_index("jobs_by_state", "jobs", ["tenant", "state", "seq"])
    op.create_index("jobs_by_tenant", "jobs", ["tenant", "seq"])
    op.create_index(
        "jobs_due",
        "jobs",
        ["deadline_us"],
        sqlite_where=sa.text("deadline_us IS NOT NULL AND end_time_us IS NULL"),
        postgresql_where=sa.text("deadline_us IS NOT NULL AND end_time_us IS NULL"),
    )
    op.create_index(
        "jobs_leased",
        "jobs",
        ["lease_time_us"],
        sqlite_where=sa.text("lease_time_us IS NOT NULL"),
        postgresql_where=sa.text("lease_time_us IS NOT NULL"),
    )
    op.create_index(
        "jobs_ready",
        "jobs",
        ["kind", "tenant", sa.literal_column("priority DESC"), "seq"],
        sqlite_where=sa.text("state = 1 AND wake_time_us IS NULL"),
        postgresql_where=sa.text("state = 1 AND wake_time_us IS NULL"),
    )
    op.create_index(
        "jobs_waking",
        "jobs",
        ["wake_time_us"],
        sqlite_where=sa.text("wake_time_us IS NOT NULL"),
        postgresql_where=sa.text("wake_time_us IS NOT NULL"),
    )
    op.create_table(
        "job_bodies",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("spec", sa.LargeBinary(), nullable=False),
        sa.Column("result", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("seq", name="job_bodies_pk"),
    )
    op.create_table(
        "job_labels",
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("key", sa.String(63), nullable=False),
        sa.Column("value", sa.String(63), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "key", "value", "seq", name="job_labels_pk"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "job_attempts",
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq", "number", name="job_attempts_pk"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "events",
        sa.Column(
            "revision",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("time_us", sa.BigInteger(), nullable=False),
        sa.Column("event", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("revision", name="events_pk"),
    )
    op.create_index("events_by_tenant", "events", ["tenant", "revision"])


def _audit() -> None:
    op.create_table(
        "audit_entries",
        sa.Column(
            "idx",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("commitment", sa.LargeBinary(), nullable=False),
        sa.Column("salt", sa.LargeBinary()),
        sa.Column("payload", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("idx", name="audit_entries_pk"),
    )
    op.create_table(
        "audit_nodes",
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "block", name="audit_nodes_pk"),
    )


def _artifacts() -> None:
    op.create_table(
        "artifacts",
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.String(100), nullable=False),
        sa.Column("create_time_us", sa.BigInteger(), nullable=False),
        sa.Column("used_time_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "sha256", name="artifacts_pk"),
    )
    op.create_index("artifacts_by_content", "artifacts", ["sha256"])
    op.create_index("artifacts_by_time", "artifacts", ["tenant", "create_time_us", "sha256"])
    op.create_table(
        "artifact_references",
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "sha256", "seq", name="artifact_references_pk"),
        sqlite_with_rowid=False,
    )
    op.create_index("artifact_references_by_job", "artifact_references", ["seq"])
    op.create_table(
        "uploads",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.String(100), nullable=False),
        sa.Column("offset_bytes", sa.BigInteger(), nullable=False),
        sa.Column("update_time_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="uploads_pk"),
        sa.UniqueConstraint("tenant", "sha256", name="uploads_content_unique"),
    )
    op.create_index("uploads_by_content", "uploads", ["sha256"])
