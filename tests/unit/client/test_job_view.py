"""What the command shows of jobs and artifacts fits the terminal it is shown on."""

import io
from datetime import UTC, datetime

import pytest
from ketgate._artifact_asks import Artifact
from ketgate._cli import artifacts, job_view, show
from ketgate._job import JobRecord
from ketgate.jobs.v1 import job_pb2
from rich.console import Console

ID = "01m80vv8ts2pm0xqphbktsxwv1"


def record(state: str) -> JobRecord:
    return JobRecord(
        job_pb2.Job(
            name=f"jobs/{ID}",
            state=job_pb2.JobState.Value(f"JOB_STATE_{state}"),
            attempt_count=2,
            revision=7,
            kind="solve",
            labels={"desk": "fx", "purpose": "rebalance"},
            create_time={"seconds": int(datetime.now(UTC).timestamp()) - 59 * 60},
            start_time={"seconds": 1_000},
            update_time={"seconds": 1_000 + 119 * 60},
            progress={
                "objective": -1.23456789e-05,
                "bound": -123999.123,
                "elapsed": {"seconds": 3},
            },
        )
    )


def drawn(jobs: list[JobRecord], width: int) -> str:
    out = Console(width=width, file=io.StringIO())
    out.print(job_view.table(jobs, "Jobs", width))
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


@pytest.mark.parametrize("state", ["QUEUED", "CANCELLING", "SUCCEEDED"])
def test_a_job_is_a_line_of_a_narrow_terminal(state: str) -> None:
    told = drawn([record(state)] * 2, 80)
    rows = [line for line in told.splitlines() if ID in line]
    assert len(rows) == 2
    for row in rows:
        assert state.lower() in row
        assert "59 min ago" in row
        assert "-1.234568e-05" in row
    assert len(told.strip().splitlines()) == 5, "title, head, rule, and a line for each job"


def test_a_wide_terminal_has_all_columns() -> None:
    told = drawn([record("RUNNING")], 160)
    for part in (ID, "running", "bound", "gap", "desk=fx purpose=rebalance"):
        assert part in told


def test_no_jobs_are_no_head_of_a_table() -> None:
    assert drawn([], 80).split() == ["Jobs"]


@pytest.mark.parametrize("width", [80, 120])
def test_digests_are_whole(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = "0123456789abcdef" * 4
    now = datetime.now(UTC)
    kept = Artifact(f"artifacts/{digest}", 1_234_567_890, "application/octet-stream", now, 2, now)
    for module in (artifacts, show):
        monkeypatch.setattr(module, "console", lambda: Console(width=width))
    artifacts.print_artifacts([kept])
    told = capsys.readouterr().out
    assert any(digest in line and "1,234,567,890" in line for line in told.splitlines())
    artifacts.print_artifacts([])
    assert capsys.readouterr().out == "No artifacts\n"
