"""Every executor, behind one fixture: the tests of the interface run against each."""

import itertools
import os
import queue
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from ketgate.jobs.v1 import job_pb2 as pb
from ketgate_server.jobs.base import Claim
from ketgate_server.jobs.executors.attempt import Surroundings
from ketgate_server.jobs.executors.local import LocalExecutor
from ketgate_server.jobs.kinds import Kinds
from ketgate_server.parts import part_version

FOLDER = str(Path(__file__).parent)
TIMEOUT_S = 200.0
SURROUNDINGS = Surroundings(threads=2)
FENCES = itertools.count(1)


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
        self.kept = []
        self.refusal = None
        self.room_at_end = queue.Queue()
        self.reference = ""
        """Of the attempt started last."""

    def start(self, spec=None, remaining_s=float("inf"), tenant="t", **turn):
        """turn: what a Claim holds of a later turn."""
        fence = next(FENCES)
        self.reference = f"jobs/id{fence}/attempts/1"
        spec = pb.JobSpec(solve=spec or {}).SerializeToString()
        claim = Claim(fence, f"id{fence}", tenant, "solve", spec, 1, fence, None, **turn)
        return self.executor.start(
            claim,
            remaining_s=remaining_s,
            progress=self.news.put,
            checkpoint=self.keep,
            end=self._end,
        )

    def keep(self, handle):
        """A checkpoint. Raises what the test wants it to."""
        self.kept.append(handle)
        if self.refusal is not None:
            raise self.refusal

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


class Cluster:
    """A Ray cluster of this machine, and one executor over it: a driver takes seconds to start."""

    def __init__(self):
        os.environ |= CLUSTER_ENVIRONMENT
        # The names of sockets below it may have 107 characters.
        self._folder = tempfile.TemporaryDirectory(prefix="kg", ignore_cleanup_errors=True)
        log = Path(self._folder.name, "log")
        command = [sys.executable, "-c", CLUSTER, self._folder.name]
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr
            )
        self.address = self._process.stdout.readline().decode().strip()
        assert self.address, f"the Ray cluster did not start: {log.read_text()}"
        self.kinds = Kinds()
        self.executor = self.open(2)

    def open(self, slots):
        from ketgate_server.jobs.executors.ray import RayExecutor

        return RayExecutor(slots, self.kinds, SURROUNDINGS, self.address)

    def close(self):
        self.executor.close()
        self._process.stdin.close()
        self._process.wait(TIMEOUT_S)
        self._process.stdout.close()
        self._folder.cleanup()
        for name in CLUSTER_ENVIRONMENT:
            os.environ.pop(name, None)


CLUSTER = """
import ray, sys
ray.init(
    address="local", num_cpus=4, include_dashboard=False, object_store_memory=100 << 20,
    log_to_driver=False, configure_logging=False, _temp_dir=sys.argv[1],
)
print(ray.get_runtime_context().gcs_address, flush=True)
sys.stdin.read()
"""
CLUSTER_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
}


@pytest.fixture(scope="session")
def cluster(work_can_be_imported):
    if part_version("ray") is None:
        pytest.skip("ray is not installed: pip install 'ketgate-server[ray]'")
    cluster = Cluster()
    yield cluster
    cluster.close()


@pytest.fixture
def open_bench(work_can_be_imported, request):
    """open_bench(sort)(run, slots): a Bench over an executor of that sort, whose jobs all run
    that."""
    opened = []

    def of_sort(sort):
        def open_one(run, slots=1):
            import work

            kind = work.Kind(getattr(work, run)) if isinstance(run, str) else run
            if sort == "ray":
                cluster = request.getfixturevalue("cluster")
                cluster.kinds._kinds = {kind.name: kind}
                return Bench(cluster.executor)
            opened.append(LocalExecutor(slots, Kinds([kind]), SURROUNDINGS, sort))
            return Bench(opened[-1])

        return open_one

    yield of_sort
    for executor in opened:
        executor.close()


@pytest.fixture(
    params=["thread", "process", pytest.param("ray", marks=pytest.mark.xdist_group("ray"))]
)
def sort(request):
    """Of executor."""
    return request.param


@pytest.fixture
def bench(open_bench, sort):
    return open_bench(sort)
