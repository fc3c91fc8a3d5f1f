"""Jobs to google.longrunning.Operation."""

from google.longrunning import operations_pb2
from ketgate.jobs.v1 import job_pb2

from ketgate_server.jobs.ids import job_id_of
from ketgate_server.jobs.record import SUCCEEDED, TERMINAL


def write_operation(job: job_pb2.Job) -> operations_pb2.Operation:
    """The operation of a job. What a FULL view adds to a BASIC one is taken off: the result becomes
    the response."""
    operation = operations_pb2.Operation(
        name=f"operations/{job_id_of(job.name)}", done=job.state in TERMINAL
    )
    result = job.result.WhichOneof("result")
    if job.state == SUCCEEDED and result is not None:
        operation.response.Pack(getattr(job.result, result))
    elif operation.done and job.state != SUCCEEDED:
        operation.error.CopyFrom(job.error)
    job.ClearField("spec")
    job.ClearField("result")
    operation.metadata.Pack(job)
    return operation
