"""WatchJobs over a wire: order, resumption, filters, heartbeats, and how a watch ends."""

import itertools
import threading
import time

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from ketgate.jobs.v1 import job_pb2
from ketgate.jobs.v1 import job_service_pb2 as pb
from ketgate.jobs.v1 import job_service_pb2_grpc as services
from ketgate_server.jobs.policy import Retention
from ketgate_server.jobs.watch import WRITE_LIMIT_S

from .conftest import OVER, TIMEOUT_S, until

CODE = grpc.StatusCode
HOUR = Duration(seconds=3600)
JOB = "jobs/01hf7yat000000000000000000"


def events(watch):
    return (event for message in watch for event in message.events)


def until_over(watch, count=1):
    """The events until so many jobs are over; then the watch is ended."""
    seen, over = [], 0
    for event in events(watch):
        seen.append(event)
        over += event.state in OVER
        if over == count:
            break
    watch.cancel()
    return seen


def test_every_change_once_in_order(caller):
    names = [caller.create(i).name for i in range(20)]
    for name in names:
        caller.wait(name)
    seen = until_over(caller.watch(start_revision=1), count=20)
    revisions = [event.revision for event in seen]
    assert revisions == sorted(set(revisions))
    for name in names:
        states = [event.state for event in seen if event.job == name]
        assert states == [1, 3, 5]
    first = seen[0]
    assert (first.type, first.kind) == (job_pb2.JOB_EVENT_TYPE_CREATED, "solve")
    assert first.actor == caller.get(names[0]).creator
    assert first.time == caller.get(names[0]).create_time


def test_from_now_on_and_a_first_message_that_tells_where(caller):
    caller.wait(caller.create().name)
    watch = caller.watch()
    first = next(watch)
    assert not first.events
    name = caller.create().name
    seen = until_over(watch)
    assert {event.job for event in seen} == {name}
    assert seen[0].revision >= first.next_revision


def test_resumed_at_every_message_nothing_is_missed_or_repeated(caller):
    """The caller is cut off after each message and goes on at next_revision, while jobs are made."""
    names = []

    def create():
        for i in range(30):
            names.append(caller.create(i).name)

    maker = threading.Thread(target=create)
    maker.start()
    seen, start = [], 1
    while sum(event.state in OVER for event in seen) < 30:
        watch = caller.watch(start_revision=start)
        for message in watch:
            seen += message.events
            start = message.next_revision
            if message.events:
                break
        watch.cancel()
    maker.join(TIMEOUT_S)
    whole = until_over(caller.watch(start_revision=1), count=30)
    assert seen == whole
    assert {event.job for event in whole} == set(names)


def test_names_and_states_only(job_server, caller):
    seed, gate = job_server.gate()
    wanted, other = caller.create(seed).name, caller.create().name
    watch = caller.watch(start_revision=1, names=[wanted], states_only=True)
    gate.wait_entered()
    caller.wait(other)
    gate.open.set()
    seen = until_over(watch)
    assert {event.job for event in seen} == {wanted}
    assert [event.state for event in seen] == [1, 3, 5]


def test_signs_of_life(caller):
    watch = caller.watch(heartbeat=Duration(seconds=1))
    messages = list(itertools.islice(watch, 2))
    watch.cancel()
    assert all(not message.events for message in messages)
    assert messages[1].next_revision >= messages[0].next_revision > 0


def test_a_deleted_job_is_told(caller):
    name = caller.create(delay=HOUR).name
    caller.call("CancelJob", pb.CancelJobRequest(name=name, reason="why"))
    caller.call("DeleteJob", pb.DeleteJobRequest(name=name))
    watch = caller.watch(start_revision=1, names=[name])
    seen = list(itertools.islice(events(watch), 3))
    watch.cancel()
    assert [event.type for event in seen] == [
        job_pb2.JOB_EVENT_TYPE_CREATED,
        job_pb2.JOB_EVENT_TYPE_STATE_CHANGED,
        job_pb2.JOB_EVENT_TYPE_DELETED,
    ]
    assert seen[1].error.code == CODE.CANCELLED.value[0]
    assert "why" in seen[1].reason


BAD = [
    (pb.WatchJobsRequest(start_revision=-1), "start_revision"),
    (pb.WatchJobsRequest(names=["jobs/x"]), "names[0]"),
    (pb.WatchJobsRequest(names=[JOB, ""]), "names[1]"),
    (pb.WatchJobsRequest(names=[JOB] * 101), "names"),
    (pb.WatchJobsRequest(heartbeat=Duration(nanos=999_999_999)), "heartbeat"),
    (pb.WatchJobsRequest(heartbeat=Duration(seconds=61)), "heartbeat"),
    (pb.WatchJobsRequest(heartbeat=Duration(seconds=-1, nanos=1)), "heartbeat"),
]


@pytest.mark.parametrize(("request_", "field"), BAD)
def test_a_bad_request_names_its_field(caller, refused, request_, field):
    refusal = refused(lambda: caller.call("WatchJobs", request_))
    assert (refusal.code, refusal.reason) == (CODE.INVALID_ARGUMENT, "FIELD_INVALID")
    assert refusal.details["BadRequest"].field_violations[0].field == field


