from typing import NamedTuple

class Incumbent(NamedTuple):
    """One improvement, in the order found."""

    elapsed_s: float
    """Seconds since the monitor was made."""
    objective: float
    bound: float
    """Best proven bound at that moment; -inf while there is none."""
    work: int
    """Sweeps or nodes done when it was found, as the kernel counts."""
    solution: bytes
    """The kernel's own bytes; each kernel documents their dtype."""

class Stopped(Exception):
    """A monitor told a kernel to stop before there was anything to return."""

class Monitor:
    """Stops one run of a kernel and carries its incumbents out. All objectives are minimised.

    solution_bytes: size of one solution in the kernel's dtype (int8 spins: n; float64 weights: 8 n).
    time_limit_s: counted from now. target: stop at an objective this low. gap_absolute, gap_relative: stop when
    incumbent - bound is this small (relative to |incumbent|).

    >>> monitor = Monitor(2, time_limit_s=1.0, target=-5.0)
    >>> monitor.offer(-6.0, b"ab")
    >>> monitor.take().objective, monitor.stop_reason
    (-6.0, 'target')
    """

    def __init__(
        self,
        solution_bytes: int,
        *,
        time_limit_s: float | None = None,
        target: float | None = None,
        gap_absolute: float = 0.0,
        gap_relative: float = 0.0,
    ) -> None: ...
    def cancel(self) -> None:
        """Ask the kernel to stop; it returns the best so far."""
    def shorten(self, time_limit_s: float) -> None:
        """Stop at most so long from now, where that is earlier than before; for use before the kernel starts."""
    def finish(self) -> None:
        """Say that no more offers come: readers drain what is left, then stop."""
    def offer(self, objective: float, solution: bytes | bytearray | memoryview, work: int = 0) -> None:
        """Report a solution from Python; ignored unless strictly better than the best so far."""
    def offer_bound(self, bound: float, work: int = 0) -> None: ...
    def take(self, timeout_s: float = 0.0) -> Incumbent | None:
        """The oldest unread incumbent, waiting for one without the GIL; None after the timeout.

        Raises StopIteration when the run is finished and everything was read.
        """
    @property
    def should_stop(self) -> bool: ...
    @property
    def stop_reason(self) -> str:
        """'' while running or when the kernel ended by itself, else cancelled, time, target or gap."""
    @property
    def best(self) -> float: ...
    @property
    def bound(self) -> float: ...
    @property
    def work(self) -> int: ...
    @property
    def elapsed_s(self) -> float: ...
    @property
    def remaining_s(self) -> float: ...
