"""Every executor, behind one fixture: the tests of the interface run against each."""

import os
import queue
import sys
from pathlib import Path

import pytest
from ketgate.jobs.v1 import job_pb2 as pb
from ketgate_server.jobs.base import Claim
from ketgate_server.jobs.executors.attempt import Surroundings
from ketgate_server.jobs.executors.local import LocalExecutor
from ketgate_server.jobs.kinds import Kinds

FOLDER = str(Path(__file__).parent)
TIMEOUT_S = 60.0
SURROUNDINGS = Surroundings(threads=2)


@pytest.fixture(scope="session", autouse=True)
def work_can_be_imported():
    """Here, and in processes that are started from here."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([FOLDER, *([before] if before else [])])
    sys.path.insert(0, FOLDER)
    yield
    sys.path.remove(FOLDER)
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


class Bench:
    """Starts attempts in an executor and hears of them."""

    def __init__(self, executor):
        self.executor = executor
        self.ends = queue.Queue()
        self.news = queue.Queue()
        self.room_at_end = queue.Queue()
        self._fence = 0

    def start(self, spec=None, remaining_s=float("inf"), tenant="t"):
        self._fence += 1
        spec = pb.JobSpec(solve=spec or {}).SerializeToString()
        claim = Claim(self._fence, f"id{self._fence}", tenant, "solve", spec, 1, self._fence, None)
        return self.executor.start(
            claim, remaining_s=remaining_s, progress=self.news.put, end=self._end
        )

    def _end(self, ending):
        self.room_at_end.put(self.executor.room)
        self.ends.put(ending)

    def end(self):
        return self.ends.get(timeout=TIMEOUT_S)

    def run(self, spec=None, **options):
        self.start(spec, **options)
        return self.end()

    def progress(self):
        return self.news.get(timeout=TIMEOUT_S)


@pytest.fixture
def open_bench(work_can_be_imported):
    """open_bench(sort)(run, slots): a Bench over an executor of that sort, whose jobs all run
    that."""
    opened = []

    def of_sort(sort):
        def open_one(run, slots=1):
            import work

            kinds = Kinds([work.Kind(getattr(work, run)) if isinstance(run, str) else run])
            opened.append(LocalExecutor(slots, kinds, SURROUNDINGS, sort))
            return Bench(opened[-1])

        return open_one

    yield of_sort
    for executor in opened:
        executor.close()


@pytest.fixture(params=["thread", "process"])
def sort(request):
    """Of executor."""
    return request.param


@pytest.fixture
def bench(open_bench, sort):
    return open_bench(sort)
