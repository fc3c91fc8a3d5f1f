"""Large arrays of results become artifacts, and a result is never lost for the want of room."""

import pytest
from ketgate.jobs.v1 import job_pb2
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.jobs.base import Claim, Ending, Outcome
from ketgate_server.jobs.executors.large_results import LargeResults
from ketgate_server.store.base import StoreUnavailable

CLAIM = Claim(7, "id", "desk", "solve", b"", 1, 9, None)


class Ends:
    """An executor whose attempts are over when they start."""

    room = 3

    def __init__(self, ending: Ending) -> None:
        self.ending = ending

    def start(self, claim, *, remaining_s, progress, checkpoint, end):
        end(self.ending)


class Kept:
    """Arrays that were kept; error: instead of that."""

    def __init__(self, error: Exception | None = None) -> None:
        self.tenants: list[str] = []
        self.contents: list[bytes] = []
        self.error = error

    def of(self, tenant: str) -> "Kept":
        self.tenants.append(tenant)
        return self

    def keep(self, content) -> str:
        if self.error is not None:
            raise self.error
        self.contents.append(bytes(content))
        return f"artifacts/{len(self.contents):064d}"


def result(*sizes: int) -> bytes:
    made = job_pb2.JobResult()
    for size in sizes:
        made.solve.solutions.add().values.data = b"x" * size
    return made.SerializeToString()


def ended(ending: Ending, kept: Kept) -> Ending:
    told: list[Ending] = []
    executor = LargeResults(Ends(ending), kept.of, 100)
    assert executor.room == 3
    executor.start(
        CLAIM, remaining_s=1.0, progress=lambda _: None, checkpoint=print, end=told.append
    )
    assert len(told) == 1
    return told[0]


def test_large_arrays_are_kept_apart_and_small_ones_stay():
    kept = Kept()
    ending = ended(Ending(Outcome.SUCCEEDED, result=result(500, 100, 101)), kept)
    values = [s.values for s in job_pb2.JobResult.FromString(ending.result).solve.solutions]
    assert [value.WhichOneof("values") for value in values] == ["artifact", "data", "artifact"]
    assert ending.artifacts == [f"{n:064d}" for n in (1, 2)]
    assert kept.tenants == ["desk"]
    assert [len(content) for content in kept.contents] == [500, 101]


@pytest.mark.parametrize("content", [None, result(50)], ids=["none", "small"])
def test_what_is_small_is_not_looked_at(content):
    kept = Kept()
    ending = Ending(Outcome.STOPPED, result=content)
    assert ended(ending, kept) is ending
    assert not kept.tenants


@pytest.mark.parametrize(
    "error",
    [
        KetgateError(Reason.QUOTA_EXCEEDED, "full"),
        StoreUnavailable("no disk"),
        ZeroDivisionError("a fault of ours"),
    ],
)
def test_what_cannot_be_kept_stays_in_the_result(error, caplog):
    ending = Ending(Outcome.SUCCEEDED, result=result(500))
    assert ended(ending, Kept(error)) is ending
    assert "stay in its result" in caplog.text
