"""Estimates that are reserved while a provider is asked to take the work, so that jobs beside each other
keep a tenant's cap of cost together."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "quantum_reservations",
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("job", sa.String(32), nullable=False),
        sa.Column("time_us", sa.BigInteger(), nullable=False),
        sa.Column("asset", sa.String(64), nullable=False),
        sa.Column("minor_units", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "job", name="quantum_reservations_pk"),
    )
