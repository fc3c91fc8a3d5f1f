"""The database of a simulation: SQLite in memory behind the real transactions and the real writer of
batches, with a store for each server. Commits fail, or succeed and are not told of."""

import random
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ketgate_server.store import database
from ketgate_server.store.base import BatchOperation, Operation, Reader, Row, StoreUnavailable
from ketgate_server.store.batch import Pending, run_batch
from ketgate_server.store.clock import Clock
from ketgate_server.store.sqlite import _Transaction

from .world import MS, SECOND, Process, World

_SCHEMA = Path(database.__file__).with_name("schema.sql")


@dataclass
class Faults:
    """How often what goes wrong; all 0 when a history comes to rest."""

    crash_before_commit: float = 0.0
    crash_after_commit: float = 0.0
    refuse_commit: float = 0.0
    """A full disk: nothing is stored."""
    lose_reply: float = 0.0
    """Stored, but the server sees a lost connection."""
    refuse_read: float = 0.0
    crash: float = 0.0
    """A server dies, at any time, a second."""
    freeze: float = 0.0
    """A server stands still, for longer than a lease, a second."""
    clock_back: float = 0.0
    """The database's clock is set back, a second, and servers are told only by a transaction."""
    drop: float = 0.0
    duplicate: float = 0.0
    """Of a message between client and server."""
    bad_attempt: float = 0.0
    """An attempt fails, is lost, or does not hear that it is to stop."""


CALM = Faults()


class Transaction(_Transaction):
    """The real one, over a connection that is never given up."""

    def __init__(self, connection: sqlite3.Connection, clock: Clock) -> None:
        super().__init__(Path(":memory:"), connection, clock)
        self.server: Process | None = None
        self.fault: Callable[[Process], str] = lambda server: ""
        self.committed: Callable[[], None] = lambda: None

    def commit(self) -> None:
        assert self.server is not None
        fault = self.fault(self.server)
        if fault == "refuse":
            raise StoreUnavailable("the disk is full")
        if fault == "crash before":
            self.server.kill()
            raise StoreUnavailable("it died")  # told to the dead
        super().commit()
        self.committed()
        if fault == "lose":
            raise StoreUnavailable("the connection broke", uncertain=True)
        if fault == "crash after":
            self.server.kill()

    def unavailable(self, error: Exception, *, committing: bool) -> StoreUnavailable | None:
        return error if isinstance(error, StoreUnavailable) else None


class Database:
    def __init__(self, world: World, faults: Faults) -> None:
        self.world = world
        self.faults = faults
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        for statement in _SCHEMA.read_text(encoding="utf-8").split(";\n"):
            self.connection.execute(statement)
        self.set_back_us = 0
        self.transaction = Transaction(
            self.connection, Clock(lambda: world.now_us - self.set_back_us)
        )
        self.transaction.fault = self._fault

    def write(self, server: Process, batch: Sequence[Pending]) -> None:
        """One transaction of a server. Those of all servers are serial."""
        self.transaction.server = server
        run_batch(self.transaction, batch)

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        return self.connection.execute(sql, parameters).fetchall()

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> Row | None:
        found: Row | None = self.connection.execute(sql, parameters).fetchone()
        return found

    def _fault(self, server: Process) -> str:
        faults, world = self.faults, self.world
        for name, probability in (
            ("crash before", faults.crash_before_commit),
            ("crash after", faults.crash_after_commit),
            ("refuse", faults.refuse_commit),
            ("lose", faults.lose_reply),
        ):
            if world.chance(probability):
                world.log(f"{server.name}: commit: {name}")
                return name
        return ""


class _Gate:
    """Stands for the lock that a thread would wait for."""

    def __init__(self, release: Callable[[], None]) -> None:
        self.release = release


class SimulatedStore:
    """The store as a server sees it. A task that runs an operation waits, as a thread would, while
    others go on; what waits together is committed together."""

    dialect = "simulated"

    def __init__(self, database: Database, server: Process, skew_us: float) -> None:
        self._database = database
        self._server = server
        self._skew_us = round(skew_us)
        self._queue: list[Pending] = []
        self._random = random.Random(database.world.random.random())

    def run(self, operation: Operation[Any]) -> Any:
        return self._run(operation, None, batched=False)

    def run_batched(self, operation: BatchOperation[Any, Any], item: Any) -> Any:
        return self._run(operation, item, batched=True)

    def submit(self, operation: Operation[Any]) -> None:
        pending = Pending(None)
        pending.operation = operation
        self._put(pending)

    @property
    def has_room(self) -> bool:
        return not self._database.world.chance(0.1)

    @contextmanager
    def read(self) -> Iterator[Reader]:
        world = self._database.world
        world.sleep(world.between(0, 2 * MS))
        if world.chance(self._database.faults.refuse_read):
            raise StoreUnavailable("the connection broke")
        yield self._database

    def now_us(self) -> int:
        return self._database.transaction._clock.now_us() + self._skew_us

    def close(self) -> None: ...

    def _run(self, operation: Callable[..., Any], item: Any, *, batched: bool) -> Any:
        world = self._database.world

        def register(resume: Callable[[Any], None]) -> None:
            pending = Pending(_Gate(lambda: resume(pending)))
            pending.operation, pending.item, pending.batched = operation, item, batched
            self._put(pending)

        done: Pending = world.wait(register)
        if done.error is not None:
            raise done.error
        return done.result

    def _put(self, pending: Pending) -> None:
        world = self._database.world
        self._queue.append(pending)
        slow = 3 * SECOND if world.chance(0.01) else 3 * MS
        world.later(world.between(0, slow), self._write)

    def _write(self) -> None:
        frozen_us = self._server.frozen_until_us - self._database.world.now_us
        if frozen_us > 0:
            self._database.world.later(frozen_us, self._write)
        elif self._queue and self._server.alive:
            batch, self._queue = self._queue, []
            self._database.write(self._server, batch)
