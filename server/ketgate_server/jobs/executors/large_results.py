"""An executor whose attempts may end with any result: large arrays in it become artifacts of the
job's tenant, so that what the queue keeps stays small."""

import logging
from collections.abc import Callable
from dataclasses import replace

from ketgate.jobs.v1 import job_pb2 as pb

from ketgate_server.arrays import Arrays
from ketgate_server.artifacts.convert_tensors import refer
from ketgate_server.errors import KetgateError
from ketgate_server.jobs.base import Claim, Ending, Executor, Running
from ketgate_server.store.errors import StoreError

log = logging.getLogger("ketgate.jobs")


class LargeResults:
    """Implements base.Executor over another. It keeps arrays in this process, on the thread that
    tells the end, as only a server knows the index."""

    def __init__(
        self, executor: Executor, arrays_of: Callable[[str], Arrays], bytes_max: int
    ) -> None:
        """arrays_of: of a tenant. bytes_max: of an array that stays in the result."""
        self._executor = executor
        self._arrays_of = arrays_of
        self._bytes_max = bytes_max

    @property
    def room(self) -> int:
        return self._executor.room

    def start(
        self,
        claim: Claim,
        *,
        remaining_s: float,
        progress: Callable[[pb.JobProgress], None],
        checkpoint: Callable[[bytes], None],
        end: Callable[[Ending], None],
    ) -> Running:
        return self._executor.start(
            claim,
            remaining_s=remaining_s,
            progress=progress,
            checkpoint=checkpoint,
            end=lambda ending: end(self._referring(claim, ending)),
        )

    def close(self) -> None:
        self._executor.close()

    def _referring(self, claim: Claim, ending: Ending) -> Ending:
        """The ending with its large arrays kept apart; as it is where that cannot be: a result that
        is there is not lost for the want of room elsewhere."""
        if ending.result is None or len(ending.result) <= self._bytes_max:
            return ending
        try:
            result = pb.JobResult.FromString(ending.result)
            kept = refer(result, self._bytes_max, self._arrays_of(claim.tenant).keep)
            return replace(
                ending, result=result.SerializeToString(deterministic=True), artifacts=kept
            )
        except (KetgateError, StoreError) as error:
            log.warning("the arrays of jobs/%s stay in its result: %s", claim.id, error)
        except Exception:
            log.exception("the arrays of jobs/%s stay in its result", claim.id)
        return ending
