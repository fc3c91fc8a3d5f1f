"""What work at providers cost, by tenant and job: the accounts by which caps of cost hold."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "quantum_charges",
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("job", sa.String(32), nullable=False),
        sa.Column("time_us", sa.BigInteger(), nullable=False),
        sa.Column("asset", sa.String(64), nullable=False),
        sa.Column("minor_units", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "job", name="quantum_charges_pk"),
    )
    op.create_index("quantum_charges_by_time", "quantum_charges", ["tenant", "time_us"])
