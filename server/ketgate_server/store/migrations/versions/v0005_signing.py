"""Keys, their versions, changes that wait for approvals, wrapping keys, and what they are encrypted under."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "signing_keys",
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("id", sa.String(63), nullable=False),
        sa.Column("uid", sa.String(32), nullable=False),
        sa.Column("algorithm", sa.String(40), nullable=False),
        sa.Column("etag", sa.String(32), nullable=False),
        sa.Column("primary_version", sa.Integer(), nullable=False),
        sa.Column("min_version", sa.Integer(), nullable=False),
        sa.Column("next_rotation_us", sa.BigInteger(), nullable=True),
        # The rest of the record, as canonical JSON; read and written as a whole.
        sa.Column("body", sa.LargeBinary(), nullable=False),
        # Number of the change that wrote it, and a code over the row: what another hand wrote is seen.
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id", name="signing_keys_pk"),
    )
    op.create_index(
        "signing_keys_by_rotation",
        "signing_keys",
        ["next_rotation_us"],
        sqlite_where=sa.text("next_rotation_us IS NOT NULL"),
        postgresql_where=sa.text("next_rotation_us IS NOT NULL"),
    )
    op.create_table(
        "signing_versions",
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("key_id", sa.String(63), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("destroy_time_us", sa.BigInteger(), nullable=True),
        # The private key, encrypted; NULL: there is none, or it was destroyed.
        sa.Column("envelope", sa.LargeBinary(), nullable=True),
        sa.Column("kek", sa.String(32), nullable=True),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "key_id", "version", name="signing_versions_pk"),
    )
    op.create_index(
        "signing_versions_by_destruction",
        "signing_versions",
        ["destroy_time_us"],
        sqlite_where=sa.text("destroy_time_us IS NOT NULL"),
        postgresql_where=sa.text("destroy_time_us IS NOT NULL"),
    )
    op.create_index(
        "signing_versions_by_fingerprint", "signing_versions", ["tenant", "fingerprint"]
    )
    op.create_index("signing_versions_by_kek", "signing_versions", ["kek"])
    op.create_table(
        "signing_changes",
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("key_id", sa.String(63), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("create_time_us", sa.BigInteger(), nullable=False),
        sa.Column("expire_time_us", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id", name="signing_changes_pk"),
    )
    op.create_index("signing_changes_by_key", "signing_changes", ["tenant", "key_id", "id"])
    op.create_index(
        "signing_changes_pending",
        "signing_changes",
        ["tenant", "expire_time_us"],
        sqlite_where=sa.text("state = 'PENDING'"),
        postgresql_where=sa.text("state = 'PENDING'"),
    )
    op.create_table(
        "signing_wrapping_keys",
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("creator", sa.String(100), nullable=False),
        sa.Column("algorithm", sa.String(40), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("kek", sa.String(32), nullable=False),
        sa.Column("expire_time_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id", name="signing_wrapping_keys_pk"),
    )
    op.create_index("signing_wrapping_keys_by_time", "signing_wrapping_keys", ["expire_time_us"])
    # Key-encryption keys: how each is had, and a check by which a wrong one is told. Never the key itself.
    op.create_table(
        "signing_keks",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("create_time_us", sa.BigInteger(), nullable=False),
        sa.Column("retire_time_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="signing_keks_pk"),
    )
    # A sum over all rows of keys, versions and changes, which the audit tells with each change: rows that were
    # put back from an older copy give another one.
    op.create_table(
        "signing_sums",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("total", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="signing_sums_pk"),
    )
    # The keys that sign the audit's tree heads, in order; the entry of the audit says the rest.
    op.create_table(
        "audit_keys",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("previous_key_id", sa.String(64), nullable=False),
        sa.Column("idx", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="audit_keys_pk"),
    )
    op.execute("INSERT INTO counters (name, value) VALUES ('signing', 0)")
