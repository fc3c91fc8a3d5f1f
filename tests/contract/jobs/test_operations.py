"""google.longrunning.Operations over the same jobs."""

import grpc
import pytest
from google.longrunning import operations_pb2 as lro
from google.protobuf.duration_pb2 import Duration
from ketgate.jobs.v1 import job_pb2
from ketgate.optimization.v1 import result_pb2

CODE = grpc.StatusCode
HOUR = Duration(seconds=3600)
NONE = "operations/01hf7yat000000000000000000"


def operation_of(job):
    return job.name.replace("jobs/", "operations/")


def metadata_of(operation):
    job = job_pb2.Job()
    assert operation.metadata.Unpack(job)
    return job


def test_waiting_for_a_result(caller):
    job = caller.create(9)
    done = caller.operation("WaitOperation", lro.WaitOperationRequest(name=operation_of(job)))
    assert done.done
    result = result_pb2.SolveResult()
    assert done.response.Unpack(result)
    assert result.seed == 9
    told = metadata_of(done)
    assert (told.name, told.state) == (job.name, job_pb2.JOB_STATE_SUCCEEDED)
    assert not told.HasField("spec")
    assert not told.HasField("result")
    again = caller.operation("GetOperation", lro.GetOperationRequest(name=operation_of(job)))
    assert again == done


def test_what_is_not_done_has_neither_response_nor_error(caller):
    job = caller.create(delay=HOUR)
    timeout = Duration(nanos=1_000_000)
    for operation in (
        caller.operation("GetOperation", lro.GetOperationRequest(name=operation_of(job))),
        caller.operation(
            "WaitOperation", lro.WaitOperationRequest(name=operation_of(job), timeout=timeout)
        ),
    ):
        assert not operation.done
        assert operation.WhichOneof("result") is None


def test_cancelling_and_deleting(caller, refused):
    name = operation_of(caller.create(delay=HOUR))
    unfinished = refused(
        lambda: caller.empty("DeleteOperation", lro.DeleteOperationRequest(name=name))
    )
    assert unfinished.reason == "JOB_UNFINISHED"
    caller.empty("CancelOperation", lro.CancelOperationRequest(name=name))
    cancelled = caller.operation("GetOperation", lro.GetOperationRequest(name=name))
    assert cancelled.done
    assert cancelled.error.code == CODE.CANCELLED.value[0]
    caller.empty("DeleteOperation", lro.DeleteOperationRequest(name=name))
    gone = refused(lambda: caller.operation("GetOperation", lro.GetOperationRequest(name=name)))
    assert (gone.code, gone.reason) == (CODE.NOT_FOUND, "RESOURCE_NOT_FOUND")


def test_lists_in_pages(caller):
    names = [operation_of(caller.create(delay=HOUR)) for _ in range(3)]
    request = lro.ListOperationsRequest(name="operations", page_size=2, filter="state = QUEUED")
    page = caller.operation("ListOperations", request, lro.ListOperationsResponse)
    assert [operation.name for operation in page.operations] == [names[2], names[1]]
    request.page_token = page.next_page_token
    page = caller.operation("ListOperations", request, lro.ListOperationsResponse)
    assert [operation.name for operation in page.operations] == [names[0]]
    assert page.next_page_token == ""


BAD = [
    ("GetOperation", lro.GetOperationRequest(name="jobs/x"), "name"),
    ("CancelOperation", lro.CancelOperationRequest(), "name"),
    ("DeleteOperation", lro.DeleteOperationRequest(), "name"),
    ("WaitOperation", lro.WaitOperationRequest(name=NONE, timeout=Duration(seconds=-1)), "timeout"),
    ("ListOperations", lro.ListOperationsRequest(name="others"), "name"),
    ("ListOperations", lro.ListOperationsRequest(filter="?"), "filter"),
    ("ListOperations", lro.ListOperationsRequest(page_size=-1), "page_size"),
    ("ListOperations", lro.ListOperationsRequest(page_token="x"), "page_token"),
]


@pytest.mark.parametrize(("method", "request_", "field"), BAD)
def test_a_bad_request_names_its_field(caller, refused, method, request_, field):
    refusal = refused(lambda: caller.operation(method, request_))
    assert (refusal.code, refusal.reason) == (CODE.INVALID_ARGUMENT, "FIELD_INVALID")
    assert refusal.details["BadRequest"].field_violations[0].field == field


def test_another_tenants_operation_is_none(job_server, caller, refused):
    mine = operation_of(caller.create(delay=HOUR))
    stranger = job_server.caller()
    for name in (mine, NONE):
        request = lro.GetOperationRequest(name=name)
        refusal = refused(lambda request=request: stranger.operation("GetOperation", request))
        assert refusal.code is CODE.NOT_FOUND
    listed = stranger.operation(
        "ListOperations", lro.ListOperationsRequest(), lro.ListOperationsResponse
    )
    assert not listed.operations
