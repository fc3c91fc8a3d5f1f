"""Messages between a server and its worker processes: small ones in one packet, large bytes through
shared memory.

The memory has no name (memfd): its descriptor travels with the packet, so it is gone with the last
who holds it, however that one ends. Both ends are this program, so packets are pickles.
"""

import logging
import mmap
import os
import pickle
import socket
import threading
from collections.abc import Callable
from typing import Any

from ketgate_server.errors import KetgateError, Reason
from ketgate_server.jobs.base import Ending, Fault, Outcome

PACKET_BYTES_MAX = 128 << 10
"""Below what a socket takes at once by default."""
LOG_CHARACTERS_MAX = 8_000
MESSAGE_CHARACTERS_MAX = 2_000
INLINE_BYTES_MAX = 64 << 10
"""Bytes that are longer go through shared memory."""


class Closed(Exception):  # noqa: N818 - a state of the channel
    """The other end is gone."""


class Channel:
    """One end. send may be called from any thread, receive from one."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._sending = threading.Lock()

    @staticmethod
    def pair() -> tuple["Channel", socket.socket]:
        """This end, and the socket for the other process."""
        own, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return Channel(own), other

    def send(self, message: tuple[Any, ...], content: bytes | None = None) -> None:
        """Raises Closed; OSError when there is no memory for content."""
        memory = -1
        if content is not None and len(content) > INLINE_BYTES_MAX:
            memory = _share(content)
            content = None
        packet = pickle.dumps((message, content), pickle.HIGHEST_PROTOCOL)
        try:
            with self._sending:
                socket.send_fds(self._socket, [packet], [memory] if memory >= 0 else [])
        except OSError as error:  # there, or here
            raise Closed from error
        finally:
            if memory >= 0:
                os.close(memory)

    def receive(self) -> tuple[tuple[Any, ...], bytes | None]:
        """The next message, and its content. Raises Closed."""
        try:
            packet, descriptors, _, _ = socket.recv_fds(self._socket, PACKET_BYTES_MAX, 1)
        except OSError as error:
            raise Closed from error
        if not packet:
            raise Closed
        message, content = pickle.loads(packet)  # noqa: S301 - from this program itself
        for memory in descriptors:
            content = _take(memory)
        return message, content

    def end(self) -> None:
        """Close both ways; who waits in receive, here or there, gets Closed."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:  # the other end is gone already
            pass

    def close(self) -> None:
        self._socket.close()


def _share(content: bytes) -> int:
    """A descriptor of anonymous memory with the content."""
    memory = os.memfd_create("ketgate", os.MFD_CLOEXEC)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(memory, view) :]
    except BaseException:
        os.close(memory)
        raise
    return memory


def _take(memory: int) -> bytes:
    try:
        with mmap.mmap(memory, 0, prot=mmap.PROT_READ) as shared:
            return shared[:]
    finally:
        os.close(memory)


class LogSender(logging.Handler):
    """Passes on what is logged in a worker, as ("log", name, level, text): the server writes it as its
    own."""

    def __init__(self, send: Callable[[tuple[Any, ...]], None]) -> None:
        super().__init__()
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)[:LOG_CHARACTERS_MAX]
        try:
            self._send(("log", record.name, record.levelno, text))
        except Closed:
            pass


def pack(ending: Ending) -> dict[str, Any]:
    """An ending without its result, as plain values: an exception is not unpickled as it was."""
    error = ending.error
    return {
        "outcome": ending.outcome.value,
        "fault": ending.fault.value if ending.fault else None,
        "artifacts": list(ending.artifacts),
        "error": None
        if error is None
        else {
            "reason": error.reason.value,
            "message": error.message[:MESSAGE_CHARACTERS_MAX],
            "field": error.field,
            "limit": error.limit,
            "retry_after_s": error.retry_after_s,
            "metadata": error.metadata,
        },
    }


def unpack(packed: dict[str, Any], result: bytes | None) -> Ending:
    error = packed["error"]
    if error is not None:
        error = KetgateError(
            Reason(error["reason"]), **{k: error[k] for k in error.keys() - {"reason"}}
        )
    fault = packed["fault"]
    return Ending(
        Outcome(packed["outcome"]),
        result=result,
        fault=Fault(fault) if fault else None,
        error=error,
        artifacts=packed["artifacts"],
    )
