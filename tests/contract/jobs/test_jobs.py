"""JobService over a wire: what is accepted, told, cancelled and deleted, and what is refused."""

import hashlib
import threading
import uuid

import grpc
import pytest
from google.longrunning import operations_pb2 as lro
from google.protobuf.duration_pb2 import Duration
from ketgate.jobs.v1 import job_pb2
from ketgate.jobs.v1 import job_service_pb2 as pb
from ketgate_server.errors import KetgateError, Reason

from .conftest import TIMEOUT_S, creation, until

CODE = grpc.StatusCode
QUEUED, RUNNING, CANCELLING = 1, 3, 4
SUCCEEDED, FAILED, CANCELLED, EXPIRED = 5, 6, 7, 8
FULL = pb.JOB_VIEW_FULL
NO_JOB = "jobs/01hf7yat000000000000000000"


def test_a_job_from_its_creation_to_its_result(caller):
    job = caller.create(7, labels={"desk": "fx"}, priority=3)
    assert (job.state, job.kind, job.priority, dict(job.labels)) == (
        QUEUED,
        "solve",
        3,
        {"desk": "fx"},
    )
    assert job.name == f"jobs/{job.uid}"
    assert job.spec_digest == "07" * 32
    done = caller.wait(job.name, view=FULL)
    assert done.state == SUCCEEDED
    assert (done.spec.solve.seed, done.result.solve.seed) == (7, 7)
    assert [a.outcome for a in done.attempts] == [job_pb2.ATTEMPT_OUTCOME_SUCCEEDED]
    assert done.etag != job.etag
    assert done.create_time.ToNanoseconds() <= done.start_time.ToNanoseconds()
    assert done.start_time.ToNanoseconds() <= done.end_time.ToNanoseconds()
    assert caller.get(job.name, view=FULL) == done


def test_views(caller):
    name = caller.create().name
    caller.wait(name)
    for basic in (caller.get(name), caller.get(name, view=pb.JOB_VIEW_BASIC), caller.wait(name)):
        assert not basic.HasField("spec")
        assert not basic.HasField("result")
        assert len(basic.attempts) == 1


def test_progress_is_told_while_it_runs(job_server, caller):
    seed, gate = job_server.gate()
    name = caller.create(seed).name
    gate.wait_entered()
    watch = caller.watch(start_revision=1, names=[name])
    events = (event for message in watch for event in message.events)
    progress = next(e for e in events if e.type == job_pb2.JOB_EVENT_TYPE_PROGRESS).progress
    watch.cancel()
    assert (progress.objective, progress.solver, progress.attempt) == (1.5, "gate", 1)
    assert caller.get(name).progress == progress
    gate.open.set()
    assert caller.wait(name).state == SUCCEEDED


def test_a_job_may_wait_and_may_expire(caller):
    waiting = caller.create(delay=Duration(seconds=3600))
    assert waiting.not_before_time.seconds - waiting.create_time.seconds == 3600
    assert caller.get(waiting.name).state == QUEUED
    expiring = caller.create(timeout=Duration(nanos=1))
    over = caller.wait(expiring.name)
    assert over.state == EXPIRED
    assert over.error.code == CODE.DEADLINE_EXCEEDED.value[0]


@pytest.mark.parametrize("validate_only", [False, True])
@pytest.mark.parametrize("delay_nanos", [500_000_000, 500_000_001])
def test_a_job_that_could_only_expire_is_refused(caller, refused, delay_nanos, validate_only):
    timeout = Duration(nanos=500_000_000)
    times = {"delay": Duration(nanos=delay_nanos), "timeout": timeout}
    refusal = refused(lambda: caller.create(**times, validate_only=validate_only))
    [violation] = refusal.details["BadRequest"].field_violations
    assert (refusal.reason, violation.field) == ("FIELD_INVALID", "timeout")
    assert "more than `delay`" in refusal.message
    assert caller.create(delay=Duration(nanos=499_000_000), timeout=timeout).state == QUEUED


