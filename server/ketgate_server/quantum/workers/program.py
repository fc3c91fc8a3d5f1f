"""The program of a worker process. It does one call at a time, imports what a call needs when the
first such call comes, and ends when the server closes the wire, or is gone."""

from __future__ import annotations

import faulthandler
import importlib
import logging
import os
import pickle
import queue
import resource
import signal
import socket
import threading
from collections.abc import Callable
from typing import Any

from ketgate_server.child import die_with_parent, give_back_memory, resident_bytes
from ketgate_server.quantum.base import Stopped
from ketgate_server.quantum.workers.faults import pack
from ketgate_server.quantum.workers.order import TASK, Order, OrderTask, Subject
from ketgate_server.quantum.workers.wire import Closed, Wire

LOG_CHARACTERS_MAX = 8_000
TRIM_BYTES = 256 << 20
"""Above this, memory that was freed is given back to the system after a call."""


def main(descriptor: int) -> None:
    """Serve the wire on a socket's descriptor until it closes."""
    for number in (signal.SIGINT, signal.SIGTERM):
        # Meant for the server, though they may reach its whole group: it lets its work finish.
        signal.signal(number, signal.SIG_IGN)
    wire = Wire(socket.socket(fileno=descriptor))
    die_with_parent()
    faulthandler.enable()
    try:
        _, group, nice, memory_bytes_max = wire.receive()
    except Closed:
        return
    os.nice(nice)
    if memory_bytes_max:
        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes_max, memory_bytes_max))
    log = logging.getLogger()
    log.addHandler(_LogSender(wire))
    log.setLevel(logging.WARNING)
    logging.captureWarnings(True)  # a framework's, which would go to the server's stderr
    worker = _Worker(wire, group)
    threading.Thread(target=worker.listen, name="wire", daemon=True).start()
    worker.work()


class _Worker:
    """The call under way, and one that waits at most: the server sends the next after the end."""

    def __init__(self, wire: Wire, group: str) -> None:
        self._wire = wire
        self._group = group
        self._orders: queue.SimpleQueue[tuple[int, Order, OrderTask]] = queue.SimpleQueue()
        self._current: tuple[int, OrderTask] | None = None
        self._hosted: dict[str, Any] = {}

    def listen(self) -> None:
        """Take orders, and end the process when nobody is there to give them."""
        while True:
            try:
                message = self._wire.receive()
            except Closed:
                os._exit(0)  # whatever the work's threads are at
            except BaseException:
                logging.getLogger(__name__).exception("an order cannot be read")
                os._exit(1)
            match message:
                case ("call", number, Order() as order, remaining_s):
                    task = OrderTask(remaining_s)
                    self._current = number, task
                    self._orders.put((number, order, task))
                case ("stop", number):
                    current = self._current
                    if current is not None and current[0] == number:  # else it is over already
                        current[1].stop()

    def work(self) -> None:
        while True:
            number, order, task = self._orders.get()
            try:
                self._perform(number, order, task)
            except Closed:
                os._exit(0)

    def _perform(self, number: int, order: Order, task: OrderTask) -> None:
        try:
            function = self._function(order)
            self._wire.send(("begun", number))
            if task.stopped:
                raise Stopped
            arguments = [task if argument is TASK else argument for argument in order.arguments]
            result = function(*arguments, **order.named)
            del arguments
            self._wire.send(("answer", number, result, self._retained()))
        except Closed:
            raise
        except BaseException as error:
            self._wire.send(("raised", number, pack(error, self._group), self._retained()))

    def _function(self, order: Order) -> Callable[..., Any]:
        if order.subject is not None:
            method = getattr(self._host(order.subject), order.function)
        else:
            module, _, name = order.function.partition(":")
            method = getattr(importlib.import_module(module), name)
        assert callable(method)
        return method  # type: ignore[no-any-return]

    def _host(self, subject: Subject) -> Any:
        """The object, made once; its `prepare`, if it has one, imports what it needs."""
        if subject.digest not in self._hosted:
            hosted = pickle.loads(subject.pickled)  # noqa: S301 - from this program itself
            prepare = getattr(hosted, "prepare", None)
            if prepare is not None:
                prepare()
            self._hosted = {subject.digest: hosted}  # of an older configuration none is called
        return self._hosted[subject.digest]

    @staticmethod
    def _retained() -> int:
        """Bytes that this process holds after a call."""
        if resident_bytes() > TRIM_BYTES:
            give_back_memory()
        return resident_bytes()


class _LogSender(logging.Handler):
    """Passes on what is logged here: the server writes it as its own."""

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self._wire = wire

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)[:LOG_CHARACTERS_MAX]
        try:
            self._wire.send(("log", record.name, record.levelno, text))
        except Closed:
            pass
