"""The settings under [jobs]: where jobs run, and how long what they leave is kept."""

import os
import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

DAYS_MAX = 36_500
_SUBJECT = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


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

    nats_url: SecretStr | None = None
    """nats://HOST:PORT or tls://HOST:PORT, with USER:PASSWORD@ before the host where it asks for that,
    several with commas between: the events of jobs are published to a stream of this NATS JetStream."""

    nats_subject_prefix: str = "ketgate.jobs"
    """The subject of an event is PREFIX.TENANT.JOB; a stream that takes PREFIX.> has to be there."""

    nats_stream: str | None = None
    """Name of the stream to make when none takes these subjects; without one, none is made."""

    @field_validator("nats_url")
    @classmethod
    def _nats(cls, url: SecretStr | None) -> SecretStr | None:
        for one in [] if url is None else url.get_secret_value().split(","):
            if not one.startswith(("nats://", "tls://")):
                scheme = one.partition("://")[0]
                raise ValueError(f"expected nats://HOST:PORT or tls://..., given {scheme[:20]}...")
        return url

    @field_validator("nats_subject_prefix")
    @classmethod
    def _subject(cls, prefix: str) -> str:
        if not _SUBJECT.fullmatch(prefix):
            raise ValueError(
                f"expected words of letters, digits, - and _ with dots between, given {prefix[:100]!r}"
            )
        return prefix

    @field_validator("nats_stream")
    @classmethod
    def _stream(cls, name: str | None) -> str | None:
        if name is not None and ("." in name or not _SUBJECT.fullmatch(name)):
            raise ValueError(f"expected letters, digits, - and _, given {name[:100]!r}")
        return name

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