def test_a_deadline_stops_what_runs_and_keeps_the_best(job_server, caller):
    seed, gate = job_server.gate()
    job = caller.create(seed, timeout=Duration(nanos=300_000_000))
    gate.wait_entered()
    over = caller.wait(job.name, view=FULL)
    assert (over.state, over.result.solve.seed) == (EXPIRED, seed)


def test_cancelling_what_waits_and_what_runs(job_server, caller):
    seed, gate = job_server.gate()
    running = caller.create(seed).name
    gate.wait_entered()
    waiting = caller.create(delay=Duration(seconds=3600)).name
    cancelled = caller.call("CancelJob", pb.CancelJobRequest(name=waiting, reason="not needed"))
    assert cancelled.job.state == CANCELLED
    assert "not needed" in cancelled.job.error.message
    assert caller.call("CancelJob", pb.CancelJobRequest(name=running)).job.state in {
        CANCELLING,
        CANCELLED,
    }
    over = caller.wait(running, view=FULL)
    assert (over.state, over.result.solve.seed) == (CANCELLED, seed)
    again = caller.call("CancelJob", pb.CancelJobRequest(name=running)).job
    assert again.etag == over.etag  # it stays as it is


def test_a_failed_job_tells_whose_fault_it_is(job_server, caller):
    seed, gate = job_server.gate()
    gate.error = KetgateError(Reason.LIMIT_EXCEEDED, "too large", limit="memory")
    gate.open.set()
    over = caller.wait(caller.create(seed).name)
    assert over.state == FAILED
    assert over.error.message == "too large"
    assert over.attempts[-1].outcome == job_pb2.ATTEMPT_OUTCOME_CALLER_ERROR


def test_deleting(caller, refused):
    job = caller.create(delay=Duration(seconds=3600))
    request = pb.DeleteJobRequest(name=job.name)
    refusal = refused(lambda: caller.call("DeleteJob", request))
    assert (refusal.code, refusal.reason) == (CODE.FAILED_PRECONDITION, "JOB_UNFINISHED")
    now = caller.call("CancelJob", pb.CancelJobRequest(name=job.name)).job
    stale = pb.DeleteJobRequest(name=job.name, etag=job.etag)
    refusal = refused(lambda: caller.call("DeleteJob", stale))
    assert (refusal.code, refusal.reason) == (CODE.ABORTED, "ETAG_MISMATCH")
    caller.call("DeleteJob", pb.DeleteJobRequest(name=job.name, etag=now.etag, request_id="d"))
    assert refused(lambda: caller.get(job.name)).reason == "RESOURCE_NOT_FOUND"
    caller.call("DeleteJob", pb.DeleteJobRequest(name=job.name, etag=now.etag, request_id="d"))
    assert refused(lambda: caller.call("DeleteJob", request)).reason == "RESOURCE_NOT_FOUND"


def test_the_same_request_is_done_once(caller, refused):
    request_id = str(uuid.uuid4())
    job = caller.create(1, request_id=request_id, labels={"a": "1", "b": "2"})
    caller.wait(job.name)
    assert caller.create(1, request_id=request_id, labels={"b": "2", "a": "1"}) == job
    refusal = refused(lambda: caller.create(2, request_id=request_id))
    assert (refusal.code, refusal.reason) == (CODE.ALREADY_EXISTS, "REQUEST_ID_REUSED")
    assert refusal.info.metadata["resource"] == job.name
    assert len(caller.call("ListJobs", pb.ListJobsRequest()).jobs) == 1


def test_a_repeat_of_a_cancel_is_told_what_it_did(job_server, caller, refused):
    seed, gate = job_server.gate()
    name = caller.create(seed).name
    gate.wait_entered()
    request = pb.CancelJobRequest(name=name, request_id="c", reason="one")
    first = caller.call("CancelJob", request)
    caller.wait(name)
    assert caller.call("CancelJob", request) == first
    other = pb.CancelJobRequest(name=name, request_id="c", reason="two")
    assert refused(lambda: caller.call("CancelJob", other)).reason == "REQUEST_ID_REUSED"


