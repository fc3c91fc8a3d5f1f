"""A back end in a worker: what runs there, what stays here, and that it can be stopped."""

import os

import numpy as np
import pytest
from ketgate_server.quantum.base import RunOptions, Stopped, Unsuitable
from ketgate_server.quantum.circuit import Circuit
from ketgate_server.quantum.workers.isolated import Isolated
from ketgate_server.quantum.workers.order import OrderTask

CIRCUIT = Circuit(1, 1, (), label="a label")
SHOTS = RunOptions(shots=10, seed=1)
ENDLESS = RunOptions(shots=0, seed=1)


@pytest.fixture
def isolated(pool):
    import worker_calls

    return Isolated(worker_calls.FakeBackend(), pool)


def test_it_is_described_checked_and_estimated_here_without_a_worker(isolated, pool):
    assert (isolated.name, isolated.isolated) == ("fake", True)
    assert isolated.describe().description == str(os.getpid())
    assert isolated.need(CIRCUIT, SHOTS).memory_bytes == os.getpid()
    with pytest.raises(Unsuitable, match=str(os.getpid())):
        isolated.check(CIRCUIT, SHOTS)
    assert pool.pids() == []


def test_it_runs_there(isolated, pool):
    first, second = isolated.run([CIRCUIT, CIRCUIT], SHOTS, OrderTask())
    assert first.counts == second.counts == {pool.pids()[0]: 10}
    assert first.method == "a label"
    told = isolated.expectations(
        CIRCUIT, [], SHOTS, OrderTask(), parameters={"a": 0.5}, gradients=True
    )
    np.testing.assert_array_equal(told.values, [0.5, 1.0, 0.0])


def test_it_can_be_warmed_before_it_is_needed(isolated, pool):
    isolated.warm()
    assert pool.idle("fake") == 1


def test_a_run_ends_with_its_deadline(isolated, pool, patient):
    patient()
    isolated.warm()
    pids = pool.pids()
    with pytest.raises(Stopped):
        isolated.run([CIRCUIT], ENDLESS, OrderTask(0.2))
    (outcome,) = isolated.run([CIRCUIT], SHOTS, OrderTask())
    assert list(outcome.counts) == pids  # it heard, and its worker lives on
