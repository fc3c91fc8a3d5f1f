"""An attempt that this server holds, from its claim until its end is stored."""

import math
from collections import deque
from enum import IntEnum

from ketgate.jobs.v1 import job_pb2 as pb

from ketgate_server.jobs.base import Claim, Running


class Stop(IntEnum):
    """Why an attempt was told to stop; the greatest reason counts."""

    NOT = 0
    DRAIN = 1
    """The server stops: what did not end by itself is given back."""
    ASKED = 2
    """Cancelled, or too late: how it ends is what it says."""
    LOST = 3
    """Others may have it by now: how it ends is of no interest."""


class Held:
    """One turn of an attempt. Times in seconds of the dispatcher's clock."""

    __slots__ = (
        "claim",
        "deadline_s",
        "is_told",
        "news",
        "outside",
        "running",
        "started_s",
        "stopped_for",
        "told_s",
    )

    def __init__(self, claim: Claim, started_s: float, deadline_s: float) -> None:
        self.claim = claim
        self.started_s = started_s
        self.deadline_s = deadline_s
        self.running: Running | None = None
        self.stopped_for = Stop.ASKED if claim.stopped else Stop.NOT
        self.is_told = claim.stopped
        """Whether it knows that it is to stop."""
        self.outside = claim.handle is not None
        """Whether a provider may have work of it. Then it hears of nothing but the job's own end, or it
        would cancel there what this server, or another, goes on with. Set by any thread."""
        self.news: deque[pb.JobProgress] = deque(maxlen=1)
        """The newest that was not yet written; put in by any thread."""
        self.told_s = -math.inf
        """When the last was written."""

    @property
    def reference(self) -> str:
        return f"jobs/{self.claim.id}/attempts/{self.claim.attempt}"

    def stop(self, why: Stop) -> None:
        """Tell it to stop; once, whatever comes later."""
        self.stopped_for = max(self.stopped_for, why)
        if self.is_told or self.running is None or (self.outside and why is not Stop.ASKED):
            return
        self.is_told = True
        self.running.stop()