def test_a_repeat_after_the_job_is_gone_is_not_done_again(caller, refused):
    name = caller.create(request_id="gone").name
    caller.wait(name)
    caller.call("DeleteJob", pb.DeleteJobRequest(name=name))
    refusal = refused(lambda: caller.create(request_id="gone"))
    assert (refusal.code, refusal.reason) == (CODE.FAILED_PRECONDITION, "REPLY_EXPIRED")
    assert not caller.call("ListJobs", pb.ListJobsRequest()).jobs


def test_a_refusal_does_not_use_up_the_request_id(caller, refused):
    assert refused(lambda: caller.create(priority=101, request_id="r")).reason == "FIELD_INVALID"
    assert caller.create(request_id="r").name


def test_many_callers_with_one_request_id_make_one_job(job_server, caller):
    start = threading.Barrier(8, timeout=TIMEOUT_S)
    names = set()

    def create():
        start.wait()
        names.add(caller.create(request_id="together").name)

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT_S)
    assert len(names) == 1


def test_validate_only_accepts_nothing(caller, refused):
    request = creation(
        3, validate_only=True, request_id="v", labels={"a": "b"}, timeout=Duration(seconds=60)
    )
    job = caller.call("CreateJob", request).job
    assert (job.name, job.uid, job.kind, job.state) == ("", "", "solve", QUEUED)
    assert dict(job.labels) == {"a": "b"}
    assert job.HasField("deadline_time")
    assert not job.HasField("not_before_time")
    assert not caller.call("ListJobs", pb.ListJobsRequest()).jobs
    bad = creation(validate_only=True)
    bad.spec.solve.work_limit = -1
    assert refused(lambda: caller.call("CreateJob", bad)).reason == "FIELD_INVALID"
    assert caller.create(3, request_id="v").name  # it was not used up


def bad_spec():
    request = creation()
    request.spec.solve.work_limit = -1
    return request


LONG = "x" * 201
BAD_CREATIONS = [
    (pb.CreateJobRequest(), "spec"),
    (bad_spec(), "spec.solve.work_limit"),
    (creation(request_id="x" * 129), "request_id"),
    (creation(request_id="tab\t"), "request_id"),
    (creation(priority=101), "priority"),
    (creation(priority=-101), "priority"),
    (creation(labels={"": "v"}), "labels"),
    (creation(labels={f"k{i}": "v" for i in range(17)}), "labels"),
    (creation(labels={"UPPER": "v"}), "labels"),
    (creation(labels={"k" * 64: "v"}), "labels"),
    (creation(labels={"k": "v" * 64}), "labels[k]"),
    (creation(labels={"k": "a\nb"}), "labels[k]"),
    (creation(delay=Duration(seconds=-1)), "delay"),
    (creation(delay=Duration(seconds=365 * 86_400 + 1)), "delay"),
    (creation(delay=Duration(seconds=1, nanos=-1)), "delay"),
    (creation(timeout=Duration()), "timeout"),
    (creation(timeout=Duration(seconds=-1)), "timeout"),
    (creation(timeout=Duration(seconds=365 * 86_400 + 1)), "timeout"),
    (creation(timeout=Duration(nanos=1_000_000_000)), "timeout"),
]
BAD_REQUESTS = [
    ("GetJob", pb.GetJobRequest(), "name"),
    ("GetJob", pb.GetJobRequest(name="operations/x"), "name"),
    ("GetJob", pb.GetJobRequest(name=NO_JOB, view=9), "view"),
    ("CancelJob", pb.CancelJobRequest(), "name"),
    ("CancelJob", pb.CancelJobRequest(name=NO_JOB, reason=LONG), "reason"),
    ("CancelJob", pb.CancelJobRequest(name=NO_JOB, request_id="\u00e4"), "request_id"),
    ("DeleteJob", pb.DeleteJobRequest(), "name"),
    ("DeleteJob", pb.DeleteJobRequest(name=NO_JOB, etag=LONG), "etag"),
    ("WaitJob", pb.WaitJobRequest(), "name"),
    ("WaitJob", pb.WaitJobRequest(name=NO_JOB, timeout=Duration(seconds=-1)), "timeout"),
    ("WaitJob", pb.WaitJobRequest(name=NO_JOB, view=9), "view"),
    ("ListJobs", pb.ListJobsRequest(page_size=-1), "page_size"),
    ("ListJobs", pb.ListJobsRequest(page_token="x"), "page_token"),
    ("ListJobs", pb.ListJobsRequest(filter="state ="), "filter"),
    ("ListJobs", pb.ListJobsRequest(order_by="priority"), "order_by"),
]


