"""JobService: messages in, messages out. The work is done by the JobStore and the hub."""

from collections.abc import Iterator

from google.protobuf.message import Message
from ketgate.jobs.v1 import job_service_pb2 as pb

from ketgate_server.errors import KetgateError
from ketgate_server.jobs import convert
from ketgate_server.jobs import convert_requests as read
from ketgate_server.jobs.base import Actor, JobKind, NewJob, RequestKey
from ketgate_server.jobs.hub import Hub
from ketgate_server.jobs.ids import new_id
from ketgate_server.jobs.kinds import Kinds
from ketgate_server.jobs.listing import ListQuery
from ketgate_server.jobs.store import JobStore
from ketgate_server.jobs.waiting import wait_over
from ketgate_server.rpc.call import Answer, Call, Later, Method, Service, require_role
from ketgate_server.store.requests import read_request_id, request_digest

NAME = "ketgate.jobs.v1.JobService"
ROLE = "jobs.user"


def create_service(jobs: JobStore, hub: Hub, kinds: Kinds) -> Service:
    """The service as the edge serves it."""
    servicer = JobServicer(jobs, hub, kinds)
    return Service(
        NAME,
        {
            "CreateJob": Method(pb.CreateJobRequest, ROLE, unary=servicer.create_job, mutates=True),
            "GetJob": Method(pb.GetJobRequest, ROLE, unary=servicer.get_job),
            "ListJobs": Method(pb.ListJobsRequest, ROLE, unary=servicer.list_jobs),
            "CancelJob": Method(pb.CancelJobRequest, ROLE, unary=servicer.cancel_job, mutates=True),
            "DeleteJob": Method(pb.DeleteJobRequest, ROLE, unary=servicer.delete_job, mutates=True),
            "WaitJob": Method(pb.WaitJobRequest, ROLE, unary=servicer.wait_job, lane="wait"),
            "WatchJobs": Method(
                pb.WatchJobsRequest, ROLE, stream=servicer.watch_jobs, lane="watch"
            ),
        },
    )


class JobServicer:
    """Parse, call the engine, build the answer."""

    def __init__(self, jobs: JobStore, hub: Hub, kinds: Kinds) -> None:
        self._jobs = jobs
        self._hub = hub
        self._kinds = kinds

    def create_job(self, call: Call, request: pb.CreateJobRequest) -> Answer | Later:
        request_id = read_request_id(request)
        kind, spec = self._kinds.of(request.spec)
        require_role(call.identity, kind.role, call.method)
        for role in kind.roles(spec) if hasattr(kind, "roles") else ():
            require_role(call.identity, role, call.method)
        new = self._new_job(call, request, request_id, kind, spec)
        if request.validate_only:
            job = read.preview(
                request,
                kind=new.kind,
                creator=new.actor.subject,
                spec_digest=new.spec_digest,
                now_us=self._jobs.store.now_us(),
            )
            return pb.CreateJobResponse(job=job)
        return Later(
            lambda answer: self._jobs.begin_create(
                new, lambda job: answer(lambda: pb.CreateJobResponse(job=job()))
            )
        )

    def get_job(self, call: Call, request: pb.GetJobRequest) -> Answer:
        return self._answer(call, read.read_id(request.name), read.read_full(request.view))

    def list_jobs(self, call: Call, request: pb.ListJobsRequest) -> pb.ListJobsResponse:
        query = ListQuery(
            filter=request.filter,
            order_by=request.order_by,
            page_size=request.page_size,
            page_token=request.page_token,
        )
        page = self._jobs.list(call.identity.tenant, query)
        return pb.ListJobsResponse(
            jobs=page.jobs, next_page_token=page.next_page_token, revision=page.revision
        )

    def cancel_job(self, call: Call, request: pb.CancelJobRequest) -> pb.CancelJobResponse:
        job = self._jobs.cancel(
            actor_of(call),
            RequestKey(read_request_id(request), request_digest(request)),
            read.read_id(request.name),
            read.read_reason(request.reason),
        )
        return pb.CancelJobResponse(job=job)

    def delete_job(self, call: Call, request: pb.DeleteJobRequest) -> pb.DeleteJobResponse:
        self._jobs.delete(
            actor_of(call),
            RequestKey(read_request_id(request), request_digest(request)),
            read.read_id(request.name),
            read.read_etag(request.etag),
        )
        return pb.DeleteJobResponse()

    def wait_job(self, call: Call, request: pb.WaitJobRequest) -> Answer:
        job_id, full = read.read_id(request.name), read.read_full(request.view)
        timeout_s = read.read_wait_s(request.timeout if request.HasField("timeout") else None)
        wait_over(self._jobs, self._hub, call, job_id, timeout_s)
        return self._answer(call, job_id, full)

    def watch_jobs(self, call: Call, request: pb.WatchJobsRequest) -> Iterator[bytes]:
        heartbeat_s = read.read_heartbeat_s(request)
        watcher = self._hub.watch(
            call.identity.tenant,
            read.read_start_revision(request.start_revision),
            jobs=read.read_names(request),
            states_only=request.states_only,
            break_off=call.abandon,
        )
        try:
            call.on_cancel(watcher.wake)
            yield from watcher.messages(heartbeat_s, lambda: call.cancelled)
        finally:
            watcher.close()

    def _new_job(
        self,
        call: Call,
        request: pb.CreateJobRequest,
        request_id: str,
        kind: JobKind,
        spec: Message,
    ) -> NewJob:
        priority, labels = read.read_priority(request.priority), read.read_labels(request.labels)
        delay_us, timeout_us = read.read_delay_us(request), read.read_timeout_us(request)
        check(kind, spec)
        return NewJob(
            actor=actor_of(call),
            request=RequestKey(request_id, request_digest(request)),
            id=new_id(self._jobs.store.now_us()),
            kind=kind.name,
            spec=request.spec.SerializeToString(deterministic=True),
            spec_digest=kind.digest(spec),
            priority=priority,
            labels=labels,
            delay_us=delay_us,
            timeout_us=timeout_us,
            artifacts=kind.artifacts(spec),
        )

    def _answer(self, call: Call, job_id: str, full: bool) -> Answer:
        """A GetJobResponse or WaitJobResponse; the two differ in their names only."""
        tenant = call.identity.tenant
        if full:
            return convert.in_response(self._jobs.get_encoded(tenant, job_id))
        return pb.GetJobResponse(job=self._jobs.get(tenant, job_id))


def check(kind: JobKind, spec: Message) -> None:
    """Check the spec as its own method does: there it is "spec", here "spec.KIND"."""
    try:
        kind.check(spec)
    except KetgateError as error:
        field = error.field or ""
        if field == "spec" or field.startswith("spec."):
            error.field = f"spec.{kind.name}{field.removeprefix('spec')}"
            if error.message.startswith(field):
                error.message = error.field + error.message.removeprefix(field)
        raise


def actor_of(call: Call) -> Actor:
    return Actor(call.identity.tenant, call.identity.subject, call.method, call.request_id)
