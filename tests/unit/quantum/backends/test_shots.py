"""Shots of every back end against exact distributions: seeds, memory, and what goes on after a
measurement."""

import numpy as np
import pytest
from ketgate_server.quantum.base import Precision

from .. import oracle
from ..specimens import dynamic_circuits, exact_circuits, ghz, measured, mixing
from .conftest import SHOTS, assert_sampled

FEATURES = {
    "reset": "reset",
    "measured": "mid_circuit_measurement",
    "a bit": "mid_circuit_measurement",
}


def test_frequencies_are_those_of_the_distribution(bench):
    cases = {what: case for what, case in exact_circuits().items() if case.num_qubits < 9}
    outcomes = bench.run(list(cases.values()), SHOTS)
    for case, outcome in zip(cases.values(), outcomes, strict=True):
        assert_sampled(outcome.counts, oracle.distribution(case), SHOTS)
        assert not outcome.probabilities


def test_the_same_seed_gives_the_same_shots_and_another_others(bench):
    if not bench.can.seeded:
        pytest.skip(f"{bench.name} takes no seed")
    case = measured(4, mixing(4))
    first = bench.one(case, SHOTS, seed=5, memory=True)
    again = bench.one(case, SHOTS, seed=5, memory=True)
    other = bench.one(case, SHOTS, seed=6)
    assert first.counts == again.counts
    np.testing.assert_array_equal(first.memory, again.memory)
    assert first.counts != other.counts
    largest = bench.one(case, 10, seed=(1 << 64) - 1)
    assert sum(largest.counts.values()) == 10


def test_equal_circuits_of_a_batch_are_drawn_by_themselves(bench):
    case = measured(4, mixing(4))
    first, second = bench.run([case, case], SHOTS)
    assert first.counts != second.counts


def test_memory_is_what_was_counted_in_no_order(bench):
    case = measured(3, ghz(3), bits=(2, 0, 4))
    outcome = bench.one(case, 500, memory=True)
    memory = np.asarray(outcome.memory)
    assert memory.shape == (500, 5)
    assert memory.dtype == np.uint8
    numbers, counts = np.unique(memory @ (1 << np.arange(5)), return_counts=True)
    counted = dict(zip(numbers.tolist(), counts.tolist(), strict=True))
    assert counted == dict(outcome.counts)
    assert counted.keys() == {0, 0b10101}
    ones = memory[:, 0]
    assert 100 < np.count_nonzero(np.diff(ones.astype(int))) < 400  # not sorted


def test_without_memory_there_is_none(bench):
    assert bench.one(measured(2, ghz(2)), 10).memory is None


def feature(what):
    return next(
        (f for prefix, f in FEATURES.items() if what.startswith(prefix)), "classical_control"
    )


@pytest.mark.parametrize("what", dynamic_circuits())
def test_circuits_that_go_on_after_a_measurement(bench, what):
    if not getattr(bench.can, feature(what)):
        pytest.skip(f"{bench.name} has no {feature(what)}")
    case = dynamic_circuits()[what]
    outcome = bench.one(case, SHOTS, memory=True)
    assert_sampled(outcome.counts, oracle.distribution(case), SHOTS)
    numbers = np.asarray(outcome.memory) @ (1 << np.arange(case.num_bits))
    found, counts = np.unique(numbers, return_counts=True)
    assert dict(zip(found.tolist(), counts.tolist(), strict=True)) == dict(outcome.counts)


def test_teleportation_never_fails(bench):
    if not bench.can.classical_control:
        pytest.skip(f"{bench.name} has no classical control")
    outcome = bench.one(dynamic_circuits()["teleportation"], SHOTS)
    assert not any(memory >> 2 & 1 for memory in outcome.counts)
    assert len(outcome.counts) == 4
    again = bench.one(dynamic_circuits()["teleportation"], SHOTS)
    assert outcome.counts == again.counts or not bench.can.seeded


def test_measurements_amid_a_circuit_in_single_precision(bench):
    if not (bench.can.single_precision and bench.can.classical_control):
        pytest.skip(f"{bench.name} has no classical control in single precision")
    for what in ("teleportation", "reset", "a bit written twice"):
        case = dynamic_circuits()[what]
        outcome = bench.one(case, SHOTS, precision=Precision.SINGLE)
        assert_sampled(outcome.counts, oracle.distribution(case), SHOTS)
