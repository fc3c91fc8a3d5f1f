"""JSON logs on stderr, one object a line, written by a thread of their own.

A call only appends to a queue (0.2 us; structlog's JSON renderer costs 20 us, and on the cold
caches of a server's threads three times that). A reader of stderr that stalls stops this thread and
nothing else: the queue is bounded, and what did not fit is counted and told.
"""

import json
import logging
import os
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from typing import Any

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
QUEUE_MAX = 10_000
BATCH_INTERVAL_S = 0.02
BATCH_MAX = 1000
CLOSE_TIMEOUT_S = 1.0

_encode = json.JSONEncoder(separators=(",", ":"), default=str).encode


Record = tuple[Callable[..., str], tuple[Any, ...]]
"""Something to be written down later: a function of the least level and these arguments, that
returns the line to write, or nothing."""


class LogWriter:
    """Writes events to a file descriptor. Thread-safe; never blocks."""

    def __init__(
        self, descriptor: int = 2, level: str = "info", queue_max: int = QUEUE_MAX
    ) -> None:
        self._descriptor = descriptor
        self._threshold = LEVELS[level]
        self._queue_max = queue_max
        self._queue: deque[Record] = deque()
        self._dropped = 0
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def write(self, level: str, event: str, fields: dict[str, Any]) -> None:
        """Log an event. fields: JSON values; the caller keeps no hand on them."""
        if self.writes(level):
            self.submit((_event_line, (level, event, fields, time.time())))

    def writes(self, level: str) -> bool:
        """Whether lines of a level are written."""
        return LEVELS[level] >= self._threshold

    def submit(self, record: Record) -> bool:
        """Have a record written down within some 20 ms; False when there is no room for it."""
        if len(self._queue) >= self._queue_max:
            self._dropped += 1
            return False
        self._queue.append(record)
        if not self._wake.is_set():
            self._wake.set()
        return True

    def close(self) -> None:
        """Write what is queued, for at most a second."""
        self._closing = True
        self._wake.set()
        self._thread.join(CLOSE_TIMEOUT_S)

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            while self._queue:
                self._drain()
            if self._closing and not self._queue:
                return
            if not self._closing:
                time.sleep(BATCH_INTERVAL_S)  # under load, one wake-up for many lines

    def _drain(self) -> None:
        lines: list[str] = []
        while self._queue and len(lines) < BATCH_MAX:
            try:
                function, arguments = self._queue.popleft()
                lines.append(function(self._threshold, *arguments))
            except Exception as error:  # one bad record must not end the log
                lines.append(json_line(time.time(), "error", "log_failed", {"error": repr(error)}))
        dropped, self._dropped = self._dropped, 0
        if dropped:
            lines.append(json_line(time.time(), "warning", "log_lines_dropped", {"count": dropped}))
        rest = memoryview("".join(lines).encode("utf-8", "replace"))
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except OSError:  # nobody reads any more; there is nobody to tell
                return


class LogHandler(logging.Handler):
    """Sends what libraries log through logging to the same place."""

    def __init__(self, writer: LogWriter) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        level = "error" if record.levelno >= 40 else record.levelname.lower()
        fields: dict[str, Any] = {"logger": record.name, "message": record.getMessage()}
        if record.exc_info and record.exc_info[1] is not None:
            fields["stack"] = stack(record.exc_info[1])
        self._writer.write(level if level in LEVELS else "info", "library", fields)


def stack(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def json_line(time_s: float, level: str, event: str, fields: dict[str, Any]) -> str:
    seconds, fraction = divmod(time_s, 1)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    head = {"time": f"{stamp}.{int(fraction * 1e6):06d}Z", "level": level, "event": event}
    return _encode(head | fields) + "\n"


def _event_line(
    threshold: int, level: str, event: str, fields: dict[str, Any], time_s: float
) -> str:
    return "" if LEVELS[level] < threshold else json_line(time_s, level, event, fields)
