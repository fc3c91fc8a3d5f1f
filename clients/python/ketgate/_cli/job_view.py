"""Jobs and their changes for people and for programs: tables, lines, JSON."""

from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

from ketgate._cli.durations import ago, clock, local, short
from ketgate._cli.show import WIDE, figure, percent, print_table
from ketgate._errors import KetgateError
from ketgate._events import ProgressEvent
from ketgate._job import JobEvent, JobEventType, JobRecord, JobState

_COLOURS = {
    JobState.SUBMITTED: "cyan",
    JobState.RUNNING: "cyan",
    JobState.CANCELLING: "yellow",
    JobState.SUCCEEDED: "green",
    JobState.FAILED: "red",
    JobState.CANCELLED: "yellow",
    JobState.EXPIRED: "yellow",
}
_COLUMNS = ("job", "state", "created", "took", "objective", "bound", "gap", "tries", "labels")
_NUMBERS = {"took", "objective", "bound", "gap", "tries"}
_WHOLE = {"job", "state"}
"""Never wrapped: they are copied, and searched for."""
_WIDE_ONLY = {"bound", "gap", "tries", "labels"}


def table(jobs: Sequence[JobRecord], title: str, width: int) -> Table:
    """A table that may be drawn again and again; width: of what it is drawn on, in characters."""
    made = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        collapse_padding=True,
        title=title,
        title_justify="left",
        show_header=bool(jobs),
    )
    columns = [name for name in _COLUMNS if width >= WIDE or name not in _WIDE_ONLY]
    for name in columns:
        made.add_column(
            name,
            justify="right" if name in _NUMBERS else "left",
            overflow="fold",
            no_wrap=name in _WHOLE,
        )
    for job in jobs:
        cells = dict(zip(_COLUMNS, _cells(job), strict=True))
        made.add_row(*(cells[name] for name in columns), style="" if not job.over else "dim")
    return made


def _cells(job: JobRecord) -> list[str]:
    """In the order of _COLUMNS. The id alone, which the command takes as a name, too."""
    colour = _COLOURS.get(job.state, "")
    state = f"[{colour}]{job.state.value}[/{colour}]" if colour else job.state.value
    newest = job.newest
    return [
        escape(job.name.removeprefix("jobs/")),
        state,
        ago(job.create_time),
        _took(job),
        figure(newest.objective, 7) if newest else "",
        figure(newest.bound, 7) if newest and newest.bound is not None else "",
        percent(newest.gap) if newest else "",
        str(job.attempt_count),
        escape(labels(job.labels)),
    ]


def _took(job: JobRecord) -> str:
    """From its first attempt to its end, or until it was last heard of."""
    if job.start_time is None:
        return ""
    end = job.end_time or job.update_time
    return short((end - job.start_time).total_seconds())


def labels(pairs: dict[str, str]) -> str:
    return " ".join(f"{key}={value}" for key, value in sorted(pairs.items()))


def line(event: JobEvent) -> str:
    """A change, on one line."""
    parts = [clock(event.time), f"{event.revision:>7}", event.job, f"{event.state.value:<10}"]
    if event.type is JobEventType.DELETED:
        parts.append("deleted")
    if event.progress is not None:
        parts.append(progress(event.progress))
    if event.reason:
        parts.append(event.reason)
    if event.error is not None and event.error.message not in event.reason:
        parts.append(event.error.message)
    return "  ".join(parts)


def last_event(job: JobRecord) -> JobEvent:
    """The change that ended a job, as far as the job itself tells it."""
    return JobEvent(
        revision=job.revision,
        time=job.update_time,
        job=job.name,
        type=JobEventType.STATE_CHANGED,
        state=job.state,
        reason="",
        actor="",
        attempt=job.attempt_count,
        progress=job.newest,
        error=job.error,
        labels=job.labels,
        kind=job.kind,
    )


def job_line(job: JobRecord) -> str:
    """A job as it is now, on one line."""
    parts = [clock(job.update_time), job.name, f"{job.state.value:<10}"]
    newest = job.newest
    if newest is not None:
        parts.append(progress(newest))
    return "  ".join(parts)


