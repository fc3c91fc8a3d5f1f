"""One worker process, as the server sees it: a thread of its own starts it, hears it and buries it.

The thread lives as long as the process does, which the system is asked to kill with that thread.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ketgate_server
from ketgate_server.quantum.base import Stopped, Task
from ketgate_server.quantum.workers.faults import how_it_ended, lost, unavailable, unpack
from ketgate_server.quantum.workers.order import Order
from ketgate_server.quantum.workers.wire import Closed, Wire

PACKAGE = Path(ketgate_server.__file__).parent
BOOTSTRAP = Path(__file__).parent / "bootstrap.py"
STOP_TIMEOUT_S = 2.0
"""For work that was told to stop; then its process is killed."""
END_TIMEOUT_S = 1.0
"""For a process whose wire is closed to be gone by itself."""
PREPARE_TIMEOUT_S = 120.0
"""For a process to import what a call needs, however soon the call itself was stopped: else nobody
in a hurry would ever get a warm one."""


class Unbegun(Exception):  # noqa: N818 - a state of the call
    """The process died before the call's function was entered, so it may be made again elsewhere;
    the message says how."""


class _Call:
    """One call under way, and what came of it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.changed = threading.Condition()
        self.begun = False
        self.stopped = False
        self.left = False
        """Nobody waits for it any more, though it may yet begin."""
        self.over = False
        self.result: Any = None
        self.error: BaseException | None = None

    def stop(self) -> None:
        with self.changed:
            self.stopped = True
            self.changed.notify_all()

    def begin(self) -> bool:
        """Whether it was left meanwhile."""
        with self.changed:
            self.begun = True
            self.changed.notify_all()
            return self.left

    def end(self, result: Any = None, error: BaseException | None = None) -> None:
        with self.changed:
            if not self.over:
                self.over, self.result, self.error = True, result, error
                self.changed.notify_all()


class WorkerProcess:
    """Does one call at a time. perform is called by who took it from the pool."""

    def __init__(
        self,
        group: str,
        python: str,
        environment: Mapping[str, str],
        nice: int,
        memory_bytes_max: int,
        on_free: Callable[[WorkerProcess], None],
    ) -> None:
        """on_free: called, from any thread, whenever a call is over, or the process is."""
        self.group = group
        self.python = python
        self.retained_bytes = 0
        """Of memory, after the last call."""
        self._environment = environment
        self._on_free = on_free
        self._lock = threading.Lock()
        self._call: _Call | None = None
        self._number = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._dead = False
        self._wire, self._other = Wire.pair()
        self._wire.send(("begin", group, nice, memory_bytes_max))
        self._thread = threading.Thread(target=self._live, name=f"worker-{group}", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return not self._dead

    @property
    def pid(self) -> int | None:
        """None before it was started."""
        return self._process.pid if self._process else None

    def perform(self, order: Order, task: Task) -> Any:
        """The call's result. Raises what it raised, Stopped, or for a process that died
        KetgateError or Unbegun."""
        with self._lock:
            self._number += 1
            self._call = call = _Call(self._number)
            dead = self._dead
        if dead:
            self._over(call, error=Unbegun("it ended before the call"))
        else:
            try:
                self._wire.send(("call", call.number, order, task.remaining_s()))
            except Closed:  # the thread tells how it ended
                pass
            except BaseException as error:  # what cannot be pickled, or no memory for it
                self._over(call, error=error)
        task.on_stop(call.stop)
        return self._await(call, task)

    def close(self) -> None:
        """End it: at once, whatever it does. From any thread."""
        self._wire.end()

    def join(self, timeout_s: float) -> None:
        """Wait until it is gone."""
        self._thread.join(timeout_s)

    def _await(self, call: _Call, task: Task) -> Any:
        with call.changed:
            call.changed.wait_for(lambda: call.over or call.stopped, _bounded(task.remaining_s()))
            if not call.over:
                self._tell(("stop", call.number))
                # What only imports yet goes on, for those who come next; nobody waits for it.
                call.left = not call.begun
                if call.begun and not call.changed.wait_for(lambda: call.over, STOP_TIMEOUT_S):
                    self._kill()
        if not call.over:
            if call.left:
                self._kill_later(call, PREPARE_TIMEOUT_S)
            raise Stopped
        if call.error is not None:
            raise call.error
        return call.result

    def _kill_later(self, call: _Call, timeout_s: float) -> None:
        timer = threading.Timer(timeout_s, self._kill_unless_over, [call])
        timer.daemon = True
        timer.start()

    def _kill_unless_over(self, call: _Call) -> None:
        if not call.over:
            self._kill()

    def _kill(self) -> None:
        """The thread hears of it, and buries it."""
        process = self._process
        if process is not None:
            process.kill()
        self._wire.end()

    def _tell(self, message: tuple[Any, ...]) -> None:
        try:
            self._wire.send(message)
        except Closed:  # the thread sees that too
            pass

    def _live(self) -> None:
        how = "it could not be started"
        try:
            with self._other:
                self._process = self._start(self._other.fileno())
            self._hear()
        except Closed:
            how = self._bury()
        except OSError as error:
            how = f"{self.python}: {error.strerror or error}"
        except BaseException as error:  # an answer that cannot be read here
            logging.getLogger("ketgate.quantum").exception("an answer of %s", self.group)
            self._bury()
            how = f"its answer cannot be read: {type(error).__name__}"
        finally:
            with self._lock:
                self._dead = True
                call = self._call
            self._wire.end()
            if call is not None and not call.over:
                self._over(call, error=self._cause(call, how))
            self._on_free(self)
            self._wire.close()

    def _cause(self, call: _Call, how: str) -> Exception:
        if self._process is None:
            return unavailable(self.group, how)
        return lost(self.group, how) if call.begun else Unbegun(how)

    def _start(self, descriptor: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - this program
            [self.python, "-P", str(BOOTSTRAP), str(descriptor), str(PACKAGE)],
            pass_fds=[descriptor],
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr if sys.stderr and _has_descriptor(sys.stderr) else None,
            env=self._environment,
        )

    def _hear(self) -> None:
        while True:
            match self._wire.receive():
                case ("begun", number):
                    if (call := self._current(number)) is not None and call.begin():
                        self._kill_later(call, STOP_TIMEOUT_S)  # it was told to stop already
                case ("answer", number, result, retained):
                    if (call := self._current(number)) is not None:
                        self.retained_bytes = retained
                        self._over(call, result=result)
                case ("raised", number, packed, retained):
                    if (call := self._current(number)) is not None:
                        self.retained_bytes = retained
                        self._over(call, error=unpack(packed))
                case ("log", name, level, text):
                    logging.getLogger(name).log(level, "%s", text)

    def _current(self, number: int) -> _Call | None:
        with self._lock:
            call = self._call
        return call if call is not None and call.number == number else None

    def _over(self, call: _Call, *, result: Any = None, error: BaseException | None = None) -> None:
        """The call is over: free the process first, so that who waited finds it."""
        with self._lock:
            if self._call is call:
                self._call = None
        if not self._dead:
            self._on_free(self)
        call.end(result, error)

    def _bury(self) -> str:
        """End it, if it did not by itself, and say how it ended, in words."""
        process = self._process
        assert process is not None
        self._wire.end()
        try:
            status = process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        return how_it_ended(status)


def _bounded(seconds: float) -> float | None:
    """As wait_for takes it."""
    return None if seconds > threading.TIMEOUT_MAX else seconds


def _has_descriptor(stream: Any) -> bool:
    try:
        return int(stream.fileno()) >= 0
    except (OSError, ValueError, AttributeError):
        return False
