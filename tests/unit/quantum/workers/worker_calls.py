"""What tests call in workers: the folder is on their path."""

import logging
import os
import signal
import sys
import threading
import time
import warnings

import numpy as np
from ketgate_server.errors import KetgateError, LimitError, Reason
from ketgate_server.quantum.base import (
    BackendKind,
    CircuitOutcome,
    Description,
    ExpectationOutcome,
    Need,
    Stopped,
    Unsuitable,
)
from ketgate_server.quantum.circuit import Place


def pid():
    return os.getpid()


def facts():
    """Of the process."""
    return {
        "pid": os.getpid(),
        "prefix": sys.prefix,
        "nice": os.nice(0),
        "modules": set(sys.modules),
        "path": list(sys.path),
    }


def twice(array):
    array *= 2  # what was sent may be written to here
    return array


def refuse():
    raise Unsuitable("fake", "reset", "it has none", Place(3, 7))


def exceed():
    raise LimitError("quantum.shots_max", allowed=1, given=2, field="spec.shots")


def fail():
    raise ZeroDivisionError("a secret: hunter2")


def answer_what_cannot_be_pickled():
    return threading.Lock()


def import_what_is_missing():
    import no_such_module  # noqa: F401


def crash():
    os.kill(os.getpid(), signal.SIGSEGV)


def leave():
    os._exit(3)


def allocate(count):
    return int(np.ones(count, dtype=np.uint8)[-1])


def keep(count, kept=[]):  # noqa: B006 - it is to be kept
    kept.append(np.ones(count, dtype=np.uint8))
    return os.getpid()


def touch_and_wait(path, task):
    """Tells by a file that it runs; ends when told to."""
    stop = threading.Event()
    task.on_stop(stop.set)
    with open(path, "w") as file:
        file.write(str(os.getpid()))
    stop.wait()
    assert task.stopped
    raise Stopped


def touch_and_ignore(path):
    """Tells by a file that it runs; hears nothing."""
    with open(path, "w") as file:
        file.write(str(os.getpid()))
    while True:
        time.sleep(60)


def remaining(task):
    return task.remaining_s()


def tell():
    logging.getLogger("told").warning("of %s", "something")
    warnings.warn("of a framework", UserWarning, stacklevel=1)


class Counter:
    """A subject."""

    def __init__(self, secret):
        self.secret = secret
        self.prepared = 0
        self.count = 0

    def prepare(self):
        self.prepared += 1

    def add(self, step, *, times=1):
        self.count += step * times
        return self.count, self.prepared, os.getpid()


class Unloadable:
    """A subject whose worker dies as it is made there."""

    def __reduce__(self):
        return os._exit, (5,)

    def anything(self):
        raise AssertionError


def busy():
    raise KetgateError(Reason.SERVER_BUSY, "later", retry_after_s=2.5)


class FakeBackend:
    """A back end that tells where it is called."""

    name = "fake"
    isolated = True

    def __init__(self):
        self.home = os.getpid()

    def prepare(self):
        self.home = os.getpid()

    def describe(self):
        return Description(name=self.name, description=str(os.getpid()), kind=BackendKind.SIMULATOR)

    def check(self, circuit, options):
        raise Unsuitable(self.name, str(os.getpid()), "it is a fake")

    def need(self, circuit, options):
        return Need(memory_bytes=os.getpid(), run_s=1.0)

    def run(self, circuits, options, task):
        if options.shots == 0:
            stop = threading.Event()
            task.on_stop(stop.set)
            stop.wait()
            raise Stopped
        return [
            CircuitOutcome(counts={os.getpid(): options.shots}, method=circuit.label)
            for circuit in circuits
        ]

    def expectations(
        self, circuit, observables, options, task, *, parameters=None, gradients=False
    ):
        values = np.array([parameters["a"], float(gradients), float(task.stopped)])
        return ExpectationOutcome(values=values, standard_errors=0 * values)
