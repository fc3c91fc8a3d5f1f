"""Expectations by measured groups agree with exact ones, and their standard errors are honest."""

import numpy as np
import pytest
from ketgate_server.quantum.base import RunOptions
from ketgate_server.quantum.circuit import Circuit, Gate, Measure
from ketgate_server.quantum.grouped import from_counts, measured
from ketgate_server.quantum.native.backend import NativeBackend
from ketgate_server.quantum.observable import PauliSum, PauliTerm, qubit_wise_groups
from ketgate_server.quantum.task import RunTask

SHOTS = 20_000
TURNED = Circuit(
    3,
    1,
    (
        Gate("ry", (0,), (0.4,)),
        Gate("rx", (1,), (1.1,)),
        Gate("cx", (0, 2)),
        Gate("u", (2,), (0.3, 0.8, -0.5)),
        Gate("rzz", (1, 2), (0.7,)),
        Gate("h", (1,)),
        Measure(0, 0),
    ),
)
OBSERVABLES = (
    PauliSum.of([PauliTerm(1.0, 0b001, 0b010), PauliTerm(-0.5, 0b100, 0b100)]),
    PauliSum.of([PauliTerm(2.0, 0b011, 0b110), PauliTerm(0.25, 0, 0), PauliTerm(1.0, 0, 0b101)]),
    PauliSum.of([PauliTerm(1.0, 0b001, 0b010)]),
)


@pytest.fixture(scope="module")
def native():
    return NativeBackend()


def sampled(native, seed):
    groups = qubit_wise_groups(OBSERVABLES)
    outcomes = [
        native.run([circuit], RunOptions(SHOTS, seed + k), RunTask(float("inf")))[0]
        for k, circuit in enumerate(measured(TURNED, groups))
    ]
    return from_counts(outcomes, groups, OBSERVABLES)


def test_they_agree_within_their_errors(native):
    exact = native.expectations(TURNED, OBSERVABLES, RunOptions(0, 1), RunTask(float("inf")))
    off = np.array(
        [
            (found.values - exact.values) / found.standard_errors
            for found in (sampled(native, 100 * seed) for seed in range(20))
        ]
    )
    assert np.abs(off).max() < 5.0
    # Twenty of them scatter as their errors say.
    assert 0.6 < off.std() < 1.5


def test_an_observable_without_a_constant_is_a_number_too(native):
    (group,) = groups = [[PauliTerm(1.0, 0, 1)]]
    (circuit,) = measured(TURNED, groups)
    outcome = native.run([circuit], RunOptions(100, 1), RunTask(float("inf")))[0]
    found = from_counts([outcome], groups, [PauliSum(tuple(group))])
    assert found.values.dtype == np.float64
    assert found.groups == 1
