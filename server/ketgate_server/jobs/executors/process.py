"""A worker that is a process: started when first needed, used again, and begun anew when it died.

It ends with the server, however that ends: its channel closes, and the system is asked to kill it
with the thread that started it.
"""

import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ketgate.jobs.v1 import job_pb2 as pb

from ketgate_server.jobs.base import Ending, JobKind
from ketgate_server.jobs.executors.attempt import Attempt, Surroundings
from ketgate_server.jobs.executors.channel import Channel, Closed, keep, unpack
from ketgate_server.jobs.executors.slots import WorkerDied

PROGRAM = "ketgate_server.jobs.executors.worker"
PERFORMER = "ketgate_server.jobs.executors.attempt:perform_entry"
END_TIMEOUT_S = 1.0
"""For a process whose channel is closed to be gone by itself."""


class ProcessWorker:
    """Implements slots.Worker. run() is called from one thread, which must live as long as the
    worker."""

    def __init__(
        self,
        surroundings: Surroundings,
        performer: str = PERFORMER,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """performer: "module:function" of what the process does with an attempt:
        ``perform(attempt, options) -> ending``."""
        self._begin = ("begin", surroundings, performer, dict(options or {}))
        self._lock = threading.Lock()
        self._channel: Channel | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._number = 0
        self._closed = False

    @property
    def pid(self) -> int | None:
        """Of the process; None before it is needed."""
        return self._process.pid if self._process else None

    def run(self, kind: JobKind, attempt: Attempt) -> Ending:  # noqa: ARG002 - it knows by the entry
        self._number += 1
        number, work = self._number, attempt.work
        try:
            channel = self._ready()
            order = replace(work, spec=b"", remaining_s=attempt.remaining_s())
            channel.send(("run", number, order), work.spec)
            attempt.on_stop(lambda: _tell(channel, ("stop", number)))
            while True:
                message, content = channel.receive()
                ending = self._heard(message, content, attempt)
                if ending is not None:
                    return ending
        except Closed:
            raise WorkerDied(self._bury()) from None

    def interrupt(self) -> None:
        with self._lock:
            self._closed = True
            if self._channel is not None:
                self._channel.end()

    def close(self) -> None:
        with self._lock:
            self._closed = True
        if self._channel is not None:
            self._bury()

    def _ready(self) -> Channel:
        """The channel to a process that lives, as far as is known."""
        with self._lock:
            if self._closed:
                raise WorkerDied("the server is stopping")
            if self._process is not None and self._process.poll() is None:
                assert self._channel is not None
                return self._channel
            if self._channel is not None:
                self._channel.close()  # it died between two attempts, which harmed nobody
                self._channel = None
            self._channel, other = Channel.pair()
            with other:
                descriptor = other.fileno()
                self._process = subprocess.Popen(  # noqa: S603 - this program
                    [sys.executable, "-m", PROGRAM, str(descriptor)],
                    pass_fds=[descriptor],
                    stdin=subprocess.DEVNULL,
                )
            self._channel.send(self._begin)
            return self._channel

    def _heard(
        self, message: tuple[Any, ...], content: bytes | None, attempt: Attempt
    ) -> Ending | None:
        """The ending, if the message is that."""
        match message:
            case ("checkpoint", number, handle) if number == self._number:
                assert self._channel is not None
                self._channel.send(("kept", number, keep(attempt, handle)))
            case ("progress", number, progress) if number == self._number:
                attempt.progress(pb.JobProgress.FromString(progress))
            case ("log", name, level, text):
                logging.getLogger(name).log(level, "%s", text)
            case ("end", number, packed) if number == self._number:
                return unpack(packed, content)
        return None

    def _bury(self) -> str:
        """End it, if it did not by itself, and say how it ended, in words."""
        with self._lock:
            channel, self._channel = self._channel, None
            process, self._process = self._process, None
            closed = self._closed
        assert channel is not None
        channel.end()
        channel.close()
        if process is None:  # it could not be started
            return "no process could be started"
        try:
            status = process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        if closed:
            return "the server is stopping"
        if status < 0:
            return f"its process was ended by signal {-status}, {signal.strsignal(-status)}"
        return f"its process exited with status {status}"


def _tell(channel: Channel, message: tuple[Any, ...]) -> None:
    try:
        channel.send(message)
    except Closed:  # whoever reads the channel sees that too
        pass
