"""What an operator reads of jobs, the store and the audit."""

from ketgate_server import durable_metrics
from ketgate_server.artifacts.index import Asker
from ketgate_server.durable_metrics import DurableMetrics
from ketgate_server.jobs.base import Actor, Ending, NewJob, Outcome, RequestKey
from ketgate_server.jobs.ids import new_id
from ketgate_server.jobs.store import JobStore
from prometheus_client import CollectorRegistry


def submit_elsewhere(store):
    """A job at a provider, of a kind that the server does not know."""
    jobs = JobStore(store, kinds=["other"])
    actor = Actor("default", "ci", "/CreateJob")
    job_id = new_id(store.now_us())
    jobs.create(NewJob(actor, RequestKey("", b""), job_id, "other", b"", b""))
    [claim] = jobs.claim("elsewhere", 1, 60_000_000)
    jobs.finish(claim, Ending(Outcome.SUBMITTED, handle=b"h", poll_after_s=60.0))


def test_metrics_tell_of_jobs_the_store_and_the_audit(make_job_server, monkeypatch):
    server = make_job_server(jobs={"workers": 1})
    registry = CollectorRegistry()
    monkeypatch.setattr(durable_metrics, "ASK_INTERVAL_S", 0.0)
    DurableMetrics(server.durable, registry)
    caller = server.caller()
    caller.wait(caller.create().name)
    seed, gate = server.gate()
    running = caller.create(seed).name
    gate.wait_entered()
    waiting = [caller.create().name for _ in range(3)]
    watch = caller.watch()
    next(watch)

    def value(name, **labels):
        return registry.get_sample_value(f"ketgate_{name}", labels)

    assert value("attempts_total", outcome="succeeded") == 1
    assert value("attempts_in_progress") == 1
    assert (value("watchers"), value("waiters")) == (1, 0)
    assert value("jobs", state="running") == 1
    assert value("jobs", state="queued") == 3
    assert value("jobs", state="cancelling") == 0
    assert value("jobs_ready") == 3
    assert value("jobs_oldest_wait_seconds") >= 0
    assert value("audit_entries") >= 5
    assert value("store_batch_seconds_count") == value("store_batch_operations_count") > 0
    submit_elsewhere(server.durable.store)
    assert value("jobs", state="submitted") == 1
    assert value("jobs", state="queued") == value("jobs_ready") == 3
    gate.open.set()
    for name in (running, *waiting):
        caller.wait(name)
    assert value("jobs", state="queued") == value("jobs", state="running") == 0
    watch.cancel()


def test_metrics_tell_of_artifacts(make_job_server, monkeypatch):
    server = make_job_server()
    registry = CollectorRegistry()
    monkeypatch.setattr(durable_metrics, "ASK_INTERVAL_S", 0.0)
    DurableMetrics(server.durable, registry)
    artifacts = server.durable.artifacts.store
    for tenant in ("desk", "rival"):
        artifacts.keep(Asker(tenant, "ci", "/m"), b"content", "x/y")
    artifacts.begin(Asker("desk", "ci", "/m"), "0" * 64, 1, "x/y")
    assert registry.get_sample_value("ketgate_artifact_bytes") == 14
    assert registry.get_sample_value("ketgate_artifact_uploads_in_progress") == 1
    begun = {"event": "begun"}
    assert registry.get_sample_value("ketgate_artifact_uploads_total", begun) == 3


def test_metrics_of_a_store_that_is_gone_are_left_out(make_job_server):
    server = make_job_server()
    registry = CollectorRegistry()
    DurableMetrics(server.durable, registry)
    server.durable.begin_drain(0.0)
    server.durable.close()
    names = {family.name for family in registry.collect()}
    assert "ketgate_watchers" in names
    assert "ketgate_jobs" not in names
