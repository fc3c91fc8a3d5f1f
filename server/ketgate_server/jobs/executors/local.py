"""Attempts on this machine: in threads of the server (kernels let go of the interpreter), or in
processes of their own, for heavy Python and so that a crash takes nothing else along."""

from typing import Literal

from ketgate_server.jobs.base import Ending, JobKind
from ketgate_server.jobs.executors.attempt import Attempt, Surroundings, perform
from ketgate_server.jobs.executors.process import ProcessWorker
from ketgate_server.jobs.executors.slots import SlotExecutor
from ketgate_server.jobs.kinds import Kinds

Isolation = Literal["thread", "process"]


class LocalExecutor(SlotExecutor):
    """The executor "local"."""

    def __init__(
        self, slots: int, kinds: Kinds, surroundings: Surroundings, isolation: Isolation = "thread"
    ) -> None:
        """slots: attempts at once. isolation: of kinds that do not demand a process."""

        def open_worker() -> LocalWorker:
            return LocalWorker(surroundings, isolation)

        super().__init__(slots, kinds, surroundings, open_worker)


class LocalWorker:
    """Implements slots.Worker."""

    def __init__(self, surroundings: Surroundings, isolation: Isolation) -> None:
        self._isolated = isolation == "process"
        self._process = ProcessWorker(surroundings)

    def run(self, kind: JobKind, attempt: Attempt) -> Ending:
        if self._isolated or kind.isolated:
            return self._process.run(kind, attempt)
        return perform(kind.run, attempt)

    def interrupt(self) -> None:
        self._process.interrupt()

    def close(self) -> None:
        self._process.close()
