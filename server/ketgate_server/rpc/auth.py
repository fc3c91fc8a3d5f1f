"""Who calls: bearer tokens, looked up by their hash, and the role that a method asks for.

What was looked up is kept until the store changes, which is asked four times a second: a call costs
a hash and a dictionary look-up, and a token revoked by another process is refused within a quarter
of a second.
"""

import hashlib
import threading
import time

from ketgate_server.errors import KetgateError, Reason
from ketgate_server.rpc.call import Identity
from ketgate_server.store.tokens import TokenStore

ADMIN_ROLE = "admin"
CHECK_INTERVAL_S = 0.25
TOKENS_CACHED_MAX = 4096
HEADER_CHARACTERS_MAX = 1024

_INVALID = "the token is unknown, expired or revoked"


class Authenticator:
    """Turns an authorization header into an Identity."""

    def __init__(self, store: TokenStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._known: dict[bytes, tuple[Identity, float]] = {}
        self._revision = store.revision()
        self._checked_s = time.monotonic()

    def identify(self, authorization: str | None) -> Identity:
        """Raises KetgateError TOKEN_MISSING or TOKEN_INVALID. An unknown, an expired and a revoked
        one look alike."""
        if authorization is None:
            raise KetgateError(
                Reason.TOKEN_MISSING,
                "the call carries no token; send the metadata `authorization: Bearer TOKEN`",
            )
        if len(authorization) > HEADER_CHARACTERS_MAX or authorization[:7].lower() != "bearer ":
            raise KetgateError(
                Reason.TOKEN_INVALID, f"{_INVALID}: expected `authorization: Bearer TOKEN`"
            )
        secret = authorization[7:].strip()
        if time.monotonic() - self._checked_s > CHECK_INTERVAL_S:
            self._forget_if_changed()
        digest = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
        known = self._known.get(digest) or self._look_up(digest, secret)
        if known is None or time.time() >= known[1]:
            raise KetgateError(Reason.TOKEN_INVALID, _INVALID)
        return known[0]

    def _look_up(self, digest: bytes, secret: str) -> tuple[Identity, float] | None:
        # Reading and remembering under the lock that forgetting takes: what is remembered is never
        # older than that.
        with self._lock:
            record = self._store.lookup(secret)
            if record is None or not record.is_live(time.time()):
                return None
            expires_s = record.expire_time.timestamp() if record.expire_time else float("inf")
            known = Identity(record.name, record.tenant, frozenset(record.roles)), expires_s
            if len(self._known) >= TOKENS_CACHED_MAX:
                self._known.clear()
            self._known[digest] = known
            return known

    def _forget_if_changed(self) -> None:
        with self._lock:
            self._checked_s = time.monotonic()
            revision = self._store.revision()
            if revision != self._revision:
                self._revision = revision
                self._known.clear()


def require_role(identity: Identity, role: str, method: str) -> None:
    """Raises KetgateError ROLE_MISSING, naming the role. An empty role: any identity will do."""
    if role and role not in identity.roles and ADMIN_ROLE not in identity.roles:
        raise KetgateError(
            Reason.ROLE_MISSING,
            f"{method} needs the role {role!r}; the token {identity.subject!r} has "
            f"{', '.join(sorted(identity.roles))}",
            metadata={"role": role},
        )
