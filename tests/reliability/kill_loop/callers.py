"""Threads that use a fleet as clients do: what was not answered is asked again with the same id."""

import itertools
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import grpc
import ketgate
from ketgate.jobs.v1 import job_pb2
from ketgate.jobs.v1 import job_service_pb2 as pb

from .fleet import Fleet
from .history import History, Page, Seen
from .work import fill

CALL_TIMEOUT_S = 20.0
ANSWER_TIMEOUT_S = 90.0
"""A call that is not answered by then, over all its repeats, is a fault."""

PAGE_SIZE = 40
UNANSWERED = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}
"""Nobody knows whether it was done, or it was asked to come again."""

REFUSED = {
    "CancelJob": {"RESOURCE_NOT_FOUND"},
    "DeleteJob": {"RESOURCE_NOT_FOUND", "JOB_UNFINISHED"},
    "GetJob": {"RESOURCE_NOT_FOUND"},
    "CreateJob": {"REPLY_EXPIRED"},
}
"""What a server may answer beside OK: another caller was quicker."""


class Agent(threading.Thread):
    """One of the threads. What it raises is a fault of the test, and told."""

    def __init__(self, fleet: Fleet, history: History, tenant: str, seed: int) -> None:
        super().__init__(name=f"{type(self).__name__.lower()}-{seed}", daemon=True)
        self.fleet = fleet
        self.history = history
        self.tenant = tenant
        self.random = random.Random(seed)
        self.stop = threading.Event()

    def run(self) -> None:
        try:
            self.work()
        except BaseException as error:
            self.history.complain(f"{self.name}: {error!r}")
            raise

    def work(self) -> None:
        raise NotImplementedError


class Caller(Agent):
    """Creates, cancels, deletes, reads and lists the jobs of a tenant."""

    THINKS_S = 0.04

    def work(self) -> None:
        self._numbers = itertools.count()
        self._made: list[tuple[pb.CreateJobRequest, str]] = []
        acts: list[Callable[[], None]] = [
            self.create, self.repeat, self.cancel, self.delete, self.get, self.list
        ]  # fmt: skip
        while not self.stop.wait(self.random.uniform(0.0, self.THINKS_S)):
            self.random.choices(acts, [45, 8, 15, 15, 12, 5])[0]()

    def create(self) -> None:
        request = pb.CreateJobRequest(request_id=self._request_id())
        plan = fill(request, self.random)
        job = self.call("CreateJob", request).job
        self.history.acknowledge("CreateJob", self.tenant, request.request_id, job.name)
        with self.history.lock:
            self.history.plans[job.name] = plan
        self.history.see(self.tenant, job)
        self._made.append((request, job.name))

    def repeat(self) -> None:
        """As a client does that was restarted: the same request must be the same job."""
        if self._made:
            request, name = self.random.choice(self._made)
            reply = self.call("CreateJob", request)
            if reply is None:
                if name not in self.history.deletions:
                    self.history.complain(f"{name}: its reply expired, but nobody deletes it")
            elif reply.job.name != name:
                self.history.complain(f"{request.request_id} made {name} and {reply.job.name}")

    def cancel(self) -> None:
        name = self.history.any_job(self.tenant, self.random)
        if name is not None:
            request = pb.CancelJobRequest(name=name, request_id=self._request_id())
            reply = self.call("CancelJob", request)
            if reply is not None:
                self.history.acknowledge("CancelJob", self.tenant, request.request_id, name)
                self.history.see(self.tenant, reply.job)

    def delete(self) -> None:
        name = self.history.any_job(self.tenant, self.random)
        if name is not None:
            with self.history.lock:
                self.history.deletions.add(name)
            request = pb.DeleteJobRequest(name=name, request_id=self._request_id())
            if self.call("DeleteJob", request) is not None:
                self.history.acknowledge("DeleteJob", self.tenant, request.request_id, name)

    def get(self) -> None:
        name = self.history.any_job(self.tenant, self.random)
        if name is None:
            return
        before = self.history.revision_of(self.tenant, name)
        reply = self.call("GetJob", pb.GetJobRequest(name=name))
        if reply is None:
            if name not in self.history.deletions:
                self.history.complain(f"{name} is gone, but nobody deletes it")
        else:
            if reply.job.revision < before:
                self.history.complain(f"{name} went back from {before} to {reply.job.revision}")
            self.history.see(self.tenant, reply.job)

    def list(self) -> None:
        reply = self.call("ListJobs", pb.ListJobsRequest(page_size=PAGE_SIZE))
        jobs = tuple(Seen(job.name, job.state, job.revision) for job in reply.jobs)
        with self.history.lock:
            self.history.pages.append(Page(self.tenant, reply.revision, jobs))

    def call(self, method: str, request: Any) -> Any:
        """The answer, however often it has to be asked for; None for a refusal that is in order."""
        end_s = time.monotonic() + ANSWER_TIMEOUT_S
        while True:
            door = self.fleet.door(self.random, end_s - time.monotonic())
            assert door is not None, "no server came back"
            try:
                return getattr(door.jobs, method)(
                    request, metadata=self.fleet.metadata[self.tenant], timeout=CALL_TIMEOUT_S
                )
            except grpc.RpcError as error:
                failure: Any = error
            if failure.code() not in UNANSWERED:
                if reason_of(failure) in REFUSED.get(method, ()):
                    return None
                raise failure
            assert time.monotonic() < end_s, f"{method} was never answered: {failure}"
            time.sleep(0.02)

    def _request_id(self) -> str:
        return f"{self.name}-{next(self._numbers)}"


