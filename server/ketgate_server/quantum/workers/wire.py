"""Objects between a server and its worker processes: pickles in one packet, arrays through shared
memory, which the receiver maps and does not copy.

The memory has no name (memfd): its descriptor travels with the packet, so it is gone with the last
who holds it, however that one ends. Both ends are this program, so unpickling is safe.
"""

from __future__ import annotations

import mmap
import os
import pickle
import socket
import struct
import threading
from typing import Any

PACKET_BYTES_MAX = 64 << 10
"""Below what a socket takes at once by default. A longer pickle goes through memory."""
SHARED_BYTES_MIN = 4 << 10
"""Buffers that are shorter stay in the pickle."""
ALIGNMENT = 64
INLINE, SHARED = b"i", b"s"


class Closed(Exception):  # noqa: N818 - a state of the wire
    """The other end is gone."""


class Wire:
    """One end. send may be called from any thread, receive from one."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._sending = threading.Lock()

    @staticmethod
    def pair() -> tuple[Wire, socket.socket]:
        """This end, and the socket for the other process."""
        own, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return Wire(own), other

    def send(self, message: tuple[Any, ...]) -> None:
        """Raises Closed; OSError or MemoryError when there is no memory; what pickle raises."""
        buffers: list[memoryview] = []

        def stays(buffer: pickle.PickleBuffer) -> bool:
            content = buffer.raw()
            if content.nbytes >= SHARED_BYTES_MIN:
                buffers.append(content)
                return False
            return True

        body = pickle.dumps(message, 5, buffer_callback=stays)
        if not buffers and len(body) < PACKET_BYTES_MAX:
            self._send(INLINE + body, [])
            return
        memory = _share([memoryview(body), *buffers])
        try:
            self._send(SHARED, [memory])
        finally:
            os.close(memory)

    def receive(self) -> tuple[Any, ...]:
        """The next message. Raises Closed; what pickle raises for what cannot be had here."""
        try:
            packet, descriptors, _, _ = socket.recv_fds(self._socket, PACKET_BYTES_MAX, 1)
        except OSError as error:
            raise Closed from error
        if not packet:
            raise Closed
        if packet[:1] == INLINE:
            message = pickle.loads(memoryview(packet)[1:])  # noqa: S301
        else:
            body, *buffers = _take(descriptors[0])
            message = pickle.loads(body, buffers=buffers)  # noqa: S301
        assert isinstance(message, tuple)
        return message

    def end(self) -> None:
        """Close both ways; who waits in receive, here or there, gets Closed."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:  # the other end is gone already
            pass

    def close(self) -> None:
        self._socket.close()

    def _send(self, packet: bytes, descriptors: list[int]) -> None:
        try:
            with self._sending:
                socket.send_fds(self._socket, [packet], descriptors)
        except OSError as error:  # there, or here
            raise Closed from error


def _share(parts: list[memoryview]) -> int:
    """A descriptor of anonymous memory: count, sizes, then each part, aligned."""
    head = struct.pack(f"<{len(parts) + 1}q", len(parts), *(part.nbytes for part in parts))
    memory = os.memfd_create("ketgate", os.MFD_CLOEXEC)
    try:
        at = _write(memory, memoryview(head), 0)
        for part in parts:
            at = _write(memory, part.cast("B"), _aligned(at))
    except BaseException:
        os.close(memory)
        raise
    return memory


def _write(memory: int, content: memoryview, at: int) -> int:
    """Where it ends."""
    while content:
        written = os.pwrite(memory, content, at)
        content, at = content[written:], at + written
    return at


def _take(memory: int) -> list[memoryview]:
    """The parts, mapped: private to this process, so that arrays in them may be written to."""
    try:
        shared = memoryview(mmap.mmap(memory, 0, access=mmap.ACCESS_COPY))
    finally:
        os.close(memory)
    (count,) = struct.unpack_from("<q", shared)
    sizes = struct.unpack_from(f"<{count}q", shared, 8)
    parts, at = [], 8 * (count + 1)
    for size in sizes:
        at = _aligned(at)
        parts.append(shared[at : at + size])
        at += size
    return parts


def _aligned(at: int) -> int:
    return -(-at // ALIGNMENT) * ALIGNMENT
