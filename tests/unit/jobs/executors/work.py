"""Runs for tests, importable in a worker process: the folder is on its path."""

import logging
import os
import signal
import sys
import threading

from ketgate.jobs.v1 import job_pb2
from ketgate.optimization.v1 import result_pb2
from ketgate.type.v1 import tensor_pb2
from ketgate_server.errors import FieldError, Reason
from ketgate_server.jobs.faults import HANDLE_BYTES_MAX, ProviderError, Stopped, Submitted

Result = result_pb2.SolveResult


class Kind:
    """The kind "solve", with a run of this file."""

    name = "solve"
    role = ""
    isolated = False

    def __init__(self, run):
        self.run = run
        self.entry = f"{run.__module__}:{run.__name__}"


def echo(spec, context):
    """What it was given, and where it ran."""
    return Result(
        seed=spec.seed,
        solver=context.tenant,
        threads=context.threads,
        solutions=[{"values": spec.initial}],
        warnings=[str(os.getpid()), threading.current_thread().name],
    )


def grow(spec, context):
    """A large result from a small spec."""
    return Result(solutions=[{"values": tensor_pb2.Tensor(data=bytes(spec.work_limit))}])


def until_stopped(spec, context):
    """Tells that it runs, and its process; ends when told to."""
    context.progress(job_pb2.JobProgress(work=os.getpid(), solver="waits"))
    stop = threading.Event()
    context.on_stop(stop.set)
    stop.wait()
    assert context.stopped
    raise Stopped(Result(seed=spec.seed))


def stopped_with_nothing(spec, context):
    stop = threading.Event()
    context.on_stop(stop.set)
    stop.wait()
    raise Stopped


def finishes_anyway(spec, context):
    context.progress(job_pb2.JobProgress())
    stop = threading.Event()
    context.on_stop(stop.set)
    stop.wait()
    return Result(seed=spec.seed)


def callers_fault(spec, context):
    raise FieldError("spec.seed", expected="something else", given=spec.seed, hint="change it")


def providers_fault(spec, context):
    raise ProviderError(Reason.SERVER_BUSY, "the machine is being cooled", retry_after_s=7.5)


def our_fault(spec, context):
    raise KeyError("a secret of ours")


def out_of_memory(spec, context):
    raise MemoryError


def exits(spec, context):
    sys.exit(3)


def logs(spec, context):
    logging.getLogger("ketgate.optimization").warning("from the worker, %d", spec.seed)
    return Result()


def logs_at_length(spec, context):
    logging.getLogger("ketgate.optimization").warning("long %s", "x" * 1_000_000)
    return Result()


def modules(spec, context):
    """What is loaded where it runs."""
    return Result(warnings=sorted(name for name in sys.modules if "." not in name))


def dies(spec, context):
    os.kill(os.getpid(), signal.SIGKILL)


def at_provider(spec, context):
    """Submits in its first turn, and tells in the others what it was given."""
    if context.handle is None:
        context.checkpoint(b"intent")
        assert context.handle == b"intent"
        context.checkpoint(b"known")
        raise Submitted(b"h" * spec.seed, 7.5, job_pb2.JobProgress(work=3))
    if context.stopped:
        raise Stopped(Result(solver="cancelled"))
    told = [context.job_id, str(context.attempt), context.handle.decode()]
    return Result(seed=spec.seed, warnings=told)


def submits_too_much(spec, context):
    context.checkpoint(bytes(HANDLE_BYTES_MAX + 1))


def waits_with_a_handle(spec, context):
    """As until_stopped, with work at a provider."""
    context.checkpoint(b"h")
    return until_stopped(spec, context)


def checkpoint_after_stop(spec, context):
    context.progress(job_pb2.JobProgress())
    stop = threading.Event()
    context.on_stop(stop.set)
    stop.wait()
    context.checkpoint(b"h")
