"""Work at providers: handles, polls, and how long it is followed. Fences get a counter of their own,
as a poll has one and no revision."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_READY = "end_time_us IS NULL AND wake_time_us IS NULL AND lease_time_us IS NULL"
_DUE = "deadline_us IS NOT NULL AND state = 1 AND outside_until_us IS NULL"
_OUTSIDE = "outside_until_us IS NOT NULL"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("outside_until_us", sa.BigInteger()))
    for name in ("jobs_ready", "jobs_due"):
        op.drop_index(name, "jobs")
    _index("jobs_ready", ["kind", "tenant", "state DESC", "priority DESC", "seq"], _READY)
    _index("jobs_due", ["deadline_us"], _DUE)
    _index("jobs_outside", ["outside_until_us"], _OUTSIDE)
    op.create_table(
        "job_handles",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("handle", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="job_handles_pk"),
    )
    # They rise on from those that attempts under way have.
    op.execute(
        "INSERT INTO counters (name, value) SELECT 'fence', value FROM counters"
        " WHERE name = 'revision'"
    )


def _index(name: str, columns: list[str], where: str) -> None:
    op.create_index(
        name,
        "jobs",
        [sa.literal_column(column) for column in columns],
        sqlite_where=sa.text(where),
        postgresql_where=sa.text(where),
    )
