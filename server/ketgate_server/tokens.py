"""Bearer tokens: made, renewed, listed, revoked and looked up. Only the hash of a secret is kept.

Secrets are 256 random bits, so one SHA-256 is enough: there is nothing to guess, and a lookup by
the hash has no comparison whose time could tell a caller anything.
"""

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ketgate_server.audit.log import new_salt, record
from ketgate_server.roles import ROLES
from ketgate_server.store.base import Reader, Row, Store, Transaction
from ketgate_server.store.database import open_store
from ketgate_server.store.errors import TokenError

DEFAULT_ROLES = ("optimization.user", "quantum.user", "jobs.user", "artifacts.user")
"""Of a token that is made without naming any: ordinary work."""

SECRET_PREFIX = "kg_"  # noqa: S105
TOKENS_MAX = 10_000
EXPIRES_IN_S_MAX = 100 * 365 * 86_400

COUNTER = "tokens"
"""Rises with every change of tokens."""

COMMAND = "command"
"""Actor of what the operator's command does, beside the server."""

TokenRow = tuple[str, str, str, int, int | None, int | None]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}")
_TENANT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_INSERT = """INSERT INTO tokens
    (secret_sha256, name, tenant, roles, create_time_us, expire_time_us, revoke_time_us)
    VALUES (?, ?, ?, ?, ?, ?, ?)"""