class Watcher(Agent):
    """Follows all jobs of a tenant over every cut, until it has reached a revision."""

    reached = 1
    target: int | None = None

    def work(self) -> None:
        events = self.history.events.setdefault(self.tenant, [])
        while self.target is None or self.reached <= self.target:
            door = self.fleet.door(self.random, 1.0)
            if door is None:
                continue
            request = pb.WatchJobsRequest(start_revision=self.reached)
            request.heartbeat.seconds = 1
            metadata = self.fleet.metadata[self.tenant]
            stream = door.jobs.WatchJobs(request, metadata=metadata, timeout=ANSWER_TIMEOUT_S)
            try:
                for message in stream:
                    self._take(message, events)
                    enough = self.target is not None and self.reached > self.target
                    if enough or self.random.random() < 0.02:  # some clients come and go
                        break
            except grpc.RpcError as error:
                failure: Any = error
                if failure.code() not in {*UNANSWERED, grpc.StatusCode.ABORTED}:
                    raise
                self.stop.wait(0.02)
            finally:
                stream.cancel()

    def _take(self, message: pb.WatchJobsResponse, events: list[job_pb2.JobEvent]) -> None:
        last = self.reached - 1
        for event in message.events:
            if event.revision <= last:
                self.history.complain(f"{self.name}: {event.revision} after {last}")
            last = event.revision
        events.extend(message.events)
        if message.next_revision <= last:
            self.history.complain(f"{self.name}: go on at {message.next_revision} after {last}")
        self.reached = max(self.reached, message.next_revision)


class Auditor(Agent):
    """Pins heads of the audit; the client compares each with the one before."""

    def work(self) -> None:
        while not self.stop.wait(0.25):
            door = self.fleet.door(self.random, 1.0)
            if door is None:
                continue
            try:
                with ketgate.connect(ready_file=door.ready_file, token=self.fleet.admin) as client:
                    head = client.audit.head()
            except ketgate.AuditTampered:
                raise
            except ketgate.KetgateError:
                continue  # it was killed
            with self.history.lock:
                self.history.heads.append((head.size, head.root))


def reason_of(error: grpc.RpcError) -> str:
    """The reason in the details of an error; "" without one."""
    from google.rpc import error_details_pb2
    from grpc_status import rpc_status

    status = rpc_status.from_call(error)
    for detail in status.details if status is not None else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return str(info.reason)
    return ""
