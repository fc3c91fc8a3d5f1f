"""Watches and long polls over a source of events in memory: no thread, no store, a clock of the test's own."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ketgate.jobs.v1 import job_pb2, job_service_pb2
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.jobs import hub as hub_module
from ketgate_server.jobs.hub import BATCH_EVENTS, Hub
from ketgate_server.jobs.watch import WRITE_LIMIT_S

TIMEOUT_S = 200.0
PROGRESS = job_pb2.JOB_EVENT_TYPE_PROGRESS


class Source:
    """Events in a list, in place of the store."""

    def __init__(self):
        self.all = []
        self.compacted = 0

    def add(self, tenant="t", job="jobs/a", state=job_pb2.JOB_STATE_RUNNING, kind=2):
        revision = len(self.all) + 1
        self.all.append(
            (revision, tenant, job_pb2.JobEvent(revision=revision, job=job, state=state, type=kind))
        )
        return revision

    def events(self, tenant, start_revision, limit):
        if start_revision <= self.compacted:
            raise KetgateError(Reason.REVISION_COMPACTED, "too old")
        wanted = [e for e in self.all[start_revision - 1 :] if tenant in (None, e[1])]
        return wanted[:limit]

    def revision(self):
        return len(self.all)


class Clock:
    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def source():
    return Source()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def hub(source, clock):
    return Hub(source, polls=False, clock=clock)


def drained(hub, watcher):
    """Revisions that the watcher is sent until it would sleep."""
    found, behind = [], True
    while behind:
        content, behind = hub.read(watcher)
        events = job_service_pb2.WatchJobsResponse.FromString(content).events
        found += [event.revision for event in events]
    return found


def test_a_watch_from_now_on_sees_what_comes_after(hub, source):
    source.add()
    watcher = hub.watch("t", 0)
    assert drained(hub, watcher) == []
    source.add()
    source.add()
    hub.pull()
    assert drained(hub, watcher) == [2, 3]
    assert watcher.position == 4


def test_a_watch_from_an_old_revision_reads_pages_then_the_tail(hub, source):
    for _ in range(3 * BATCH_EVENTS):
        source.add()
    watcher = hub.watch("t", 5)
    source.add()
    hub.pull()
    source.add()
    first = drained(hub, watcher)
    hub.pull()
    last = drained(hub, watcher)
    assert first + last == list(range(5, 3 * BATCH_EVENTS + 3))


def test_events_of_others_are_not_seen_but_passed_by(hub, source):
    watcher = hub.watch("t", 1)
    source.add(tenant="u")
    source.add(tenant="t")
    source.add(tenant="u")
    hub.pull()
    assert drained(hub, watcher) == [2]
    assert watcher.position == 4


def test_names_and_states_only(hub, source):
    watcher = hub.watch("t", 1, jobs=frozenset({"jobs/a"}), states_only=True)
    source.add(job="jobs/b")
    source.add(job="jobs/a")
    source.add(job="jobs/a", kind=PROGRESS)
    hub.pull()
    assert drained(hub, watcher) == [2]
    assert watcher.position == 4


def test_only_those_concerned_are_woken(hub, source):
    of_a, of_b, of_all, of_u = (
        hub.watch("t", 0, jobs=frozenset({"jobs/a"})),
        hub.watch("t", 0, jobs=frozenset({"jobs/b"})),
        hub.watch("t", 0),
        hub.watch("u", 0),
    )
    for watcher in (of_a, of_b, of_all, of_u):
        assert drained(hub, watcher) == []
    source.add(job="jobs/a")
    hub.pull()
    assert [w.asleep for w in (of_a, of_b, of_all, of_u)] == [False, True, False, True]


def test_wake_ups_are_paced(hub, source):
    watchers = [hub.watch("t", 0) for _ in range(hub_module.WAKES_AT_ONCE + 1)]
    for watcher in watchers:
        drained(hub, watcher)
    source.add()
    hub.pull()
    assert hub.wake_some() is True
    assert hub.wake_some() is False


def test_a_lagging_watcher_reads_from_the_store_again(hub, source, monkeypatch):
    monkeypatch.setattr(hub_module, "CHANGES_KEPT_MAX", 0)
    watcher = hub.watch("t", 0)
    for _ in range(10 * hub_module.CHANGES_KEPT_MIN):
        source.add()
    hub.pull()
    assert drained(hub, watcher) == list(range(1, 10 * hub_module.CHANGES_KEPT_MIN + 1))


def test_behind_what_is_kept_is_compacted(hub, source):
    for _ in range(10):
        source.add()
    source.compacted = 5
    watcher = hub.watch("t", 5)
    with pytest.raises(KetgateError) as caught:
        hub.read(watcher)
    assert caught.value.reason is Reason.REVISION_COMPACTED


def test_what_is_compacted_before_it_was_told_holds_nobody_up(hub, source):
    """The hub asked for it again and again, and told nobody of anything any more."""
    missed, waiter = hub.watch("t", 0), hub.waiter("t", "jobs/a")
    assert drained(hub, missed) == []
    for _ in range(10):
        source.add()
    source.compacted = 5
    late = hub.watch("t", 0)
    while hub.pull() or hub.wake_some():
        pass
    with pytest.raises(KetgateError) as caught:
        hub.read(missed)
    assert caught.value.reason is Reason.REVISION_COMPACTED
    assert waiter._gate.is_set()
    newest = source.add()
    hub.pull()
    assert drained(hub, late) == [newest]


def test_the_first_message_tells_where_the_watch_begins(hub, source):
    source.add()
    messages = hub.watch("t", 0).messages(10.0, lambda: False)
    first = job_service_pb2.WatchJobsResponse.FromString(next(messages))
    assert (list(first.events), first.next_revision) == ([], 2)


def test_a_message_that_waited_too_long_ends_the_watch(hub, source, clock):
    watcher = hub.watch("t", 1)
    source.add()
    hub.pull()
    messages = watcher.messages(10.0, lambda: False)
    next(messages)
    clock.now_s += WRITE_LIMIT_S + 1
    with pytest.raises(KetgateError) as caught:
        next(messages)
    assert caught.value.reason is Reason.WATCH_TOO_SLOW
    assert caught.value.metadata == {"next_revision": "2"}


def test_a_caller_that_never_reads_is_broken_off(hub, clock):
    broken = threading.Event()
    watcher = hub.watch("t", 0, break_off=broken.set)
    next(watcher.messages(10.0, lambda: False))
    clock.now_s += 2 * WRITE_LIMIT_S
    hub.break_off_unread()
    assert not broken.is_set()
    clock.now_s += 1
    hub.break_off_unread()
    assert broken.is_set()


def test_a_wait_ends_with_the_job(hub, source):
    waiter = hub.waiter("t", "jobs/a")
    source.add(job="jobs/a", state=job_pb2.JOB_STATE_RUNNING)
    source.add(job="jobs/b", state=job_pb2.JOB_STATE_SUCCEEDED)
    source.add(tenant="u", job="jobs/a", state=job_pb2.JOB_STATE_SUCCEEDED)
    hub.pull()
    assert waiter.asleep
    source.add(job="jobs/a", state=job_pb2.JOB_STATE_CANCELLED)
    hub.pull()
    hub.wake_some()
    waiter.wait(TIMEOUT_S)  # woken: returns at once
    waiter.close()
    assert (hub.waiters, hub.watchers) == (0, 0)


def test_a_drain_ends_watches_and_waits(hub):
    watcher, waiter = hub.watch("t", 0), hub.waiter("t", "jobs/a")
    messages = watcher.messages(60.0, lambda: False)
    next(messages)
    hub.begin_drain()
    for call in (lambda: next(messages), lambda: waiter.wait(TIMEOUT_S)):
        with pytest.raises(KetgateError) as caught:
            call()
        assert caught.value.reason is Reason.DRAINING


def test_nothing_is_read_while_nobody_listens(hub, source):
    source.add()
    assert hub.pull() is False
    watcher = hub.watch("t", 0)
    watcher.close()
    source.all.clear()  # it would show
    assert hub.pull() is False
    assert hub.watchers == 0


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.sampled_from("tu"), st.sampled_from("ab")),
        st.tuples(st.just("pull")),
        st.tuples(st.just("watch"), st.sampled_from("tu"), st.integers(0, 30)),
        st.tuples(st.just("read"), st.integers(0, 5)),
        st.tuples(st.just("close"), st.integers(0, 5)),
    ),
    max_size=120,
)


@given(STEPS)
def test_neither_gap_nor_repeat_in_any_order_of_things(steps):
    """Watchers come, lag and go while changes are made and told in any order: each sees exactly the changes of its
    tenant from its first revision on."""
    source = Source()
    hub = Hub(source, polls=False, clock=Clock())
    watchers = []
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (
            ("CHANGES_KEPT_MAX", 0),
            ("CHANGES_KEPT_MIN", 2),
            ("BATCH_EVENTS", 3),
            ("SCAN_CHANGES", 4),
            ("PULL_EVENTS", 5),
        ):
            patch.setattr(hub_module, name, value)
        for step, *arguments in steps:
            if step == "add":
                source.add(tenant=arguments[0], job=f"jobs/{arguments[1]}")
            elif step == "pull":
                hub.pull()
            elif step == "watch":
                tenant, start = arguments
                start = min(start, len(source.all) + 1)
                watchers.append((hub.watch(tenant, start), start or len(source.all) + 1, []))
            elif watchers:
                watcher, _, seen = watchers[arguments[0] % len(watchers)]
                if step == "read":
                    content, _ = hub.read(watcher)
                    message = job_service_pb2.WatchJobsResponse.FromString(content)
                    seen += [event.revision for event in message.events]
                    assert watcher.position > max(seen, default=0)
                else:
                    watcher.close()
                    watchers = [w for w in watchers if w[0] is not watcher]
        while hub.pull():
            pass
        for watcher, start, seen in watchers:
            seen += drained(hub, watcher)
            expected = [r for r, tenant, _ in source.all if tenant == watcher.tenant and r >= start]
            assert seen == expected