@pytest.mark.parametrize(("request_", "field"), BAD_CREATIONS)
def test_a_bad_creation_names_its_field(caller, refused, request_, field):
    refusal = refused(lambda: caller.call("CreateJob", request_))
    assert (refusal.code, refusal.reason) == (CODE.INVALID_ARGUMENT, "FIELD_INVALID")
    assert refusal.details["BadRequest"].field_violations[0].field == field
    assert refusal.message.startswith(field)


@pytest.mark.parametrize(("method", "request_", "field"), BAD_REQUESTS)
def test_a_bad_request_names_its_field(caller, refused, method, request_, field):
    refusal = refused(lambda: caller.call(method, request_))
    assert (refusal.code, refusal.reason) == (CODE.INVALID_ARGUMENT, "FIELD_INVALID")
    assert refusal.details["BadRequest"].field_violations[0].field == field


def test_lists_filter_order_and_page(caller):
    names = [caller.create(labels={"n": str(i % 2)}, priority=i).name for i in range(5)]
    for name in names:
        caller.wait(name)

    def listed(**fields):
        answer = caller.call("ListJobs", pb.ListJobsRequest(**fields))
        return [job.name for job in answer.jobs], answer.next_page_token

    assert listed() == (names[::-1], "")
    assert listed(order_by="create_time")[0] == names
    assert listed(filter='labels.n = "1" AND state = SUCCEEDED')[0] == [names[3], names[1]]
    first, token = listed(page_size=2)
    second, token = listed(page_size=2, page_token=token)
    third, token = listed(page_size=2, page_token=token)
    assert (first + second + third, token) == (names[::-1], "")


def test_a_page_is_at_most_1000_jobs(caller):
    assert caller.call("ListJobs", pb.ListJobsRequest(page_size=2**31 - 1)).jobs == []


def test_a_list_tells_from_where_to_watch(caller):
    name = caller.create().name
    caller.wait(name)
    revision = caller.call("ListJobs", pb.ListJobsRequest()).revision
    other = caller.create().name
    watch = caller.watch(start_revision=revision + 1)
    first = next(event for message in watch for event in message.events)
    watch.cancel()
    assert first.job == other


def test_a_wait_ends_with_its_time_and_with_its_caller(job_server, caller):
    seed, gate = job_server.gate()
    name = caller.create(seed).name
    gate.wait_entered()
    assert caller.wait(name, timeout=Duration()).state == RUNNING
    assert caller.wait(name, timeout=Duration(nanos=50_000_000)).state == RUNNING
    # The call's deadline, less a margin: an answer, not DEADLINE_EXCEEDED.
    job = caller.call("WaitJob", pb.WaitJobRequest(name=name), timeout=3.0).job
    assert job.state == RUNNING
    waiting = job_server.stub.WaitJob.future(
        pb.WaitJobRequest(name=name), metadata=caller.metadata, timeout=TIMEOUT_S
    )
    gate.open.set()
    assert waiting.result().job.state == SUCCEEDED


def test_a_wait_for_a_job_that_is_deleted_meanwhile(caller, refused):
    job = caller.create(delay=Duration(seconds=3600))
    caller.call("CancelJob", pb.CancelJobRequest(name=job.name))
    caller.call("DeleteJob", pb.DeleteJobRequest(name=job.name))
    assert refused(lambda: caller.wait(job.name)).code is CODE.NOT_FOUND


