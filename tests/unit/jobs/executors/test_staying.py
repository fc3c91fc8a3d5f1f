"""Work that needs what only the server has runs in the server, whatever the executor."""

import os

from ketgate.jobs.v1 import job_pb2 as pb


def process_of(ending):
    return int(pb.JobResult.FromString(ending.result).solve.warnings[0])


def test_it_stays_where_it_says_so_and_leaves_otherwise(open_bench):
    import work

    kind = work.Kind(work.echo)
    kind.stays = lambda spec: spec.seed == 1
    bench = open_bench("process")(kind)
    assert process_of(bench.run({"seed": 1})) == os.getpid()
    assert process_of(bench.run({"seed": 2})) != os.getpid()
    assert process_of(bench.run({"seed": 2}, handle=b"at a provider")) == os.getpid()
