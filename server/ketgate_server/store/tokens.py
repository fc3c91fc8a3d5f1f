"""Bearer tokens: made, listed, revoked and looked up. Only the hash of a secret is kept.

Secrets are 256 random bits, so one SHA-256 is enough: there is nothing to guess, and a lookup by
the hash has no comparison whose time could tell a caller anything.
"""

import hashlib
import re
import secrets
import sqlite3
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ketgate_server.store.database import open_database
from ketgate_server.store.errors import TokenError

ROLES = {
    "admin": "Everything.",
    "artifacts.user": "Upload, read and delete artifacts.",
    "audit.reader": "Read the audit log: payloads of the own tenant, proofs of all.",
    "jobs.user": "Create, read, watch, cancel and delete jobs; a job also needs the role of its work.",
    "optimization.user": "Solve problems and list the solvers.",
    "server.reader": "Read what the server is and can do.",
}
"""Every role, and what it allows."""

DEFAULT_ROLES = ("optimization.user", "jobs.user", "artifacts.user")
"""Of a token that is made without naming any: ordinary work."""

SECRET_PREFIX = "kg_"  # noqa: S105
TOKENS_MAX = 10_000
EXPIRES_IN_S_MAX = 100 * 365 * 86_400

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}")
_TENANT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_INSERT = """INSERT INTO tokens
    (secret_sha256, name, tenant, roles, create_time_us, expire_time_us, revoke_time_us)
    VALUES (?, ?, ?, ?, ?, ?, ?)"""
_SELECT = "SELECT name, tenant, roles, create_time_us, expire_time_us, revoke_time_us FROM tokens "


@dataclass(frozen=True)
class TokenRecord:
    """A token without its secret. Times are in UTC."""

    name: str
    tenant: str
    roles: tuple[str, ...]
    create_time: datetime
    expire_time: datetime | None
    revoke_time: datetime | None

    def is_live(self, now_s: float) -> bool:
        """Whether the token is accepted at now_s, seconds since 1970."""
        if self.revoke_time is not None:
            return False
        return self.expire_time is None or now_s < self.expire_time.timestamp()


class TokenStore:
    """The tokens of a data folder. Several processes may have it open: a server, and a command
    beside it.

    >>> import tempfile
    >>> store = TokenStore.open(Path(tempfile.mkdtemp()))
    >>> secret, record = store.create("ci", expires_in_s=3600)
    >>> store.lookup(secret).name, store.lookup("wrong")
    ('ci', None)
    >>> store.close()
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._own_changes = 0

    @classmethod
    def open(cls, data_dir: Path) -> "TokenStore":
        """Raises StoreError when the store cannot be opened; makes it if there is none."""
        return cls(open_database(Path(data_dir)))

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def create(
        self,
        name: str,
        *,
        tenant: str = "default",
        roles: Sequence[str] = DEFAULT_ROLES,
        expires_in_s: float | None = None,
        secret: str | None = None,
    ) -> tuple[str, TokenRecord]:
        """Make a token. The secret is returned once and cannot be had again.

        name: 1 to 100 of letters, digits and . _ @ -; a revoked token's name may be given again.
        expires_in_s: None for never. secret: one made with new_secret(), when it had to be written
        somewhere first. Raises TokenError for a name that is taken, a role that does not exist, or
        values out of range.
        """
        _check(name, tenant, roles, expires_in_s)
        secret = secret or new_secret()
        now_us = time.time_ns() // 1000
        expire_us = None if expires_in_s is None else now_us + round(expires_in_s * 1e6)
        row = (name, tenant, " ".join(dict.fromkeys(roles)), now_us, expire_us, None)
        with self._lock:
            if self._count() >= TOKENS_MAX:
                raise TokenError(
                    f"there are {TOKENS_MAX} tokens already; revoked ones count: they are the record"
                )
            try:
                self._connection.execute(_INSERT, (_hash(secret), *row))
            except sqlite3.IntegrityError as error:
                raise TokenError(
                    f"there is a token named {name!r} already; choose another name, or revoke that one first"
                ) from error
            self._own_changes += 1
        return secret, _record(row)

    def list(self) -> list[TokenRecord]:
        """All tokens, the revoked and the expired too, oldest first."""
        with self._lock:
            rows = self._connection.execute(_SELECT + "ORDER BY uid").fetchall()
        return [_record(row) for row in rows]

    def revoke(self, name: str) -> TokenRecord:
        """Revoke the token of this name; running servers refuse it within a second. Revoking twice
        changes nothing.

        Raises TokenError when there never was one.
        """
        with self._lock:
            changed = self._connection.execute(
                "UPDATE tokens SET revoke_time_us = ? WHERE name = ? AND revoke_time_us IS NULL",
                (time.time_ns() // 1000, name),
            ).rowcount
            self._own_changes += changed
            row = self._connection.execute(
                _SELECT + "WHERE name = ? ORDER BY uid DESC LIMIT 1", (name,)
            ).fetchone()
        if row is None:
            raise TokenError(
                f"there is no token named {name[:100]!r}; `ketgate token list` shows all"
            )
        return _record(row)

    def lookup(self, secret: str) -> TokenRecord | None:
        """The token with this secret, in whatever state it is; None for an unknown one."""
        with self._lock:
            row = self._connection.execute(
                _SELECT + "WHERE secret_sha256 = ?", (_hash(secret),)
            ).fetchone()
        return _record(row) if row else None

    def revision(self) -> tuple[int, int]:
        """Changes whenever the database was changed, by this process or another. Costs
        microseconds."""
        with self._lock:
            return self._connection.execute("PRAGMA data_version").fetchone()[0], self._own_changes

    def is_empty(self) -> bool:
        """Whether no token was ever made."""
        with self._lock:
            return self._count() == 0

    def _count(self) -> int:
        count: int = self._connection.execute("SELECT count(*) FROM tokens").fetchone()[0]
        return count


def new_secret() -> str:
    """A fresh secret: kg_ and 32 random bytes in base64url."""
    return SECRET_PREFIX + secrets.token_urlsafe(32)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _check(name: str, tenant: str, roles: Sequence[str], expires_in_s: float | None) -> None:
    if not _NAME.fullmatch(name):
        raise TokenError(
            f"the name of a token is 1 to 100 letters, digits and . _ @ -, starting with a letter or digit; "
            f"given {name[:100]!r}"
        )
    if not _TENANT.fullmatch(tenant):
        raise TokenError(f"a tenant is 1 to 63 of a-z, 0-9 and -; given {tenant[:100]!r}")
    if isinstance(roles, str) or not roles:
        raise TokenError(f"a token needs a list of roles, at least one of: {', '.join(ROLES)}")
    for role in roles:
        if role not in ROLES:
            raise TokenError(f"there is no role {role[:100]!r}; the roles are: {', '.join(ROLES)}")
    # Written so that NaN fails too.
    if expires_in_s is not None and not 0 < expires_in_s <= EXPIRES_IN_S_MAX:
        raise TokenError(
            f"expires_in_s must be above 0 and at most {EXPIRES_IN_S_MAX}; given {expires_in_s}"
        )


def _record(row: tuple[str, str, str, int, int | None, int | None]) -> TokenRecord:
    name, tenant, roles, create_us, expire_us, revoke_us = row
    create = _time(create_us)
    assert create is not None
    return TokenRecord(
        name, tenant, tuple(roles.split()), create, _time(expire_us), _time(revoke_us)
    )


def _time(time_us: int | None) -> datetime | None:
    return None if time_us is None else datetime.fromtimestamp(time_us / 1e6, UTC)
