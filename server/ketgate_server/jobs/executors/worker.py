"""The program of a worker process: ``python -m ketgate_server.jobs.executors.worker DESCRIPTOR``.

It runs one attempt at a time, and imports what a kind needs when the first job of that kind comes.
It ends when the server closes the channel, or is gone.
"""

import logging
import os
import queue
import signal
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from ketgate.jobs.v1 import job_pb2 as pb

from ketgate_server.child import die_with_parent, give_back_memory
from ketgate_server.jobs.base import Ending
from ketgate_server.jobs.executors.attempt import Attempt, Surroundings, Work, resolve
from ketgate_server.jobs.executors.channel import (
    Channel,
    Closed,
    Kept,
    LogSender,
    pack,
    raise_unless_kept,
)

TRIM_BYTES = 1 << 20
"""After work on a spec or a result larger than this, memory is given back to the system."""


def main(descriptor: int) -> None:
    """Serve the channel on a socket's descriptor until it closes."""
    for number in (signal.SIGINT, signal.SIGTERM):
        # Meant for the server, though they may reach its whole group: it lets its work finish.
        signal.signal(number, signal.SIG_IGN)
    channel = Channel(socket.socket(fileno=descriptor))
    die_with_parent()
    log = logging.getLogger()
    log.addHandler(LogSender(channel.send))
    log.setLevel(logging.INFO)
    try:
        (_, surroundings, performer, options), _ = channel.receive()
    except Closed:
        return
    server = _Server(channel, surroundings, partial(resolve(performer), options=options))
    threading.Thread(target=server.listen, name="channel", daemon=True).start()
    server.work()


class _Server:
    """The attempt under way, and those who wait (at most one: the server sends the next after the
    end)."""

    def __init__(
        self, channel: Channel, surroundings: Surroundings, perform: Callable[[Attempt], Ending]
    ) -> None:
        self._channel = channel
        self._surroundings = surroundings
        self._perform = perform
        self._orders: queue.SimpleQueue[tuple[int, Attempt]] = queue.SimpleQueue()
        self._current: tuple[int, Attempt] | None = None
        self._answers: queue.SimpleQueue[Kept] = queue.SimpleQueue()
        """To the checkpoints of the attempt under way."""

    def listen(self) -> None:
        """Take orders, and end the process when nobody is there to give them."""
        while True:
            try:
                message, content = self._channel.receive()
            except Closed:
                os._exit(0)  # whatever the work's threads are at
            self._take(message, content or b"")

    def work(self) -> None:
        while True:
            number, attempt = self._orders.get()
            ending = self._perform(attempt)
            large = len(attempt.work.spec) + len(ending.result or b"") > TRIM_BYTES
            self._current = None
            del attempt
            try:
                self._channel.send(("end", number, pack(ending)), ending.result)
            except Closed:
                os._exit(0)
            del ending
            if large:
                give_back_memory()

    def _take(self, message: tuple[Any, ...], content: bytes) -> None:
        match message:
            case ("run", number, Work() as order):
                work = replace(order, spec=content)
                answers: queue.SimpleQueue[Kept] = queue.SimpleQueue()
                self._answers = answers

                def progress(told: pb.JobProgress) -> None:
                    self._channel.send(("progress", number, told.SerializeToString()))

                def checkpoint(handle: bytes) -> None:
                    self._channel.send(("checkpoint", number, handle))
                    raise_unless_kept(answers.get())

                attempt = Attempt(work, self._surroundings, progress, checkpoint)
                self._current = number, attempt
                self._orders.put((number, attempt))
            case ("kept", number, kept):
                current = self._current
                if current is not None and current[0] == number:
                    self._answers.put(kept)
            case ("stop", number):
                current = self._current
                if current is not None and current[0] == number:  # else it is over already
                    current[1].stop()


if __name__ == "__main__":
    main(int(sys.argv[1]))
