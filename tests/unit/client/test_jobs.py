"""What the client makes of jobs: requests that may be repeated, watches without gap or repeat, results."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import grpc
import ketgate
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from ketgate._job_requests import create
from ketgate._retry import Patience, Retry
from ketgate.jobs.v1 import job_pb2
from ketgate.jobs.v1 import job_service_pb2 as pb
from ketgate.optimization.v1 import optimization_service_pb2 as service_pb2
from ketgate.optimization.v1 import result_pb2
from ketgate.type.v1 import tensor_pb2

from .fake_server import Behaviour, FakeServer, answering, failing

Code = grpc.StatusCode
QUICK = Retry(attempts_max=3, delay_s_initial=0.001, delay_s_max=0.001)
NAME = "jobs/01m80vv8ts2pm0xqphbktsxwv1"
SPEC = service_pb2.SolveSpec(qubo={"num_variables": 1})
BITS = tensor_pb2.Tensor(dtype=tensor_pb2.DATA_TYPE_UINT8, shape=[1], data=b"\1")


@pytest.fixture
def quick(fake: FakeServer) -> Iterator[ketgate.Client]:
    with ketgate.connect(fake.address, insecure=True, retry=QUICK) as made:
        yield made


def job(state: str = "RUNNING", **fields: Any) -> job_pb2.Job:
    number = job_pb2.JobState.Value(f"JOB_STATE_{state}")
    return job_pb2.Job(name=NAME, state=number, revision=7, kind="solve", **fields)


def result(stop: str = "COMPLETED") -> job_pb2.JobResult:
    message = result_pb2.SolveResult(
        status=result_pb2.SOLVE_STATUS_FEASIBLE,
        stop_reason=result_pb2.StopReason.Value(f"STOP_REASON_{stop}"),
        objective=-1.0,
        solutions=[result_pb2.Solution(values=BITS, objective=-1.0)],
    )
    return job_pb2.JobResult(solve=message)


def failure(code: Code, reason: str) -> status_pb2.Status:
    packed = any_pb2.Any()
    packed.Pack(error_details_pb2.ErrorInfo(reason=reason, domain="ketgate.dev"))
    return status_pb2.Status(code=code.value[0], message="so it was", details=[packed])


def full(message: job_pb2.Job) -> pb.GetJobResponse:
    message.spec.solve.CopyFrom(SPEC)
    return pb.GetJobResponse(job=message)


def changes(*revisions: int, state: str = "RUNNING", following: int = 0) -> pb.WatchJobsResponse:
    number = job_pb2.JobState.Value(f"JOB_STATE_{state}")
    events = [
        job_pb2.JobEvent(
            revision=revision,
            job=NAME,
            type=job_pb2.JOB_EVENT_TYPE_STATE_CHANGED,
            state=number,
        )
        for revision in revisions
    ]
    last = following or (revisions[-1] + 1 if revisions else 0)
    return pb.WatchJobsResponse(events=events, next_revision=last)


def heard(requests: list[Any], kind: Any, then: Behaviour) -> Behaviour:
    """Note the request, then behave."""

    def behave(request: bytes, context: Any) -> Iterator[Any]:
        requests.append(kind.FromString(request))
        yield from then(request, context)

    return behave


def test_a_repeat_carries_the_same_request_id(fake: FakeServer, quick: ketgate.Client) -> None:
    seen: list[pb.CreateJobRequest] = []
    away = failing(Code.UNAVAILABLE, "STORE_UNAVAILABLE")
    there = answering(pb.CreateJobResponse(job=job("QUEUED")))
    fake.behave(*(heard(seen, pb.CreateJobRequest, then) for then in (away, away, there)))
    made = quick.optimize.solve(
        SPEC,
        durable=True,
        labels={"desk": "fx"},
        priority=3,
        delay=1.5,
        deadline=timedelta(hours=1),
    )
    assert made.name == NAME
    assert made.state is ketgate.JobState.QUEUED
    assert len(seen) == 3
    assert len({request.request_id for request in seen}) == 1
    assert len(seen[0].request_id) == 32
    assert seen[0].labels == {"desk": "fx"}
    assert (seen[0].priority, seen[0].delay.nanos, seen[0].timeout.seconds) == (
        3,
        500_000_000,
        3600,
    )
    assert len({metadata["x-request-id"] for _, metadata, _ in fake.calls}) == 3
    for change, kind, answer in (
        (lambda: quick.jobs.cancel(NAME, "enough"), pb.CancelJobRequest, pb.CancelJobResponse(job=job())),
        (lambda: quick.jobs.delete(NAME), pb.DeleteJobRequest, pb.DeleteJobResponse()),
    ):  # fmt: skip
        noted: list[Any] = []
        fake.behave(heard(noted, kind, away), heard(noted, kind, answering(answer)))
        change()
        assert len(noted) == 2
        assert len({request.request_id for request in noted}) == 1
        assert noted[0].name == NAME


def test_a_restart_takes_more_attempts_than_a_refusal_may(
    fake: FakeServer, quick: ketgate.Client
) -> None:
    seen: list[pb.CreateJobRequest] = []
    there = answering(pb.CreateJobResponse(job=job("QUEUED")))
    restart = [failing(Code.UNAVAILABLE, "DRAINING"), *[failing(Code.UNAVAILABLE, "")] * 8, there]
    fake.behave(*(heard(seen, pb.CreateJobRequest, then) for then in restart))
    assert quick.optimize.solve(SPEC, durable=True).name == NAME
    assert len(seen) == len(restart)
    assert len({request.request_id for request in seen}) == 1
    fake.behave(*restart[:-1], answering(pb.GetJobResponse(job=job())))
    assert quick.jobs.get(NAME).state is ketgate.JobState.RUNNING

    async def get() -> ketgate.JobState:
        async with ketgate.aio.connect(fake.address, insecure=True, retry=QUICK) as client:
            return (await client.jobs.get(NAME)).state

    fake.behave(*restart[:-1], answering(pb.GetJobResponse(job=job())))
    assert asyncio.run(get()) is ketgate.JobState.RUNNING


def test_only_a_server_that_answered_before_is_waited_for(
    fake: FakeServer, quick: ketgate.Client
) -> None:
    """An address that is wrong is told of at once."""
    gone = failing(Code.UNAVAILABLE, "")
    there = answering(pb.GetJobResponse(job=job()))
    fake.behave(gone)
    with pytest.raises(ketgate.Unavailable):
        quick.jobs.get(NAME)
    assert len(fake.calls) == QUICK.attempts_max
    fake.behave(there, *[gone] * 8, there)
    quick.jobs.get(NAME)
    assert quick.jobs.get(NAME).state is ketgate.JobState.RUNNING


@pytest.mark.parametrize("reason", ["", "DRAINING"])
def test_a_solve_does_not_wait_for_a_restart(
    fake: FakeServer, quick: ketgate.Client, reason: str
) -> None:
    for solve in (quick.optimize.solve, quick.optimize.solve_once):
        fake.behave(failing(Code.UNAVAILABLE, reason))
        with pytest.raises(ketgate.Unavailable):
            solve(SPEC)
        assert len(fake.calls) == QUICK.attempts_max


def test_an_answer_that_refuses_ends_after_as_many_attempts_as_told(
    fake: FakeServer, quick: ketgate.Client
) -> None:
    fake.behave(failing(Code.UNAVAILABLE, "STORE_UNAVAILABLE"))
    with pytest.raises(ketgate.Unavailable):
        quick.jobs.get(NAME)
    assert len(fake.calls) == QUICK.attempts_max


def test_the_wait_for_a_restart_has_an_end() -> None:
    gone = ketgate.Unavailable("gone")
    retry = Retry(attempts_max=2, delay_s_initial=1, delay_s_max=4, total_s_max=30)
    wait_s = retry.delay_s(gone, 100, 20.0, outlast=True)
    assert wait_s is not None
    assert 2 <= wait_s <= 4
    assert retry.delay_s(gone, 100, 29.5, outlast=True) is None
    assert retry.delay_s(gone, 2, 0.0) is None
    assert Retry(1).delay_s(gone, 1, 0.0, outlast=True) is None


@pytest.mark.parametrize("code", [Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED])
def test_who_gets_no_answer_is_told_how_to_ask_again(
    fake: FakeServer, client: ketgate.Client, code: grpc.StatusCode
) -> None:
    fake.behave(failing(code, ""))
    with pytest.raises(ketgate.KetgateError) as caught:
        client.optimize.solve(SPEC, durable=True, request_id="order-7")
    assert "request_id='order-7'" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"labels": {"desk": 3}}, "labels"),
        ({"labels": "desk=fx"}, "labels"),
        ({"priority": "high"}, "priority"),
        ({"request_id": ""}, "request_id"),
        ({"request_id": 7}, "request_id"),
        ({"delay": -1}, "delay"),
        ({"deadline": 0}, "deadline"),
        ({"deadline": datetime(2100, 1, 1)}, "deadline"),
        ({"deadline": datetime(2000, 1, 1, tzinfo=UTC)}, "deadline"),
    ],
)
def test_options_that_cannot_be_are_named(options: Any, field: str) -> None:
    with pytest.raises(ketgate.InvalidArgument) as caught:
        create(SPEC, options)
    assert caught.value.field == field


def test_a_deadline_may_be_a_time() -> None:
    timeout = create(SPEC, {"deadline": datetime.now(UTC) + timedelta(hours=2)}).timeout
    assert 7100 < timeout.seconds <= 7200


def test_options_of_jobs_belong_to_jobs(client: ketgate.Client) -> None:
    with pytest.raises(ketgate.InvalidArgument, match="durable=True"):
        client.optimize.qubo([[1.0]], labels={})  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="did you mean 'priority'"):
        client.optimize.solve(SPEC, durable=True, priorty=1)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        client.optimize.qubo([[1.0]], durable=True, prioritie=1)


def cuts() -> list[Behaviour]:
    """Every way in which a stream ends that is no answer to what it asked."""
    return [
        failing(Code.UNAVAILABLE, "", before=(changes(3, 4),)),
        failing(Code.ABORTED, "WATCH_TOO_SLOW"),
        failing(Code.UNAVAILABLE, "DRAINING", before=(changes(following=6),)),
        failing(Code.INTERNAL, "", before=(changes(5, 6),)),
        failing(Code.RESOURCE_EXHAUSTED, "SERVER_BUSY", retry_after_s=0.001),
        failing(Code.CANCELLED, ""),
        answering(changes(8, 9)),
        answering(changes(9, 11)),
    ]


def test_a_watch_goes_on_where_it_was_cut(fake: FakeServer, quick: ketgate.Client) -> None:
    asked: list[pb.WatchJobsRequest] = []
    fake.behave(*(heard(asked, pb.WatchJobsRequest, then) for then in cuts()))
    events = list(islice(quick.jobs.watch(3, states_only=True), 5))
    assert [event.revision for event in events] == [3, 4, 6, 8, 9]
    assert [request.start_revision for request in asked] == [3, 5, 5, 6, 7, 7, 7]
    assert all(request.states_only for request in asked)


def test_an_asynchronous_watch_goes_on_as_well(fake: FakeServer) -> None:
    async def run() -> list[int]:
        async with ketgate.aio.connect(fake.address, insecure=True, retry=QUICK) as client:
            fake.behave(*cuts())
            seen: list[int] = []
            async for event in client.jobs.watch(3):
                seen.append(event.revision)
                if event.revision == 11:
                    break
            return seen

    assert asyncio.run(run()) == [3, 4, 6, 8, 9, 11]


def test_a_watch_begins_with_its_call(fake: FakeServer, quick: ketgate.Client) -> None:
    asked: list[Any] = []
    fake.behave(
        answering(pb.ListJobsResponse(revision=41)),
        heard(asked, pb.WatchJobsRequest, answering(changes(42))),
    )
    watch = quick.jobs.watch(names=["01m80vv8ts2pm0xqphbktsxwv1"])
    assert len(fake.calls) == 1, "what happens from here on is seen, although nobody reads yet"
    assert next(watch).revision == 42
    assert asked[0].start_revision == 42
    assert list(asked[0].names) == [NAME]


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (Code.OUT_OF_RANGE, "REVISION_COMPACTED", ketgate.OutOfRange),
        (Code.UNAUTHENTICATED, "TOKEN_INVALID", ketgate.Unauthenticated),
        (Code.INTERNAL, "INTERNAL", ketgate.InternalError),
    ],
)
def test_what_cannot_be_resumed_is_raised(
    fake: FakeServer, quick: ketgate.Client, code: Code, reason: str, kind: type[Exception]
) -> None:
    fake.behave(failing(code, reason))
    with pytest.raises(kind):
        next(quick.jobs.watch(1))
    assert len(fake.calls) == 1


@pytest.mark.parametrize("start", [NAME, "x", -1, 1.5])
def test_a_watch_begins_at_a_revision(client: ketgate.Client, start: Any) -> None:
    with pytest.raises(ketgate.InvalidArgument, match="start_revision: expected") as caught:
        client.jobs.watch(start)
    assert caught.value.field == "start_revision"
    if start == NAME:
        assert f"names=['{NAME}']" in str(caught.value)


def test_a_watch_ends_with_its_client(fake: FakeServer) -> None:
    with ketgate.connect(fake.address, insecure=True) as client:
        fake.behave(answering(changes(1)))
        watch = client.jobs.watch(1)
        assert next(watch).revision == 1
    with pytest.raises(ketgate.Cancelled, match="closed"):
        next(watch)


def test_patience_is_counted_from_the_last_sign_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("ketgate._retry.time.monotonic", lambda: now)
    patience = Patience(Retry(attempts_max=2, delay_s_initial=1, delay_s_max=1, total_s_max=10))
    gone = ketgate.Unavailable("gone")
    for _ in range(9):
        assert 0.5 <= patience.after(gone) <= 1
        now += 1
    patience.heard()
    assert patience.after(gone) <= 1
    now += 9.8
    with pytest.raises(ketgate.Unavailable):
        patience.after(gone)
    with pytest.raises(ketgate.Unavailable):
        Patience(Retry(1)).after(gone)
    untrusted = ketgate.Unavailable("not trusted")
    untrusted.passes = False
    with pytest.raises(ketgate.Unavailable):
        Patience(QUICK).after(untrusted)


def test_a_wait_outlives_its_server(fake: FakeServer, quick: ketgate.Client) -> None:
    fake.behave(
        answering(pb.CreateJobResponse(job=job("QUEUED"))),
        answering(pb.WaitJobResponse(job=job("RUNNING"))),
        failing(Code.UNAVAILABLE, ""),
        failing(Code.UNAVAILABLE, "DRAINING"),
        answering(pb.WaitJobResponse(job=job("SUCCEEDED"))),
        answering(full(job("SUCCEEDED", result=result()))),
    )
    made = quick.optimize.qubo({("a", "a"): -1.0}, durable=True)
    found = made.result()
    assert isinstance(found, ketgate.BinaryResult)
    assert found.by_name == {"a": 1}, "the labels are those of the call"
    assert len(fake.calls) == 6


def test_a_wait_ends_with_its_time(fake: FakeServer, quick: ketgate.Client) -> None:
    fake.behave(answering(pb.GetJobResponse(job=job())), answering(pb.WaitJobResponse(job=job())))
    found = quick.jobs.get(NAME)
    assert found.wait(timeout=0) is ketgate.JobState.RUNNING
    with pytest.raises(ketgate.DeadlineExceeded, match="not over yet: running"):
        found.result(timeout=0)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (lambda: job("FAILED", error=failure(Code.ABORTED, "WORKER_LOST")), ketgate.Aborted),
        (lambda: job("FAILED", error=failure(Code.INVALID_ARGUMENT, "FIELD_INVALID")), ketgate.InvalidArgument),
        (lambda: job("CANCELLED", error=failure(Code.CANCELLED, "JOB_CANCELLED")), ketgate.Cancelled),
        (lambda: job("EXPIRED", error=failure(Code.DEADLINE_EXCEEDED, "JOB_EXPIRED")), ketgate.DeadlineExceeded),
    ],
)  # fmt: skip
def test_a_job_without_a_result_raises_why(
    fake: FakeServer, quick: ketgate.Client, message: Callable[[], Any], kind: type[Exception]
) -> None:
    told = message()
    fake.behave(answering(full(told)))
    found = quick.jobs.get(NAME)
    assert isinstance(found.error, kind)
    with pytest.raises(kind, match=f"{NAME}: so it was") as caught:
        found.result()
    assert isinstance(caught.value, ketgate.KetgateError)
    assert caught.value.reason == found.error.reason  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("state", "told", "expected"),
    [
        ("CANCELLED", "CANCELLED", "cancelled"),
        ("EXPIRED", "CANCELLED", "cancelled"),
        ("EXPIRED", "UNSPECIFIED", "deadline"),
    ],
)
def test_the_best_so_far_of_a_job_that_was_ended(
    fake: FakeServer, quick: ketgate.Client, state: str, told: str, expected: str
) -> None:
    error = failure(Code.CANCELLED, "JOB_CANCELLED")
    fake.behave(answering(full(job(state, error=error, result=result(told)))))
    found = quick.jobs.get(NAME).result()
    assert found.solved
    assert found.stop_reason.value == expected


def test_progress_of_a_job_is_shown_and_may_cancel_it(
    fake: FakeServer, quick: ketgate.Client
) -> None:
    def event(revision: int, objective: float) -> job_pb2.JobEvent:
        return job_pb2.JobEvent(
            revision=revision,
            type=job_pb2.JOB_EVENT_TYPE_PROGRESS,
            state=job_pb2.JOB_STATE_RUNNING,
            progress=job_pb2.JobProgress(objective=objective, solver="tabu", work=revision),
        )

    told = pb.WatchJobsResponse(
        events=[event(8, -1.0), event(9, -1.0), event(10, -2.0)], next_revision=11
    )
    fake.behave(
        answering(pb.CreateJobResponse(job=job("QUEUED"))),
        answering(told),
        answering(pb.CancelJobResponse(job=job("CANCELLED"))),
        answering(full(job("CANCELLED", result=result("CANCELLED")))),
    )
    seen: list[ketgate.ProgressEvent] = []

    def stop_at_two(event: ketgate.ProgressEvent) -> bool:
        seen.append(event)
        return event.objective != -2.0

    found = quick.optimize.qubo([[-1.0]], durable=True, progress=stop_at_two).result()
    assert [event.improved for event in seen] == [True, False, True]
    assert found.trace == seen
    assert fake.calls[2][0].endswith("/CancelJob")


def test_lists_are_paged_up_to_the_limit(fake: FakeServer, quick: ketgate.Client) -> None:
    asked: list[pb.ListJobsRequest] = []
    pages = [
        pb.ListJobsResponse(jobs=[job()] * 1000, next_page_token="more", revision=5),
        pb.ListJobsResponse(jobs=[job()] * 200, next_page_token="more", revision=9),
    ]
    fake.behave(*(heard(asked, pb.ListJobsRequest, answering(page)) for page in pages))
    found = quick.jobs.list("state = RUNNING", order_by="create_time", limit=1200)
    assert (len(found), found.revision, found.complete) == (1200, 5, False)
    assert [(r.page_size, r.page_token) for r in asked] == [(1000, ""), (200, "more")]
    assert {(r.filter, r.order_by) for r in asked} == {("state = RUNNING", "create_time")}
    fake.behave(answering(pb.ListJobsResponse(revision=9)))
    assert quick.jobs.list(limit=None).complete
    with pytest.raises(ketgate.InvalidArgument, match="limit"):
        quick.jobs.list(limit=0)


def test_what_a_newer_server_says_is_unknown_not_an_error(
    fake: FakeServer, quick: ketgate.Client
) -> None:
    attempt = job_pb2.JobAttempt(number=1, outcome=77)  # type: ignore[arg-type]
    newer = job_pb2.Job(name=NAME, state=99, attempts=[attempt])  # type: ignore[arg-type]
    fake.behave(answering(pb.GetJobResponse(job=newer)))
    found = quick.jobs.get(NAME)
    assert found.state is ketgate.JobState.UNKNOWN
    assert not found.over
    assert found.attempts[0].outcome == "unknown"
    assert "unknown" in repr(found)
    for wrong in ("", None):
        with pytest.raises(ketgate.InvalidArgument, match="jobs/ID"):
            quick.jobs.get(wrong)  # type: ignore[arg-type]
