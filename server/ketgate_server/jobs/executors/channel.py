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
from typing import Any, Literal, Protocol

from ketgate.jobs.v1 import job_pb2 as pb

from ketgate_server.errors import KetgateError, Reason
from ketgate_server.jobs.base import Ending, Fault, Outcome
from ketgate_server.jobs.faults import Stopped, internal

PACKET_BYTES_MAX = 128 << 10
"""Below what a socket takes at once by default."""
LOG_CHARACTERS_MAX = 8_000
MESSAGE_CHARACTERS_MAX = 2_000
INLINE_BYTES_MAX = 32 << 10
"""Bytes that are longer go through shared memory. Beside them there is room for a handle."""


log = logging.getLogger("ketgate.jobs")


class Checkpoints(Protocol):
    """The part of an attempt that keeps handles."""

    def checkpoint(self, handle: bytes) -> None: ...


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
        "error": None if error is None else pack_error(error),
        "handle": ending.handle,
        "poll_after_s": ending.poll_after_s,
        "progress": None if ending.progress is None else ending.progress.SerializeToString(),
    }


def unpack(packed: dict[str, Any], result: bytes | None) -> Ending:
    error, fault, progress = packed["error"], packed["fault"], packed["progress"]
    return Ending(
        Outcome(packed["outcome"]),
        result=result,
        fault=Fault(fault) if fault else None,
        error=None if error is None else unpack_error(error),
        artifacts=packed["artifacts"],
        handle=packed["handle"],
        poll_after_s=packed["poll_after_s"],
        progress=None if progress is None else pb.JobProgress.FromString(progress),
    )


def pack_error(error: KetgateError) -> dict[str, Any]:
    return {
        "reason": error.reason.value,
        "message": error.message[:MESSAGE_CHARACTERS_MAX],
        "field": error.field,
        "limit": error.limit,
        "retry_after_s": error.retry_after_s,
        "metadata": error.metadata,
    }


def unpack_error(packed: dict[str, Any]) -> KetgateError:
    return KetgateError(
        Reason(packed["reason"]), **{k: packed[k] for k in packed.keys() - {"reason"}}
    )


Kept = dict[str, Any] | Literal["stopped"] | None
"""What came of a checkpoint: None when the handle is kept, "stopped", or an error, packed."""


def keep(attempt: Checkpoints, handle: bytes) -> Kept:
    """Keep a handle for a run elsewhere; never raises."""
    try:
        attempt.checkpoint(handle)
    except Stopped:
        return "stopped"
    except Exception as error:
        log.exception("a handle could not be kept")
        known = error if isinstance(error, KetgateError) else internal("a handle of a job")
        return pack_error(known)
    return None


def raise_unless_kept(kept: Kept) -> None:
    """There: raise what keep caught."""
    if kept == "stopped":
        raise Stopped
    if kept is not None:
        raise unpack_error(kept)
