"""Threads for calls, cheaper than the standard pool by what nobody here asks of it.

The last thread to become idle takes the next call, while its stack is still in the caches; a hand-
over is one lock. grpcio takes any ThreadPoolExecutor and uses of a future only its callback.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

_log = logging.getLogger(__name__)


class Task:
    """A call to be run; stands for the future that grpcio expects."""

    __slots__ = ("_arguments", "_callback", "_done", "_function", "_lock")

    def __init__(self, function: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        self._function = function
        self._arguments = arguments
        self._callback: Callable[[Any], object] | None = None
        self._done = False
        self._lock = threading.Lock()

    def add_done_callback(self, callback: Callable[[Any], object]) -> None:
        """Run callback, the only one, when the task has ended; at once if it has."""
        with self._lock:
            if not self._done:
                self._callback = callback
                return
        callback(self)

    def run(self) -> None:
        try:
            self._function(*self._arguments)
        except BaseException:  # the thread serves the next call all the same
            _log.exception("a call ended with an error that nobody caught")
        with self._lock:
            self._done = True
            callback = self._callback
        if callback is not None:
            callback(self)


class _Worker:
    """A thread's side of the hand-over: it waits for the gate, then takes the task."""

    __slots__ = ("gate", "task")

    def __init__(self, task: Task) -> None:
        self.gate = threading.Lock()
        self.gate.acquire()
        self.task: Task | None = task


class CallPool(ThreadPoolExecutor):
    """Starts threads as they are needed, up to a number; what is beyond waits in order."""

    def __init__(self, threads_max: int, name: str) -> None:
        super().__init__(1)  # starts nothing: all that would is replaced here
        self._name = name
        self._threads_max = threads_max
        self._guard = threading.Lock()
        self._idle: list[_Worker] = []
        self._waiting: deque[Task] = deque()
        self._started = 0
        self._closed = False

    def submit(  # type: ignore[override]
        self, function: Callable[..., object], /, *arguments: Any
    ) -> Task:
        task = Task(function, arguments)
        with self._guard:
            worker = self._idle.pop() if self._idle else None
            starts = worker is None and self._started < self._threads_max
            if starts:
                self._started += 1
            elif worker is None:
                self._waiting.append(task)
        if worker is not None:
            worker.task = task
            worker.gate.release()
        elif starts:
            self._start(task)
        return task

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002
        """Let idle threads go, and busy ones when they are done. Waits for none of them."""
        with self._guard:
            self._closed = True
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.gate.release()

    def _start(self, task: Task) -> None:
        name = f"{self._name}-{self._started}"
        try:
            worker = _Worker(task)
            threading.Thread(target=self._work, args=(worker,), name=name, daemon=True).start()
        except RuntimeError:  # the system gives no more threads
            with self._guard:
                self._started -= 1
                if self._started == 0:
                    raise
                self._waiting.append(task)

    def _work(self, worker: _Worker) -> None:
        while worker.task is not None:
            worker.task.run()
            worker.task = None  # an idle thread keeps no call alive
            with self._guard:
                if self._waiting:
                    worker.task = self._waiting.popleft()
                    continue
                if self._closed:
                    return
                self._idle.append(worker)
            worker.gate.acquire()
