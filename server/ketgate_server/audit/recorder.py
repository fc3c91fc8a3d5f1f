"""Entries about what has no effect of its own: refusals, failed logins, a server's start and end.

They are not waited for, apart from start and end. Whoever can be refused can be refused without
end, so what repeats is counted: of each kind the first few in ten seconds are entries, the rest are
one, with their number.
"""

import threading
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from typing import Generic, TypeVar

from ketgate_server.audit import log
from ketgate_server.audit.log import Checkpoint, Fact
from ketgate_server.store.base import Store, Transaction
from ketgate_server.store.errors import StoreError

WINDOW_S = 10.0
KINDS_MAX = 256
"""Different refusals told apart in a window; those beyond are counted together."""
REFUSALS_WRITTEN_MAX = 10
"""Of one kind in a window, one by one."""
LOGIN_FAILURES_WRITTEN_MAX = 1
VALUE_CHARACTERS_MAX = 200

STARTED, STOPPED = "server.started", "server.stopped"
LIFE = (STARTED, STOPPED)

UNKNOWN = "unknown"
SERVER = "server"
OTHERS = "others"

K = TypeVar("K", bound=Hashable)


class Recorder:
    """What the edge and the composition root call. Threads may share it. server: its name, for the
    entries about it."""

    def __init__(
        self,
        store: Store,
        server: str,
        clock: Callable[[], float] = time.monotonic,
        checkpoint: Checkpoint = lambda _: {},
    ) -> None:
        self._store = store
        self._server = server
        self._checkpoint = checkpoint
        self._clock = clock
        self._lock = threading.Lock()
        self._window_s = clock()
        self._failures: Thinning[tuple[str, str]] = Thinning(
            LOGIN_FAILURES_WRITTEN_MAX, lambda key: (OTHERS, key[1])
        )
        self._refusals: Thinning[tuple[str, str, str, str]] = Thinning(
            REFUSALS_WRITTEN_MAX, lambda key: (key[0], OTHERS, OTHERS, key[3])
        )

    def login_failed(self, peer: str, reason: str, method: str = "", call_id: str = "") -> None:
        """A stranger was turned away. peer: as gRPC names it, for example ipv4:192.0.2.1:4711."""
        host = host_of(peer)
        with self._lock:
            write = self._failures.offer((host, reason))
        if not write:
            return
        try:
            self._submit(_login_failed(host, reason, 1, method, call_id))
        except StoreError:
            with self._lock:
                self._failures.count((host, reason))

    def refused(
        self,
        *,
        actor: str,
        tenant: str,
        method: str,
        reason: str,
        resource: str = "",
        request_digest: bytes = b"",
        call_id: str = "",
    ) -> None:
        """A call that would have changed something was refused. resource: what the caller named."""
        kind = (tenant, actor, method, reason)
        with self._lock:
            write = self._refusals.offer(kind)
        if not write:
            return
        digest = request_digest
        try:
            self._submit(Fact(actor, tenant, method, cut(resource), reason, digest, call_id))
        except StoreError:
            with self._lock:
                self._refusals.count(kind)

    def tick(self) -> None:
        """Write down what was counted, when a window is over. To be called about once a second."""
        now_s = self._clock()
        with self._lock:
            if now_s - self._window_s < WINDOW_S:
                return
            self._window_s = now_s
            failures, refusals = self._failures.drain(), self._refusals.drain()
        try:
            self._submit(*_counted(failures, refusals))
        except StoreError:
            with self._lock:
                for host, count in failures.items():
                    self._failures.count(host, count)
                for kind, count in refusals.items():
                    self._refusals.count(kind, count)
            raise

    def server_started(self, facts: Mapping[str, str], *more: Fact) -> None:
        """The server starts: durable when this returns. more: entries that go with it."""
        about = {"server": self._server, **{name: cut(value) for name, value in facts.items()}}
        self._write(Fact(SERVER, "", STARTED, facts=about), *more)

    def server_stopped(self) -> None:
        """The server ends; what was counted is written down as well. Durable when this returns."""
        with self._lock:
            facts = _counted(self._failures.drain(), self._refusals.drain())
        self._write(*facts, Fact(SERVER, "", STOPPED, facts={"server": self._server}))

    def checkpoint(self) -> None:
        """Tell the state of what the log is to bear witness of, where it has one."""
        fact = Fact(SERVER, "", "audit.checkpoint")

        def operation(tx: Transaction) -> None:
            told = self._checkpoint(tx)
            if told:
                log.record_many(tx, (replace(fact, facts=told),))

        self._store.submit(operation)

    def _submit(self, *facts: Fact) -> None:
        if facts:
            self._store.submit(lambda tx: log.record_many(tx, facts))

    def _write(self, *facts: Fact) -> None:
        """Those of the server's start and end with the state that the log is to bear witness of."""

        def operation(tx: Transaction) -> int:
            told = self._checkpoint(tx)
            return log.record_many(
                tx,
                [
                    replace(fact, facts={**(fact.facts or {}), **told})
                    if fact.action in LIFE
                    else fact
                    for fact in facts
                ],
            )

        self._store.run(operation)


class Thinning(Generic[K]):
    """Lets the first few of each kind through, and counts the rest. others: the kind that one is
    counted as when there are KINDS_MAX already."""

    def __init__(self, written_max: int, others: Callable[[K], K]) -> None:
        self._written_max = written_max
        self._others = others
        self._let_through: dict[K, int] = {}
        self._counted: dict[K, int] = {}

    def offer(self, kind: K) -> bool:
        """Whether this one is to be written by itself; otherwise it was counted."""
        let_through = self._let_through.get(kind, 0)
        if let_through < self._written_max and (let_through or len(self._let_through) < KINDS_MAX):
            self._let_through[kind] = let_through + 1
            return True
        self.count(kind)
        return False

    def count(self, kind: K, number: int = 1) -> None:
        """Count what was not written by itself."""
        if kind not in self._counted and len(self._counted) >= KINDS_MAX:
            kind = self._others(kind)
        self._counted[kind] = self._counted.get(kind, 0) + number

    def drain(self) -> dict[K, int]:
        """How many of each kind were counted; from here on, all are new."""
        counted, self._counted, self._let_through = self._counted, {}, {}
        return counted


def host_of(peer: str) -> str:
    """A peer without its port, which is another for each connection."""
    kind, _, rest = peer.partition(":")
    host, _, port = rest.rpartition(":")
    host = host if port.isdigit() and host else rest
    return cut(f"{kind}:{host}" if host else peer)


def cut(text: str) -> str:
    """Text as an entry may hold it."""
    return text if len(text) <= VALUE_CHARACTERS_MAX else text[: VALUE_CHARACTERS_MAX - 1] + "…"


def _login_failed(host: str, reason: str, count: int, method: str = "", call_id: str = "") -> Fact:
    facts = {"peer": host, "count": str(count)}
    if method:
        facts["method"] = cut(method)
    return Fact(UNKNOWN, "", "login.failed", outcome=reason, call_id=call_id, facts=facts)


def _counted(
    failures: Mapping[tuple[str, str], int], refusals: Mapping[tuple[str, str, str, str], int]
) -> list[Fact]:
    entries = [_login_failed(host, reason, count) for (host, reason), count in failures.items()]
    for (tenant, actor, method, reason), count in refusals.items():
        entries.append(Fact(actor, tenant, method, outcome=reason, facts={"count": str(count)}))
    return entries
