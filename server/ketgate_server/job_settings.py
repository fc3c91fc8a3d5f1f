"""The settings under [jobs]: where jobs run, and how long what they leave is kept."""

import os
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

DAYS_MAX = 36_500


class JobSettings(BaseModel):
    """What an operator can set about jobs."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, use_attribute_docstrings=True
    )

    executor: Literal["local", "ray"] = "local"
    """Where attempts run: on this machine, or on an existing Ray cluster."""

    isolation: Literal["thread", "process"] = "thread"
    """With the executor "local": in threads of the server, or each in a process of its own, so that a
    crash of one takes nothing else along. Heavy Python always has a process."""

    ray_address: str | None = None
    """With the executor "ray": HOST:PORT of the cluster."""

    workers: int = Field(default=0, ge=0, le=1024)
    """Attempts at once on this server; 0: one for each two processors, at least two."""

    lease_s: float = Field(default=15.0, ge=1.0, le=600.0)
    """An attempt whose server is not heard of for so long is lost, and tried again by another."""

    keep_jobs_days: float = Field(default=30.0, ge=0.0, le=DAYS_MAX)
    """How long jobs that are over are kept, with their results; 0: for ever."""

    keep_events_days: float = Field(default=7.0, ge=0.0, le=DAYS_MAX)
    """How long changes of jobs are kept for those who watch; 0: for ever, up to
    jobs.events_max."""

    keep_replies_days: float = Field(default=7.0, ge=0.0, le=DAYS_MAX)
    """How long replies are kept for repeated requests; 0: for ever. That a request was done is known
    for ever."""

    @model_validator(mode="after")
    def _relations(self) -> "JobSettings":
        if (self.ray_address is not None) != (self.executor == "ray"):
            raise ValueError(
                'the executor "ray" and ray_address (HOST:PORT of a cluster) go together; only one is given'
            )
        return self

    @property
    def workers_at_once(self) -> int:
        return self.workers or max(2, len(os.sched_getaffinity(0)) // 2)
