"""Tokens: who may call, kept as hashes."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tokens",
        sa.Column("uid", sa.Integer, nullable=False),
        sa.Column("secret_sha256", sa.String(64), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("roles", sa.Text, nullable=False),
        sa.Column("create_time_us", sa.BigInteger, nullable=False),
        sa.Column("expire_time_us", sa.BigInteger),
        sa.Column("revoke_time_us", sa.BigInteger),
        sa.PrimaryKeyConstraint("uid", name="tokens_pk"),
        sa.UniqueConstraint("secret_sha256", name="tokens_secret_unique"),
    )
    op.create_index(
        "tokens_name_live",
        "tokens",
        ["name"],
        unique=True,
        sqlite_where=sa.text("revoke_time_us IS NULL"),
        postgresql_where=sa.text("revoke_time_us IS NULL"),
    )
