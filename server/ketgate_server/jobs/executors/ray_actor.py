"""What runs on a node of a Ray cluster: one attempt at a time."""

import logging
import queue
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ketgate_server.jobs.executors.attempt import Attempt, Surroundings, Work, perform_entry
from ketgate_server.jobs.executors.channel import Kept, LogSender, pack, raise_unless_kept

Message = tuple[Any, ...]


class Actor:
    """Made into an actor by its driver. run() and stop() are called at the same time."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._lock = threading.Lock()
        self._attempt: Attempt | None = None
        self._stopped = ""
        """The attempt that was told to stop before it was known here: calls may overtake."""
        self._news: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Kept] = queue.SimpleQueue()
        root = logging.getLogger()
        root.addHandler(LogSender(lambda message: self._news.put(message)))
        root.setLevel(min(root.level, logging.INFO))

    def run(self, work: Work, remaining_s: float) -> Iterator[Message]:
        """Run it, and tell of it: ("began",), then what happens, then ("end", packed, result)."""
        news = self._news = queue.SimpleQueue()
        answers = self._answers = queue.SimpleQueue()

        def checkpoint(handle: bytes) -> None:
            news.put(("checkpoint", handle))
            raise_unless_kept(answers.get())

        attempt = Attempt(
            replace(work, remaining_s=remaining_s),
            self._surroundings,
            lambda told: news.put(("progress", told.SerializeToString())),
            checkpoint,
        )
        with self._lock:
            self._attempt = attempt
            stopped = self._stopped == work.reference
        if stopped:
            attempt.stop()
        thread = threading.Thread(target=self._perform, args=(attempt, news), name="attempt")
        thread.start()
        message: Message = ("began",)
        yield message
        while message[0] != "end":
            message = news.get()
            yield message
        thread.join()

    def kept(self, reference: str, kept: Kept) -> None:
        """The answer to ("checkpoint", handle)."""
        attempt = self._attempt
        if attempt is not None and attempt.work.reference == reference:
            self._answers.put(kept)

    def stop(self, reference: str) -> None:
        with self._lock:
            attempt, self._stopped = self._attempt, reference
        if attempt is not None and attempt.work.reference == reference:
            attempt.stop()

    def _perform(self, attempt: Attempt, news: "queue.SimpleQueue[Message]") -> None:
        ending = perform_entry(attempt, {})
        with self._lock:
            self._attempt = None
        news.put(("end", pack(ending), ending.result))
