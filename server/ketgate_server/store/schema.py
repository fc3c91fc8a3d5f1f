"""The tables, as SQLAlchemy sees them: what migrations are compared with. Imported only to migrate
and to test."""

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
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
# A name may be given again once its token is revoked; the revoked ones stay for the record.
Index(
    "tokens_name_live",
    tokens.c.name,
    unique=True,
    sqlite_where=tokens.c.revoke_time_us.is_(None),
    postgresql_where=tokens.c.revoke_time_us.is_(None),
)