def test_a_tenant_has_so_many_unfinished_jobs(make_job_server, refused):
    caller = make_job_server(jobs__unfinished_max=2).caller()
    names = [caller.create(delay=Duration(seconds=3600)).name for _ in range(2)]
    refusal = refused(caller.create)
    assert (refusal.code, refusal.reason) == (CODE.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED")
    assert refusal.details["QuotaFailure"].violations[0].subject == "jobs.unfinished_max"
    caller.call("CancelJob", pb.CancelJobRequest(name=names[0]))
    assert caller.create().name


def test_long_polls_have_threads_of_their_own(make_job_server, refused):
    server = make_job_server(rpc__waits_max=1, rpc__calls_max=2, rpc__streams_max=1)
    caller = server.caller()
    seed, gate = server.gate()
    name = caller.create(seed).name
    gate.wait_entered()
    waiting = server.stub.WaitJob.future(
        pb.WaitJobRequest(name=name), metadata=caller.metadata, timeout=TIMEOUT_S
    )
    until(lambda: server.durable.jobs.hub.waiters)
    refusal = refused(lambda: caller.wait(name))
    assert (refusal.reason, refusal.info.metadata["limit"]) == ("SERVER_BUSY", "rpc.waits_max")
    assert caller.get(name).state == RUNNING  # the one unary thread is free
    gate.open.set()
    assert waiting.result().job.state == SUCCEEDED


def test_both_roles_are_needed(job_server, refused):
    for roles, missing in (
        (("optimization.user",), "jobs.user"),
        (("jobs.user",), "optimization.user"),
    ):
        refusal = refused(job_server.caller(roles=roles).create)
        assert (refusal.code, refusal.reason) == (CODE.PERMISSION_DENIED, "ROLE_MISSING")
        assert refusal.info.metadata["role"] == missing
    assert job_server.caller(roles=("admin",)).create().name


class TestTenants:
    """One tenant never sees, guesses or touches another's jobs."""

    @pytest.fixture
    def mine(self, caller):
        return caller.create(delay=Duration(seconds=3600), request_id="same")

    @pytest.fixture
    def stranger(self, job_server):
        return job_server.caller()

    @pytest.mark.parametrize(
        ("method", "request_type"),
        [
            ("GetJob", pb.GetJobRequest),
            ("CancelJob", pb.CancelJobRequest),
            ("DeleteJob", pb.DeleteJobRequest),
            ("WaitJob", pb.WaitJobRequest),
        ],
    )
    def test_by_name(self, caller, stranger, mine, refused, method, request_type):
        theirs = refused(lambda: stranger.call(method, request_type(name=mine.name)))
        none = refused(lambda: stranger.call(method, request_type(name=NO_JOB)))
        assert (theirs.code, theirs.reason) == (none.code, none.reason)
        assert theirs.code is CODE.NOT_FOUND
        assert theirs.message.replace(mine.name, NO_JOB) == none.message
        assert caller.get(mine.name).state == QUEUED

    def test_by_request_id(self, stranger, mine):
        other = stranger.create(delay=Duration(seconds=3600), request_id="same")
        assert other.name != mine.name

    def test_by_list_and_page_token(self, caller, stranger, mine, refused):
        caller.create()
        token = caller.call("ListJobs", pb.ListJobsRequest(page_size=1)).next_page_token
        assert token
        assert not stranger.call("ListJobs", pb.ListJobsRequest()).jobs
        stolen = pb.ListJobsRequest(page_size=1, page_token=token)
        refusal = refused(lambda: stranger.call("ListJobs", stolen))
        assert refusal.reason == "FIELD_INVALID"

    def test_by_watch(self, caller, stranger, mine):
        watch = stranger.watch(start_revision=1, names=[mine.name])
        every = stranger.watch(start_revision=1)
        caller.call("CancelJob", pb.CancelJobRequest(name=mine.name))
        own = stranger.create(delay=Duration(seconds=3600))
        first = next(event for message in every for event in message.events)
        assert first.job == own.name
        watch.cancel()
        every.cancel()

    def test_an_administrator_of_another_tenant_is_a_stranger_too(self, job_server, mine, refused):
        admin = job_server.caller(roles=("admin",))
        assert refused(lambda: admin.get(mine.name)).code is CODE.NOT_FOUND


def test_the_audit_tells_what_was_done_and_what_was_refused(make_job_server, refused):
    server = make_job_server()
    caller = server.caller(tenant="audited")
    name = caller.create(delay=Duration(seconds=3600)).name
    caller.call("CancelJob", pb.CancelJobRequest(name=name))
    refused(lambda: caller.create(priority=101))
    refused(lambda: caller.call("DeleteJob", pb.DeleteJobRequest(name=NO_JOB)))
    refused(lambda: caller.get(NO_JOB))  # changes nothing, so it is not told
    caller.call("DeleteJob", pb.DeleteJobRequest(name=name))
    actor = caller.subject
    told = [entry for entry in server.audited() if entry[0] == actor]
    assert told == [
        (actor, "CreateJob", name, "OK"),
        (actor, "CancelJob", name, "OK"),
        (actor, "CreateJob", "", "FIELD_INVALID"),
        (actor, "DeleteJob", NO_JOB, "RESOURCE_NOT_FOUND"),
        (actor, "DeleteJob", name, "OK"),
    ]


def test_the_audit_tells_what_was_asked_for_accepted_or_refused(make_job_server, refused):
    server = make_job_server()
    caller = server.caller(tenant="audited")
    request = creation(priority=101)
    asked = hashlib.sha256(request.SerializeToString(deterministic=True)).digest()
    request.request_id = "r-1"  # which does not count
    refused(lambda: caller.call("CreateJob", request))
    refused(lambda: caller.call("DeleteJob", pb.DeleteJobRequest(name="x" * 1000)))
    cancel = lro.CancelOperationRequest(name="operations/none")
    refused(lambda: caller.empty("CancelOperation", cancel))
    unreadable = server.channel.unary_unary("/ketgate.jobs.v1.JobService/CreateJob")
    refused(lambda: unreadable(b"\xff", metadata=caller.metadata, timeout=TIMEOUT_S))
    request.priority = 1
    taken = hashlib.sha256(creation(priority=1).SerializeToString(deterministic=True)).digest()
    caller.call("CreateJob", request)  # after them in the queue of the store
    accepted = [entry for entry in server.audit_payloads() if entry.resource.startswith("jobs/")]
    assert [entry.request_digest for entry in accepted] == [taken]
    created, deleted, cancelled, malformed = [
        entry for entry in server.audit_payloads() if entry.outcome != "OK"
    ]
    assert (created.resource, created.request_digest) == ("", asked)
    assert (len(deleted.resource), len(deleted.request_digest)) == (200, 32)
    digest = hashlib.sha256(cancel.SerializeToString(deterministic=True)).digest()
    assert (cancelled.resource, cancelled.request_digest) == ("operations/none", digest)
    assert (malformed.outcome, malformed.request_digest) == ("MALFORMED_MESSAGE", b"")


def test_the_audit_tells_of_strangers(make_job_server, refused):
    server = make_job_server()
    caller = server.caller()
    caller.metadata = (("authorization", "Bearer wrong"),)
    refused(caller.create)
    server.caller().create()  # after it in the queue of the store
    assert ("unknown", "login.failed", "", "TOKEN_INVALID") in server.audited()


def test_a_store_that_is_gone_is_told_as_that(make_job_server, refused):
    server = make_job_server()
    caller = server.caller()
    caller.create()
    server.durable.begin_drain(0.0)
    server.durable.close()
    refusal = refused(caller.create)
    assert (refusal.code, refusal.reason) == (CODE.UNAVAILABLE, "STORE_UNAVAILABLE")
    assert refusal.details["RetryInfo"].retry_delay.ToMilliseconds() > 0
