"""Who calls: bearer tokens, looked up by their hash, and the role that a method asks for.

What was looked up is kept until the store changes, which is asked four times a second: a call costs
a dictionary look-up, and a token revoked by another process is refused within a quarter of a
second. Python hashes the dictionary's keys with a secret of the process, so the look-up's time
tells a caller nothing either.
"""

import threading
import time

from ketgate_server.errors import KetgateError, Reason
from ketgate_server.rpc.call import Identity
from ketgate_server.store.base import StoreUnavailable
from ketgate_server.tokens import TokenStore

CHECK_INTERVAL_S = 0.25
TOKENS_CACHED_MAX = 4096
HEADER_CHARACTERS_MAX = 1024

_INVALID = "the token is unknown, expired or revoked; expected `authorization: Bearer TOKEN`"


class Authenticator:
    """Turns an authorization header into an Identity."""

    def __init__(self, store: TokenStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Identity, float]] = {}
        self._revision = store.revision()
        self._checked_s = time.time()

    def asks_store(self, authorization: str | None) -> bool:
        """Whether identify would ask the store now, which may take as long as the database is away."""
        if authorization is None:
            return False
        since_s = time.time() - self._checked_s
        return not 0 <= since_s <= CHECK_INTERVAL_S or authorization not in self._known

    def identify(self, authorization: str | None) -> Identity:
        """Raises KetgateError TOKEN_MISSING or TOKEN_INVALID. An unknown, an expired and a revoked
        one look alike."""
        if authorization is None:
            raise KetgateError(
                Reason.TOKEN_MISSING,
                "the call carries no token; send the metadata `authorization: Bearer TOKEN`",
            )
        now_s = time.time()
        if now_s - self._checked_s > CHECK_INTERVAL_S or now_s < self._checked_s:
            self._forget_if_changed(now_s)
        known = self._known.get(authorization)
        if known is None:
            known = self._look_up(authorization)
        if known is None or now_s >= known[1]:
            raise KetgateError(Reason.TOKEN_INVALID, _INVALID)
        return known[0]

    def _look_up(self, authorization: str) -> tuple[Identity, float] | None:
        if len(authorization) > HEADER_CHARACTERS_MAX or authorization[:7].lower() != "bearer ":
            return None
        secret = authorization[7:].strip()
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
            self._known[authorization] = known
            return known

    def _forget_if_changed(self, now_s: float) -> None:
        with self._lock:
            self._checked_s = now_s
            try:
                revision = self._store.revision()
            except StoreUnavailable:
                return  # what was looked up stands while the store cannot be asked
            if revision != self._revision:
                self._revision = revision
                self._known.clear()
