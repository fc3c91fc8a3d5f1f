"""What servers that share a PostgreSQL database tell each other: that one of them has committed a
revision. LISTEN and NOTIFY, on a connection of its own.

A notice may be missed, while the connection is lost or where something in between does not pass them
on, so whoever listens looks for himself now and then as well.
"""

import logging
import os
import select
import threading
from collections.abc import Callable

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ketgate_server.store.base import Row, StoreUnavailable
from ketgate_server.store.postgres_connection import Door

CHANNEL = "ketgate_revisions"
RETRY_S = 1.0
"""Between attempts to listen again; until then everybody looks for himself."""

_KEEPALIVES = {"keepalives_idle": "10", "keepalives_interval": "5", "keepalives_count": "3"}
"""Nothing is sent on this connection, so that its other end is gone would else go unnoticed."""

_log = logging.getLogger(__name__)


def notify(sender: str) -> str:
    """The statement that tells the others, once it is committed. sender: letters and digits."""
    return f"NOTIFY {CHANNEL}, '{sender}'"


class Notices:
    """start(), then close()."""

    def __init__(self, url: str, own: str, callback: Callable[[], None]) -> None:
        """own: what this server sends, which is no news to it. callback: called, on a thread of its
        own, for every notice of another and whenever some may have been missed."""
        self._door = Door(make_conninfo(url, **{**_KEEPALIVES, **conninfo_to_dict(url)}))
        self._own = own.encode()
        self._callback = callback
        self._end, self._ender = os.pipe()
        self._thread = threading.Thread(target=self._run, name="store-notices", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        os.close(self._ender)
        self._thread.join()
        os.close(self._end)

    def _run(self) -> None:
        while True:
            try:
                with self._door.connect() as connection:
                    if self._follow(connection):
                        return
            except (StoreUnavailable, psycopg.Error) as error:
                _log.info("notices of other servers are missed for a while: %s", error)
            if self._wait(None, RETRY_S):
                return

    def _follow(self, connection: "psycopg.Connection[Row]") -> bool:
        """Listen until the end, which is True, or the connection is lost, which raises."""
        connection.execute(f"LISTEN {CHANNEL}")
        self._callback()  # for what was committed before
        wire = connection.pgconn
        while not self._wait(connection.fileno(), None):
            wire.consume_input()
            while (notice := wire.notifies()) is not None:
                if notice.extra != self._own:
                    self._callback()
        return True

    def _wait(self, readable: int | None, timeout_s: float | None) -> bool:
        """Until something can be read, or the end, which is True."""
        poll = select.poll()  # select.select takes no numbers above 1,023
        for file in (self._end, readable):
            if file is not None:
                poll.register(file, select.POLLIN)
        ready = poll.poll(None if timeout_s is None else 1000 * timeout_s)
        return any(file == self._end for file, _ in ready)
