"""What both databases' stores do alike: operations go to the writer, reads to the readers."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from ketgate_server.store.base import BatchOperation, Operation, Outcome, Reader
from ketgate_server.store.clock import Clock
from ketgate_server.store.readers import Read, Readers
from ketgate_server.store.writer import Writer

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741


class WrittenStore:
    """A Store but for its dialect and its end. What they are for is said in base.Store."""

    def __init__(self, writer: Writer, readers: Readers[Any], clock: Clock) -> None:
        self._writer = writer
        self._readers = readers
        self._clock = clock

    def run(self, operation: Operation[T]) -> T:
        result: T = self._writer.run(operation, None, batched=False)
        return result

    def run_batched(self, operation: BatchOperation[I, T], item: I) -> T:
        result: T = self._writer.run(operation, item, batched=True)
        return result

    def begin_batched(
        self,
        operation: BatchOperation[I, T],
        item: I,
        then: Callable[[Outcome[T]], None],
    ) -> None:
        self._writer.begin(operation, item, lambda pending: then(pending.outcome), batched=True)

    def submit(self, operation: Operation[Any]) -> None:
        self._writer.submit(operation)

    @property
    def has_room(self) -> bool:
        return self._writer.has_room

    def read(self) -> AbstractContextManager[Reader]:
        return Read(self._readers)

    def observe(self, callback: Callable[[int, float], None]) -> None:
        self._writer.observe = callback

    def listen(self, callback: Callable[[], None]) -> None:
        """Of a database that no other server has, there is nothing to hear."""

    def now_us(self) -> int:
        return self._clock.now_us()
