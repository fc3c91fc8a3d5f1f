"""Every back end that runs here, behind one fixture. A new one joins by a line in BACKENDS."""

import importlib
import math
from dataclasses import dataclass

import pytest
from ketgate_server.parts import PARTS, part_version
from ketgate_server.quantum.base import RunOptions
from ketgate_server.quantum.workers.isolated import Isolated
from ketgate_server.quantum.workers.order import OrderTask
from ketgate_server.quantum.workers.pool import Workers, WorkerSettings

SEED = 20_261
SHOTS = 4_000


@dataclass(frozen=True)
class Entry:
    """How to make a back end."""

    name: str
    part: str
    target: str
    """ "module:class"."""


BACKENDS = [
    Entry("native", "native", "ketgate_server.quantum.native.backend:NativeBackend"),
    Entry("aer", "aer", "ketgate_server.quantum.backends.aer:AerBackend"),
    Entry("cirq", "cirq", "ketgate_server.quantum.backends.cirq:CirqBackend"),
    Entry("braket-local", "braket", "ketgate_server.quantum.backends.braket:BraketBackend"),
    Entry("pennylane", "pennylane", "ketgate_server.quantum.backends.pennylane:PennylaneBackend"),
    Entry("qutip", "qutip", "ketgate_server.quantum.backends.qutip:QutipBackend"),
]


class Bench:
    """A back end, and short ways to use it."""

    def __init__(self, backend):
        self.backend = backend
        self.name = backend.name
        self.can = backend.describe().capabilities

    def options(self, shots=0, **named):
        return RunOptions(shots=shots, seed=named.pop("seed", SEED), **named)

    def run(self, circuits, shots=0, task=None, **named):
        options = self.options(shots, **named)
        return self.backend.run(circuits, options, task or OrderTask())

    def one(self, circuit, shots=0, **named):
        (outcome,) = self.run([circuit], shots, **named)
        return outcome

    def estimate(self, circuit, observables, shots=0, *, parameters=None, gradients=False, **named):
        return self.backend.expectations(
            circuit,
            observables,
            self.options(shots, **named),
            OrderTask(),
            parameters=parameters,
            gradients=gradients,
        )


@pytest.fixture(scope="session")
def workers():
    """For the isolated ones: as they run in a server."""
    pool = Workers(WorkerSettings(workers_max=2, nice=0))
    yield pool
    pool.close()


@pytest.fixture(
    scope="session",
    params=[
        pytest.param(entry, id=entry.name, marks=pytest.mark.xdist_group(f"backend-{entry.name}"))
        for entry in BACKENDS
    ],
)
def bench(request, workers):
    entry = request.param
    if part_version(entry.part) is None:
        pytest.skip(f"{entry.name} is not installed: {PARTS[entry.part].install_command}")
    module, _, name = entry.target.partition(":")
    backend = getattr(importlib.import_module(module), name)()
    return Bench(Isolated(backend, workers) if backend.isolated else backend)


def assert_sampled(counts, probabilities, shots):
    """Every frequency within 5 standard errors of its probability; nothing impossible seen."""
    assert sum(counts.values()) == shots
    for outcome in counts.keys() | probabilities.keys():
        p = min(max(probabilities.get(outcome, 0.0), 0.0), 1.0)
        seen = counts.get(outcome, 0)
        # At least what rare events scatter by.
        error = max(math.sqrt(shots * p * (1 - p)), 1.0 if p > 1e-9 else 0.0)
        assert abs(seen - shots * p) <= 5 * error, (outcome, seen, shots * p)
