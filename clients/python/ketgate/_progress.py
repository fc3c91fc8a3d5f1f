"""How a solve goes, on the terminal: one moving line where rich is installed, else a line for each
better solution.
"""

import sys
from importlib.util import find_spec
from typing import Any, Protocol, TextIO

from ketgate._events import ProgressEvent


class Display(Protocol):
    """Something that shows events until it is closed."""

    def show(self, event: ProgressEvent) -> None: ...

    def close(self) -> None: ...


def open_display(time_limit_s: float) -> Display:
    """A moving line on a terminal that can have one, else plain lines; on standard error both."""
    if sys.stderr.isatty() and find_spec("rich") is not None:
        return RichDisplay(time_limit_s)
    return PlainDisplay(sys.stderr)


def describe(event: ProgressEvent) -> str:
    """Objective, bound and gap in words."""
    parts = [
        f"objective {event.objective:.9g}" if event.objective is not None else "no solution yet"
    ]
    if event.bound is not None:
        parts.append(f"bound {event.bound:.9g}")
    if event.gap is not None:
        parts.append(f"gap {event.gap:.2%}" if event.gap >= 1e-4 else f"gap {event.gap:.1e}")
    return ", ".join(parts)


class PlainDisplay:
    """A line for each better solution."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def show(self, event: ProgressEvent) -> None:
        if event.improved:
            print(
                f"{event.time_s:8.3f} s  {describe(event)}  ({event.solver})",
                file=self._stream,
                flush=True,
            )

    def close(self) -> None:
        """Nothing to undo: lines stay."""


class RichDisplay:
    """A bar of the time used, with the figures beside it."""

    def __init__(self, time_limit_s: float) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._progress = Progress(
            SpinnerColumn(),
            TimeElapsedColumn(),
            BarColumn(bar_width=24),
            TextColumn("{task.description}"),
            console=Console(stderr=True),
        )
        self._task: Any = self._progress.add_task("no solution yet", total=time_limit_s)
        self._progress.start()

    def show(self, event: ProgressEvent) -> None:
        self._progress.update(self._task, completed=event.time_s, description=describe(event))

    def close(self) -> None:
        self._progress.stop()
