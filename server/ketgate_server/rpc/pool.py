"""Threads for calls, cheaper than the standard pool by what nobody here asks of it: there is no
future. The last thread to become idle takes the next task, while its stack is still in the caches; a
hand-over is one lock.
"""

import _thread
import logging
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from operator import call

IDLE_LIMIT_S = 60.0

_log = logging.getLogger(__name__)


Task = Callable[[], object]


class _Worker:
    """A thread's side of the hand-over: it waits for the gate, then takes the task."""

    __slots__ = ("gate", "task")

    def __init__(self, task: Task) -> None:
        self.gate = threading.Lock()
        self.gate.acquire()
        self.task: Task | None = task


class CallPool:
    """Starts threads as they are needed, up to a number; what is beyond waits in order. Threads
    that idle for long end.

    stack_bytes: address space of a thread's stack; 0: the system's default.
    """

    def __init__(
        self,
        threads_max: int,
        name: str,
        *,
        stack_bytes: int = 0,
        idle_limit_s: float = IDLE_LIMIT_S,
    ) -> None:
        self._name = name
        self._threads_max = threads_max
        self._stack_bytes = stack_bytes
        self._idle_limit_s = idle_limit_s
        self._guard = threading.Lock()
        self._idle: list[_Worker] = []
        self._waiting: deque[Task] = deque()
        self._started = 0
        self._closed = False

    def submit(self, task: Task) -> None:
        """Raises RuntimeError when the system gives no thread at all."""
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

    def shutdown(self) -> None:
        """Let idle threads go, and busy ones when they are done. Waits for none of them."""
        with self._guard:
            self._closed = True
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.gate.release()

    def _start(self, task: Task) -> None:
        worker = _Worker(task)
        try:
            if self._stack_bytes:
                _start_small(self._stack_bytes, self._work, worker)
            else:
                name = f"{self._name}-{self._started}"
                threading.Thread(target=self._work, args=(worker,), name=name, daemon=True).start()
        except RuntimeError:  # the system gives no more threads
            with self._guard:
                self._started -= 1
                if self._started == 0:
                    raise
                self._waiting.append(task)

    def _work(self, worker: _Worker) -> None:
        while worker.task is not None:
            try:
                worker.task()
            except BaseException:  # the thread serves the next call all the same
                _log.exception("a call ended with an error that nobody caught")
            worker.task = None  # an idle thread keeps no call alive
            with self._guard:
                if self._waiting:
                    worker.task = self._waiting.popleft()
                    continue
                if self._closed:
                    return
                self._idle.append(worker)
            if not worker.gate.acquire(timeout=self._idle_limit_s):
                with self._guard:
                    if worker in self._idle:
                        self._idle.remove(worker)
                        self._started -= 1
                        return
                worker.gate.acquire()  # a task came in that moment


def _start_small(stack_bytes: int, function: Callable[[_Worker], None], worker: _Worker) -> None:
    """Start a thread with a small stack. Raises RuntimeError when there are too many.

    The size is a setting of the whole process, and a kernel's thread that got this one would crash:
    so the three steps run inside one call into C, where no other thread gets its turn.
    """
    before = threading.stack_size()
    steps = (
        partial(threading.stack_size, stack_bytes),
        partial(_thread.start_new_thread, function, (worker,)),
        partial(threading.stack_size, before),
    )
    try:
        deque(map(call, steps), maxlen=0)
    finally:
        threading.stack_size(before)
