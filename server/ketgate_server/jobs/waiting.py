"""Long polls: wait until a job is over, on a thread that is for waiting."""

import time

from ketgate_server.errors import NotFound
from ketgate_server.jobs.base import Job
from ketgate_server.jobs.hub import Hub
from ketgate_server.jobs.ids import job_name
from ketgate_server.jobs.record import TERMINAL
from ketgate_server.jobs.store import JobStore
from ketgate_server.rpc.call import Call

DEADLINE_MARGIN_S = 0.2
"""Before the caller's deadline, for the answer to arrive."""


def wait_over(jobs: JobStore, hub: Hub, call: Call, job_id: str, timeout_s: float) -> None:
    """Return when the job is over, timeout_s has passed, or the caller is gone.

    Raises RESOURCE_NOT_FOUND, also when it is deleted meanwhile, and DRAINING.
    """
    tenant = call.identity.tenant
    now_s = time.monotonic()
    end_s = now_s + min(timeout_s, call.remaining_s() - DEADLINE_MARGIN_S)
    if _find(jobs, tenant, job_id).state in TERMINAL or now_s >= end_s:
        return
    waiter = hub.waiter(tenant, job_name(job_id))
    try:
        call.on_cancel(waiter.wake)
        while _find(jobs, tenant, job_id).state not in TERMINAL:
            remaining_s = end_s - time.monotonic()
            if remaining_s <= 0 or call.cancelled:
                return
            waiter.wait(remaining_s)
    finally:
        waiter.close()


def _find(jobs: JobStore, tenant: str, job_id: str) -> Job:
    found = jobs.find(tenant, [job_id])
    if not found:
        raise NotFound(job_name(job_id))
    return found[0]
