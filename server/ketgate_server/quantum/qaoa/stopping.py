"""A task's stop, carried to the kernels."""

from ketgate_native.monitor import Monitor

from ketgate_server.quantum.base import Task


class Stopping:
    """A monitor for the kernels that ends with a task. task: None: nothing stops it."""

    def __init__(self, task: Task | None) -> None:
        self.monitor = Monitor(0)
        if task is not None:
            task.on_stop(self.monitor.cancel)