_SELECT = "SELECT name, tenant, roles, create_time_us, expire_time_us, revoke_time_us FROM tokens "
_LAST = _SELECT + "WHERE name = ? ORDER BY uid DESC LIMIT 1"
_REVOKE = "UPDATE tokens SET revoke_time_us = ? WHERE name = ? AND revoke_time_us IS NULL"


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
    """The tokens of a store. Several processes may use it: servers, and a command beside them.

    >>> import tempfile
    >>> tokens = TokenStore.open(Path(tempfile.mkdtemp()))
    >>> secret, record = tokens.create("ci", expires_in_s=3600)
    >>> tokens.lookup(secret).name, tokens.lookup("wrong")
    ('ci', None)
    >>> tokens.close()
    """

    def __init__(self, store: Store, actor: str = COMMAND) -> None:
        """actor: who makes and revokes, for the audit."""
        self._store = store
        self._actor = actor

    @classmethod
    def open(cls, data_dir: Path, url: str | None = None) -> "TokenStore":
        """With a store of its own, made if there is none. Raises StoreError when it cannot be
        opened."""
        return cls(open_store(Path(data_dir), url))

    def close(self) -> None:
        """Close the store."""
        self._store.close()

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

        name: 1 to 100 of letters, digits and . _ @ -; one that no token ever had: policies of keys and
        the audit tell holders by it. expires_in_s: None for never. secret: one made with new_secret(),
        when it had to be written somewhere first. Raises TokenError for a name that was given before,
        a role that does not exist, or values out of range.
        """
        _check(name, tenant, roles)
        _check_expiry(expires_in_s)
        secret = secret or new_secret()
        digest, salt = _hash(secret), new_salt()
        given = " ".join(dict.fromkeys(roles))

        def operation(tx: Transaction) -> TokenRow:
            _check_room(tx)
            before = tx.row(_LAST, (name,))
            if before is not None:
                state = "is" if before[5] is None else "was"
                raise TokenError(
                    f"there {state} a token named {name!r} already, and policies may name it; choose another "
                    f"name, or give the same holder a new secret: `ketgate token renew {name}`"
                )
            expire_us = None if expires_in_s is None else tx.now_us + round(expires_in_s * 1e6)
            return self._enter(
                tx, (name, tenant, given, tx.now_us, expire_us, None), digest, "token.created", salt
            )

        return secret, _as_record(self._store.run(operation))

    def renew(self, name: str, *, expires_in_s: float | None = None) -> tuple[str, TokenRecord]:
        """A new secret for the holder of a name, with the same tenant and roles; the one until now is
        revoked, if it was not before.

        expires_in_s: None for as long as the one until now was made for. Raises TokenError when there
        never was one, or for values out of range.
        """
        _check_expiry(expires_in_s)
        secret = new_secret()
        digest, salt = _hash(secret), new_salt()

        def operation(tx: Transaction) -> TokenRow:
            _check_room(tx)
            _, tenant, given, create_us, expire_us, _ = _last(tx, name)
            life_us = None if expire_us is None else expire_us - create_us
            if expires_in_s is not None:
                life_us = round(expires_in_s * 1e6)
            tx.execute(_REVOKE, (tx.now_us, name))
            expire_us = None if life_us is None else tx.now_us + life_us
            return self._enter(
                tx, (name, tenant, given, tx.now_us, expire_us, None), digest, "token.renewed", salt
            )

        return secret, _as_record(self._store.run(operation))

    def _enter(
        self, tx: Transaction, row: TokenRow, digest: str, action: str, salt: bytes
    ) -> TokenRow:
        name, tenant, given, _, expire_us, _ = row
        tx.execute(_INSERT, (digest, *row))
        tx.take(COUNTER)
        facts = {"roles": given} | ({} if expire_us is None else {"expires": _text(expire_us)})
        self._record(tx, action, name, tenant, facts, salt)
        return row

    def list(self) -> list[TokenRecord]:
        """All tokens, the revoked and the expired too, oldest first."""
        with self._store.read() as reader:
            rows = reader.rows(_SELECT + "ORDER BY uid")
        return [_as_record(row) for row in rows]

    def revoke(self, name: str) -> TokenRecord:
        """Revoke the token of this name; running servers refuse it within a second. Revoking twice
        changes nothing.

        Raises TokenError when there never was one.
        """
        salt = new_salt()

        def operation(tx: Transaction) -> TokenRow:
            row = _last(tx, name)
            if row[5] is not None:
                return row
            tx.execute(_REVOKE, (tx.now_us, name))
            tx.take(COUNTER)
            self._record(tx, "token.revoked", name, row[1], {}, salt)
            return *row[:5], tx.now_us

        return _as_record(self._store.run(operation))

    def lookup(self, secret: str) -> TokenRecord | None:
        """The token with this secret, in whatever state it is; None for an unknown one."""
        with self._store.read() as reader:
            row = reader.row(_SELECT + "WHERE secret_sha256 = ?", (_hash(secret),))
        return _as_record(row) if row else None

    def revision(self) -> int:
        """Changes whenever tokens were changed, by this process or another."""
        with self._store.read() as reader:
            row = reader.row("SELECT value FROM counters WHERE name = ?", (COUNTER,))
        return row[0] if row else 0

    def is_empty(self) -> bool:
        """Whether no token was ever made."""
        with self._store.read() as reader:
            return _count(reader) == 0

    def _record(
        self,
        tx: Transaction,
        action: str,
        name: str,
        tenant: str,
        facts: dict[str, str],
        salt: bytes,
    ) -> None:
        resource = f"tokens/{name}"
        record(
            tx,
            actor=self._actor,
            tenant=tenant,
            action=action,
            resource=resource,
            facts=facts,
            salt=salt,
        )


def new_secret() -> str:
    """A fresh secret: kg_ and 32 random bytes in base64url."""
    return SECRET_PREFIX + secrets.token_urlsafe(32)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _last(reader: Reader, name: str) -> TokenRow:
    """The newest token of a name. Raises TokenError when there never was one."""
    row = reader.row(_LAST, (name,))
    if row is None:
        raise TokenError(f"there is no token named {name[:100]!r}; `ketgate token list` shows all")
    return row


def _check_room(reader: Reader) -> None:
    if _count(reader) >= TOKENS_MAX:
        raise TokenError(
            f"there are {TOKENS_MAX} tokens already; revoked ones count: they are the record"
        )


def _check(name: str, tenant: str, roles: Sequence[str]) -> None:
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


def _check_expiry(expires_in_s: float | None) -> None:
    # Written so that NaN fails too.
    if expires_in_s is not None and not 0 < expires_in_s <= EXPIRES_IN_S_MAX:
        raise TokenError(
            f"expires_in_s must be above 0 and at most {EXPIRES_IN_S_MAX}; given {expires_in_s}"
        )


def _count(reader: Reader) -> int:
    row = reader.row("SELECT count(*) FROM tokens")
    assert row is not None
    count: int = row[0]
    return count


def _as_record(row: TokenRow | Row) -> TokenRecord:
    name, tenant, roles, create_us, expire_us, revoke_us = row
    return TokenRecord(
        name,
        tenant,
        tuple(roles.split()),
        _time(create_us),
        None if expire_us is None else _time(expire_us),
        None if revoke_us is None else _time(revoke_us),
    )


def _time(time_us: int) -> datetime:
    return datetime.fromtimestamp(time_us / 1e6, UTC)


def _text(time_us: int) -> str:
    return _time(time_us).isoformat(timespec="seconds")