def test_a_revision_in_the_future_is_refused(caller, refused):
    """It was waited for: a watch that was resumed after a back-up had been restored missed without
    a word what came until then."""
    refusal = refused(lambda: caller.watch(start_revision=1 << 40))
    assert (refusal.code, refusal.reason) == (CODE.OUT_OF_RANGE, "REVISION_COMPACTED")
    assert "back-up" in refusal.message


def test_what_is_not_kept_any_more(make_job_server, refused):
    server = make_job_server()
    caller = server.caller()
    for _ in range(5):
        caller.wait(caller.create().name)
    jobs = server.durable.jobs.store
    while jobs.retain(Retention(jobs_us=None, events_us=None, events_max=2, replies_us=None)):
        pass
    refusal = refused(lambda: caller.watch(start_revision=1))
    assert (refusal.code, refusal.reason) == (CODE.OUT_OF_RANGE, "REVISION_COMPACTED")
    listed = caller.call("ListJobs", pb.ListJobsRequest())
    assert len(listed.jobs) == 5
    watch = caller.watch(start_revision=listed.revision + 1)
    next(watch)
    watch.cancel()


def test_watches_have_threads_of_their_own_and_a_limit(make_job_server, refused):
    server = make_job_server(rpc__watches_max=2, rpc__calls_max=2, rpc__streams_max=1)
    caller = server.caller()
    watches = [caller.watch() for _ in range(2)]
    for watch in watches:
        next(watch)
    refusal = refused(caller.watch)
    assert (refusal.reason, refusal.info.metadata["limit"]) == ("SERVER_BUSY", "rpc.watches_max")
    name = caller.create().name
    assert caller.wait(name).state == 5
    for watch in watches:
        assert {event.job for event in until_over(watch)} == {name}


def test_a_watch_that_is_cancelled_leaves_nothing_behind(make_job_server):
    server = make_job_server(rpc__watches_max=1)
    caller = server.caller()
    hub = server.durable.jobs.hub
    for _ in range(3):
        watch = caller.watch()
        next(watch)
        assert hub.watchers == 1
        watch.cancel()
        until(lambda: not hub.watchers)  # its thread is told at once, and needs a moment


def test_a_drain_ends_watches_and_waits_at_once(make_job_server):
    server = make_job_server()
    caller = server.caller()
    name = caller.create(delay=HOUR).name
    watch = caller.watch(heartbeat=Duration(seconds=60))
    next(watch)
    waiting = server.stub.WaitJob.future(
        pb.WaitJobRequest(name=name), metadata=caller.metadata, timeout=TIMEOUT_S
    )
    until(lambda: server.durable.jobs.hub.waiters)
    server.durable.begin_drain(0.0)
    for ended in (lambda: next(watch), waiting.result):
        with pytest.raises(grpc.RpcError) as caught:
            ended()
        assert caught.value.code() is CODE.UNAVAILABLE
        assert b"DRAINING" in dict(caught.value.trailing_metadata())["grpc-status-details-bin"]


def test_many_watchers_of_one_tenant_all_see_everything(make_job_server):
    caller = make_job_server().caller()
    watches = [caller.watch(start_revision=1) for _ in range(60)]
    names = {caller.create(i).name for i in range(5)}
    for watch in watches:
        seen = until_over(watch, count=5)
        assert {event.job for event in seen} == names
        assert len(seen) == 15


@pytest.fixture
def narrow_channel(make_job_server):
    """A server, and a channel to it that holds little: its window does not grow with the line."""
    server = make_job_server()
    with grpc.insecure_channel(server.address, [("grpc.http2.bdp_probe", 0)]) as channel:
        yield server, channel


def test_a_caller_that_does_not_read_is_told_to_resume(narrow_channel):
    """The server waits for the caller to read what is on its way, and when that takes too long by the hub's clock, says
    so and where to resume."""
    server, channel = narrow_channel
    caller = server.caller()
    hub = server.durable.jobs.hub
    labels = {f"k{i}": "\N{EURO SIGN}" * 63 for i in range(16)}
    for _ in range(300):
        caller.create(labels=labels, delay=HOUR)
    late_s = [0.0]
    hub.clock = lambda: time.monotonic() + late_s[0]
    watch = services.JobServiceStub(channel).WatchJobs(
        pb.WatchJobsRequest(start_revision=1), metadata=caller.metadata, timeout=TIMEOUT_S
    )
    same, on_its_way = 0, None
    while same < 100:  # a message that stays on its way, not one that is passing
        before, on_its_way = on_its_way, [w.writing_since_s for w in hub._all_watchers()]
        stays = on_its_way == before and on_its_way not in ([], [None])
        same = same + 1 if stays else 0
        threading.Event().wait(0.001)
    late_s[0] = WRITE_LIMIT_S + 1
    messages, ended = [], None
    try:
        messages += watch
    except grpc.RpcError as error:
        ended = error
    assert ended.code() is CODE.ABORTED
    assert b"WATCH_TOO_SLOW" in dict(ended.trailing_metadata())["grpc-status-details-bin"]
    resume = messages[-1].next_revision
    assert f"resume at {resume}" in ended.details()
    seen = [event for message in messages for event in message.events]
    assert 0 < len(seen) < 300
    rest = caller.watch(start_revision=resume)
    seen += itertools.islice(events(rest), 300 - len(seen))
    rest.cancel()
    assert [event.revision for event in seen] == list(range(1, 301))
