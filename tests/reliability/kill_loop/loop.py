"""Rounds of load and kills, then a calm, then the check of everything that was seen."""

import random
import time

import ketgate
from ketgate._merkle import verify_consistency
from ketgate.audit.v1 import audit_service_pb2, audit_service_pb2_grpc
from ketgate.jobs.v1 import job_pb2
from ketgate.jobs.v1 import job_service_pb2 as pb
from ketgate.optimization.v1 import optimization_service_pb2, optimization_service_pb2_grpc

from . import model
from .callers import CALL_TIMEOUT_S, Agent, Auditor, Caller, Watcher
from .fleet import TENANTS, Door, Fleet
from .history import History
from .work import SHORT, lasting, short_spec

CALM_S = 90.0
CALLERS_PER_TENANT = 3
UNFINISHED = "state = (QUEUED, SUBMITTED, RUNNING, CANCELLING)"


def run(fleet: Fleet, seed: int, rounds: int) -> tuple[History, list[str]]:
    """Play; returns what was seen, and what is wrong with it."""
    generator = random.Random(seed)
    history = History()
    callers: list[Agent] = [
        Caller(fleet, history, tenant, 100 * seed + 10 * i + j)
        for i, tenant in enumerate(TENANTS)
        for j in range(CALLERS_PER_TENANT)
    ]
    watchers = [
        Watcher(fleet, history, tenant, 1000 * seed + i) for i, tenant in enumerate(TENANTS)
    ]
    auditor = Auditor(fleet, history, "", 2000 * seed)
    agents = [*callers, *watchers, auditor]
    for agent in agents:
        agent.start()
    for _ in range(rounds):
        time.sleep(generator.uniform(0.3, 2.5))  # the load goes on; any moment is as good
        strike(fleet, generator)
    time.sleep(generator.uniform(0.3, 1.0))
    for agent in (*callers, auditor):
        agent.stop.set()
    for agent in (*callers, auditor):
        agent.join(2 * CALL_TIMEOUT_S)
    door = fleet.door(generator, CALL_TIMEOUT_S)
    assert door is not None
    _calm(fleet, door, watchers)
    return history, check(fleet, door, history)


def strike(fleet: Fleet, generator: random.Random) -> None:
    """Kill some servers, at times again while they start, and start them."""
    victims = generator.sample(range(fleet.count), generator.randint(1, max(1, fleet.count - 1)))
    for number in victims:
        fleet.kill(number)
    if generator.random() < 0.4:
        number = generator.choice(victims)
        fleet.begin(number)
        time.sleep(generator.uniform(0.1, 2.0))  # somewhere in its start
        fleet.kill(number)
    fleet.start(victims)


def _calm(fleet: Fleet, door: Door, watchers: list[Watcher]) -> None:
    """Wait until every job is over and every watcher has seen it."""
    end_s = time.monotonic() + CALM_S
    request = pb.ListJobsRequest(filter=UNFINISHED, page_size=1)
    for watcher in watchers:
        metadata = fleet.metadata[watcher.tenant]
        while left := door.jobs.ListJobs(request, metadata=metadata).jobs:
            assert time.monotonic() < end_s, f"not over: {left}"
            time.sleep(0.1)  # a list: there is nothing to wait on
    for watcher in watchers:
        metadata = fleet.metadata[watcher.tenant]
        watcher.target = door.jobs.ListJobs(pb.ListJobsRequest(), metadata=metadata).revision
    for watcher in watchers:
        watcher.join(CALL_TIMEOUT_S)
        assert not watcher.is_alive(), f"{watcher.name} is at {watcher.reached} of {watcher.target}"


def check(fleet: Fleet, door: Door, history: History) -> list[str]:
    """Everything that is wrong."""
    lives, wrong = model.check_events(history)
    wrong += model.check_answers(history, lives)
    wrong += model.check_end(history, lives, _all_jobs(fleet, door), _direct(fleet, door))
    with ketgate.connect(ready_file=door.ready_file, token=fleet.admin) as client:
        head = client.audit.verify().head
        entries = list(client.audit.entries(0, head.size))
        wrong += model.check_audit(history, ((e.action, e.resource, e.outcome) for e in entries))
        metadata = (("authorization", f"Bearer {fleet.admin}"),)
    stub = audit_service_pb2_grpc.AuditServiceStub(door.channel)
    for size, root in history.heads:
        request = audit_service_pb2.GetConsistencyProofRequest(old_size=size, new_size=head.size)
        proof = stub.GetConsistencyProof(request, metadata=metadata).hashes
        if not verify_consistency(size, root, head.size, head.root, proof):
            wrong.append(f"the audit's head of size {size} is not one of this log any more")
    return wrong


def _all_jobs(fleet: Fleet, door: Door) -> dict[str, job_pb2.Job]:
    found = {}
    for tenant in TENANTS:
        metadata, token = fleet.metadata[tenant], ""
        while True:
            request = pb.ListJobsRequest(page_size=200, page_token=token)
            page = door.jobs.ListJobs(request, metadata=metadata)
            for job in page.jobs:
                wanted = pb.GetJobRequest(name=job.name, view=pb.JOB_VIEW_FULL)
                found[job.name] = door.jobs.GetJob(wanted, metadata=metadata).job
            token = page.next_page_token
            if not token:
                break
    return found


def _direct(fleet: Fleet, door: Door) -> dict[str, bytes]:
    stub = optimization_service_pb2_grpc.OptimizationServiceStub(door.channel)
    metadata = fleet.metadata[TENANTS[0]]
    return {
        plan: lasting(
            stub.Solve(
                optimization_service_pb2.SolveRequest(spec=short_spec(seed)), metadata=metadata
            ).result
        )
        for plan, seed in SHORT.items()
    }
