"""A world of one thread: tasks, processes that can die at any point where they wait, and a clock that
jumps from one thing to do to the next. All that is random comes from the seed, so that a seed is a
history."""

import heapq
import random
from collections import deque
from collections.abc import Callable
from typing import Any

from greenlet import getcurrent, greenlet

MS = 1_000
SECOND = 1_000_000
START_US = 1_800_000_000 * SECOND
STEPS_MAX = 60_000
"""A history of more is one that does not end."""


class Killed(BaseException):
    """Raised in a task whose process dies, where it waits."""


class Process:
    """What dies together, and sleeps together."""

    def __init__(self, world: "World", name: str) -> None:
        self.world = world
        self.name = name
        self.alive = True
        self.frozen_until_us = 0
        self.tasks: dict[Task, None] = {}

    def spawn(self, run: Callable[[], None], delay_us: float = 0) -> None:
        task = Task(self, run)
        self.tasks[task] = None
        self.world.later(delay_us, lambda: self.world.go_on(task, task.waits, None))

    def kill(self) -> None:
        """Die now: each task ends where it waits, the one that runs where it next does."""
        if self.alive:
            self.alive = False
            self.world.log(f"{self.name} dies")
            self.world.later(0, self._reap)

    def freeze(self, for_us: float) -> None:
        """Get no time of the processor for so long."""
        self.world.log(f"{self.name} freezes for {for_us / SECOND:.1f} s")
        self.frozen_until_us = self.world.now_us + round(for_us)

    def _reap(self) -> None:
        for task in list(self.tasks):
            if task:
                task.throw(Killed)
        self.tasks.clear()


class Task(greenlet):
    """A function that runs until it waits, and goes on when it is resumed."""

    def __init__(self, process: Process, body: Callable[[], None]) -> None:
        super().__init__(parent=process.world.hub)
        self.process = process
        self.body = body
        self.waits = 0
        """Number of the wait that it is in: a resumption meant for another comes too late."""

    def run(self, _: object) -> None:
        try:
            self.body()
        except Killed:
            pass
        except Exception as error:
            self.process.world.broken(f"{self.process.name}: {error!r}", error)
        finally:
            self.process.tasks.pop(self, None)

    __hash__ = object.__hash__


class World:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now_us = START_US
        self.hub = getcurrent()
        self.failure: BaseException | None = None
        self.trace: deque[str] = deque(maxlen=300)
        self._queue: list[tuple[int, float, int, Callable[[], None]]] = []
        self._steps = 0
        self._processes: list[Process] = []

    def process(self, name: str) -> Process:
        made = Process(self, name)
        self._processes.append(made)
        return made

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def between(self, low: float, high: float) -> float:
        return self.random.uniform(low, high)

    def log(self, text: str) -> None:
        self.trace.append(f"{(self.now_us - START_US) / SECOND:10.6f} {text}")

    def broken(self, text: str, error: BaseException | None = None) -> None:
        """What must not be was seen; the first counts."""
        self.log(f"BROKEN: {text}")
        if self.failure is None:
            self.failure = error or AssertionError(text)

    def later(self, delay_us: float, do: Callable[[], None]) -> None:
        """Do something after a delay; of things at one time any may be first."""
        self._steps += 1
        at = self.now_us + max(0, round(delay_us))
        heapq.heappush(self._queue, (at, self.random.random(), self._steps, do))

    def run(self, end_us: int, until: Callable[[], bool] = lambda: False) -> None:
        """Until something holds, something is broken, nothing is left to do, or it is end_us."""
        while self._queue and self._queue[0][0] <= end_us and not until() and not self.failure:
            if self._steps > STEPS_MAX:
                self.broken("the history does not end")
            at, _, _, do = heapq.heappop(self._queue)
            self.now_us = max(self.now_us, at)
            do()

    def go_on(self, task: Task, wait: int, value: Any) -> None:
        """Resume a task: now, or when its process is not frozen any more."""
        if not task.process.alive or task.waits != wait:
            return
        frozen_us = task.process.frozen_until_us - self.now_us
        if frozen_us > 0:
            self.later(frozen_us, lambda: self.go_on(task, wait, value))
        else:
            task.switch(value)

    def wait(self, register: Callable[[Callable[[Any], None]], None]) -> Any:
        """Wait, in a task, until what register is given is called; returns what that is called
        with."""
        task = getcurrent()
        assert isinstance(task, Task)
        if not task.process.alive:
            raise Killed
        task.waits += 1
        wait = task.waits
        register(lambda value: self.later(0, lambda: self.go_on(task, wait, value)))
        return self.hub.switch()

    def sleep(self, delay_us: float) -> None:
        self.wait(lambda resume: self.later(delay_us, lambda: resume(None)))

    def close(self) -> None:
        for process in self._processes:
            process.alive = False
            process._reap()
