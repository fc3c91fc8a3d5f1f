"""What one server of a store does at a time, and how far it is with it."""

from ketgate_server.store.base import Store, Transaction

_READ = "SELECT holder, until_us, position FROM leases WHERE name = ?"
_WRITE = """INSERT INTO leases (name, holder, until_us, position) VALUES (?, ?, ?, ?)
    ON CONFLICT (name) DO UPDATE
    SET holder = excluded.holder, until_us = excluded.until_us, position = excluded.position"""


class Lease:
    """A named lease. holder: name of this process among all of the store."""

    def __init__(self, store: Store, name: str, holder: str, length_us: int) -> None:
        self._store = store
        self._name = name
        self._holder = holder
        self._length_us = length_us

    def take(self) -> int | None:
        """Take or prolong the lease, and return the position; None: another has it.

        Nothing is written while more than half of it is left.
        """
        with self._store.read() as reader:
            row = reader.row(_READ, (self._name,))
        now_us = self._store.now_us()
        if row is not None:
            holder, until_us, position = row
            if holder == self._holder and until_us - now_us > self._length_us // 2:
                return int(position)
            if holder != self._holder and until_us > now_us:
                return None
        return self._store.run(self._prolong)

    def advance(self, position: int) -> bool:
        """Write a position, if this process still has the lease; it never goes back. Whether it
        has."""

        def operation(tx: Transaction) -> bool:
            holder, _, before = tx.row(_READ, (self._name,)) or ("", 0, 0)
            if holder != self._holder:
                return False
            until_us = tx.now_us + self._length_us
            tx.execute(_WRITE, (self._name, self._holder, until_us, max(position, before)))
            return True

        return self._store.run(operation)

    def give_up(self) -> None:
        """Let another have it at once."""

        def operation(tx: Transaction) -> None:
            holder, _, position = tx.row(_READ, (self._name,)) or ("", 0, 0)
            if holder == self._holder:
                tx.execute(_WRITE, (self._name, "", 0, position))

        self._store.run(operation)

    def _prolong(self, tx: Transaction) -> int | None:
        holder, until_us, position = tx.row(_READ, (self._name,)) or ("", 0, 0)
        if holder != self._holder and until_us > tx.now_us:
            return None
        tx.execute(_WRITE, (self._name, self._holder, tx.now_us + self._length_us, position))
        return int(position)