def progress(told: ProgressEvent) -> str:
    if told.objective is None:
        return f"no solution yet after {short(told.time_s)}"
    parts = [f"objective {figure(told.objective, 9)}"]
    if told.bound is not None:
        parts.append(f"bound {figure(told.bound, 9)}")
    if told.gap is not None:
        parts.append(f"gap {percent(told.gap)}")
    by = f" by {told.solver}" if told.solver else ""
    return ", ".join(parts) + by


def print_job(job: JobRecord) -> None:
    """All of it but the result."""
    rows = [
        ("state", job.state.value),
        ("kind", job.kind),
        ("created", f"{local(job.create_time)} by {job.creator}"),
        ("not before", local(job.not_before_time)),
        ("deadline", local(job.deadline_time)),
        ("started", local(job.start_time)),
        ("ended", local(job.end_time)),
        ("took", _took(job)),
        ("priority", str(job.priority) if job.priority else ""),
        ("labels", labels(job.labels)),
        ("progress", progress(job.newest) if job.newest else ""),
        ("error", job.error.message if job.error else ""),
        ("spec", f"SHA-256 {job.spec_digest}"),
    ]
    print_table(job.name, ("", ""), [row for row in rows if row[1]])
    if job.attempts:
        print_table(
            "Attempts",
            ("", "began", "took", "how it ended", "worker", ""),
            [
                [
                    attempt.number,
                    local(attempt.start_time),
                    short((attempt.end_time - attempt.start_time).total_seconds())
                    if attempt.end_time
                    else "",
                    attempt.outcome.replace("_", " "),
                    attempt.worker,
                    attempt.error.message if attempt.error else "",
                ]
                for attempt in job.attempts
            ],
            right=(0, 2),
        )


def document(job: JobRecord) -> dict[str, Any]:
    """A job as --json prints it."""
    return {
        "name": job.name,
        "state": job.state.value,
        "kind": job.kind,
        "labels": job.labels,
        "priority": job.priority,
        "creator": job.creator,
        **{
            name: None if time is None else time.isoformat()
            for name, time in (
                ("create_time", job.create_time),
                ("start_time", job.start_time),
                ("end_time", job.end_time),
                ("update_time", job.update_time),
                ("not_before_time", job.not_before_time),
                ("deadline_time", job.deadline_time),
            )
        },
        "attempt_count": job.attempt_count,
        "revision": job.revision,
        "spec_digest": job.spec_digest,
        "progress": None if job.newest is None else _progress(job.newest),
        "error": _error(job.error),
        "attempts": [
            {
                "number": attempt.number,
                "worker": attempt.worker,
                "start_time": attempt.start_time.isoformat(),
                "end_time": attempt.end_time.isoformat() if attempt.end_time else None,
                "outcome": attempt.outcome,
                "error": _error(attempt.error),
            }
            for attempt in job.attempts
        ],
    }


def event_document(event: JobEvent) -> dict[str, Any]:
    """A change as --json prints it, on a line of its own."""
    return {
        "revision": event.revision,
        "time": event.time.isoformat(),
        "job": event.job,
        "type": event.type.value,
        "state": event.state.value,
        "reason": event.reason,
        "actor": event.actor,
        "attempt": event.attempt,
        "labels": event.labels,
        "kind": event.kind,
        "progress": None if event.progress is None else _progress(event.progress),
        "error": _error(event.error),
    }


def documents(jobs: Iterable[JobRecord]) -> list[dict[str, Any]]:
    return [document(job) for job in jobs]


def _progress(told: ProgressEvent) -> dict[str, Any]:
    return {
        "time_s": told.time_s,
        "objective": told.objective,
        "bound": told.bound,
        "gap": told.gap,
        "solver": told.solver,
        "work": told.work,
    }


def _error(error: KetgateError | None) -> dict[str, str] | None:
    if error is None:
        return None
    return {"reason": error.reason, "code": error.code, "message": error.message}
