"""google.longrunning.Operations over the same jobs: "operations/ID" is "jobs/ID".

metadata is the Job (BASIC), response the result of its kind (for example a SolveResult), error why
it ended otherwise. The best so far of a job that was cancelled or expired is in GetJob only. Lists
leave responses out: GetOperation has them.
"""

from google.longrunning import operations_pb2 as pb
from google.protobuf.empty_pb2 import Empty

from ketgate_server.errors import FieldError
from ketgate_server.jobs import convert_operations as convert
from ketgate_server.jobs import convert_requests as read
from ketgate_server.jobs.base import RequestKey
from ketgate_server.jobs.hub import Hub
from ketgate_server.jobs.listing import ListQuery
from ketgate_server.jobs.service import ROLE, actor_of
from ketgate_server.jobs.store import JobStore
from ketgate_server.jobs.waiting import wait_over
from ketgate_server.rpc.call import Call, Method, Service
from ketgate_server.store.requests import request_digest

NAME = "google.longrunning.Operations"
COLLECTION = "operations"


def create_service(jobs: JobStore, hub: Hub) -> Service:
    """The service as the edge serves it."""
    servicer = OperationsServicer(jobs, hub)
    return Service(
        NAME,
        {
            "GetOperation": Method(pb.GetOperationRequest, ROLE, unary=servicer.get_operation),
            "ListOperations": Method(
                pb.ListOperationsRequest, ROLE, unary=servicer.list_operations
            ),
            "CancelOperation": Method(
                pb.CancelOperationRequest, ROLE, unary=servicer.cancel_operation, mutates=True
            ),
            "DeleteOperation": Method(
                pb.DeleteOperationRequest, ROLE, unary=servicer.delete_operation, mutates=True
            ),
            "WaitOperation": Method(
                pb.WaitOperationRequest, ROLE, unary=servicer.wait_operation, lane="wait"
            ),
        },
    )


class OperationsServicer:
    """Another face of the JobStore."""

    def __init__(self, jobs: JobStore, hub: Hub) -> None:
        self._jobs = jobs
        self._hub = hub

    def get_operation(self, call: Call, request: pb.GetOperationRequest) -> pb.Operation:
        return self._operation(call, _id(request.name))

    def list_operations(
        self, call: Call, request: pb.ListOperationsRequest
    ) -> pb.ListOperationsResponse:
        if request.name not in ("", COLLECTION):
            raise FieldError("name", expected=f'"{COLLECTION}", or nothing', given=request.name)
        query = ListQuery(
            filter=request.filter, page_size=request.page_size, page_token=request.page_token
        )
        page = self._jobs.list(call.identity.tenant, query)
        return pb.ListOperationsResponse(
            operations=[convert.write_operation(job) for job in page.jobs],
            next_page_token=page.next_page_token,
        )

    def cancel_operation(self, call: Call, request: pb.CancelOperationRequest) -> Empty:
        self._jobs.cancel(actor_of(call), _key(request), _id(request.name))
        return Empty()

    def delete_operation(self, call: Call, request: pb.DeleteOperationRequest) -> Empty:
        self._jobs.delete(actor_of(call), _key(request), _id(request.name))
        return Empty()

    def wait_operation(self, call: Call, request: pb.WaitOperationRequest) -> pb.Operation:
        job_id = _id(request.name)
        timeout_s = read.read_wait_s(request.timeout if request.HasField("timeout") else None)
        wait_over(self._jobs, self._hub, call, job_id, timeout_s)
        return self._operation(call, job_id)

    def _operation(self, call: Call, job_id: str) -> pb.Operation:
        return convert.write_operation(self._jobs.get(call.identity.tenant, job_id, full=True))


def _id(name: str) -> str:
    return read.read_id(name, f"{COLLECTION}/")


def _key(request: pb.CancelOperationRequest | pb.DeleteOperationRequest) -> RequestKey:
    """These requests have no id, so that every one is new."""
    return RequestKey("", request_digest(request))
