"""Start angles, the search from them, and what is measured at its end."""

from typing import Any

import numpy as np
import pytest
from ketgate_server.quantum.base import Stopped
from ketgate_server.quantum.qaoa.angles import (
    coefficient_scale,
    interpolated,
    neighbours,
    transferred,
)
from ketgate_server.quantum.qaoa.evaluate import StateVector, Subspace, evaluator, state_of
from ketgate_server.quantum.qaoa.fixed_angles import DENSE, SPARSE
from ketgate_server.quantum.qaoa.optimize import Optimum, Search, optimize
from ketgate_server.quantum.qaoa.problem import Angles, Mixer, QaoaProblem
from ketgate_server.quantum.qaoa.sample import draw, prepare, quality

from ...native.qaoa_oracle import diagonal, random_model


def problem(seed: int, n: int, *, fields: bool = False, density: float = 0.4) -> QaoaProblem:
    return QaoaProblem(*random_model(seed, n, fields=fields, density=density).arguments)


def scaled(given: QaoaProblem, factor: float) -> QaoaProblem:
    return QaoaProblem(factor * given.linear, given.row, given.col, factor * given.weight)


def search(given: QaoaProblem, layers: int, **options: Any) -> Optimum:
    return optimize(given, evaluator(given, layers), layers, **options)


def test_the_tables_hold_as_many_angles_as_layers() -> None:
    for table in (SPARSE, DENSE):
        assert sorted(table) == list(range(1, 13))
        for layers, rows in table.items():
            assert [len(row.split()) for row in rows] == [layers, layers]


def test_start_angles_follow_the_size_of_the_coefficients() -> None:
    given = problem(1, 10, fields=True)
    one, ten = transferred(given, 3), transferred(scaled(given, 10.0), 3)
    np.testing.assert_allclose(ten[0], one[0] / 10.0)
    np.testing.assert_allclose(ten[1], one[1])


def test_scale_and_neighbours_of_a_regular_graph() -> None:
    index = np.arange(12)
    ring = QaoaProblem(np.zeros(12), index, (index + 1) % 12, np.full(12, 3.0))
    assert coefficient_scale(ring) == pytest.approx(3.0 * np.sqrt(2.0))
    assert neighbours(ring) == pytest.approx(2.0)


def test_nothing_to_minimise_still_has_start_angles() -> None:
    empty = QaoaProblem(np.zeros(3), *(np.zeros(0, dtype=np.int64),) * 2, np.zeros(0), 2.5)
    assert transferred(empty, 2).shape == (2, 2)
    assert search(empty, 2).value == pytest.approx(2.5)


def test_interpolation_keeps_ends_and_straight_lines() -> None:
    line = np.array([[1.0, 2.0, 3.0], [-3.0, -2.0, -1.0]])
    wider = interpolated(line, 5)
    assert wider.shape == (2, 5)
    np.testing.assert_allclose(wider[:, [0, -1]], line[:, [0, -1]])
    assert (np.diff(wider, axis=1) > 0).all()


@pytest.mark.parametrize("layers", [1, 2, 4, 14])
@pytest.mark.parametrize("fields", [False, True])
def test_start_angles_beat_a_random_state_by_far(layers: int, fields: bool) -> None:
    given = problem(3, 10, fields=fields)
    cost = diagonal(random_model(3, 10, fields=fields))
    found = evaluator(given, layers).value(transferred(given, layers))
    share = (cost.mean() - found) / (cost.mean() - cost.min())
    assert share > {1: 0.35, 2: 0.5, 4: 0.65, 14: 0.75}[layers]


def test_a_search_improves_its_start_and_ends_where_slopes_vanish() -> None:
    given = problem(4, 10, fields=True)
    way = evaluator(given, 3)
    found = optimize(given, way, 3)
    assert found.complete
    assert found.value < way.value(transferred(given, 3))
    assert np.abs(way.gradient(found.angles)[1]).max() < 1e-2


def test_more_layers_are_better() -> None:
    given = problem(5, 9)
    values = [search(given, p).value for p in (1, 2, 3, 4)]
    assert values == sorted(values, reverse=True)


def test_further_starts_are_never_worse_and_follow_the_seed() -> None:
    given = problem(6, 8, fields=True)
    wide = Search(evaluations_max=10**6, starts=4)
    one = search(given, 2, search=Search(evaluations_max=10**6))
    four, again = (search(given, 2, search=wide, seed=1) for _ in range(2))
    assert four.value <= one.value
    assert four.angles.tobytes() == again.angles.tobytes()


def test_evaluations_end_the_search_with_the_best_so_far() -> None:
    given, seen = problem(7, 8), []
    found = search(given, 3, search=Search(evaluations_max=12), note=lambda *at: seen.append(at))
    assert not found.complete
    assert [evaluations for evaluations, _ in seen] == [4, 8, 12]
    assert found.value == min(value for _, value in seen)


class StopsAfter:
    """An evaluator that is stopped at its third gradient."""

    method = "stops"
    gradient_cost = 1

    def __init__(self, calls: int) -> None:
        self._calls = calls

    def value(self, angles: Angles) -> float:
        raise AssertionError

    def gradient(self, angles: Angles) -> tuple[float, Angles]:
        if self._calls == 0:
            raise Stopped
        self._calls -= 1
        return float((angles**2).sum()), 2.0 * angles


def test_a_stop_leaves_the_best_so_far() -> None:
    given = problem(8, 4)
    found = optimize(given, StopsAfter(2), 2)
    assert not found.complete
    assert found.evaluations == 2


def test_a_stop_before_anything_was_found_is_told() -> None:
    with pytest.raises(Stopped):
        optimize(problem(8, 4), StopsAfter(0), 2)


@pytest.mark.parametrize("fields", [False, True])
def test_samples_carry_their_energies_and_follow_the_state(fields: bool) -> None:
    given = problem(9, 8, fields=fields)
    state = state_of(given)
    assert isinstance(state, StateVector)
    prepare(state, transferred(given, 3))
    weights = np.abs(state.state.state_vector()) ** 2
    found, again = draw(state, 20_000, 5), draw(state, 20_000, 5)
    assert found.counts.tobytes() == again.counts.tobytes()
    assert found.counts.sum() == 20_000
    assert (np.diff(found.energies) >= 0).all()
    cost = diagonal(random_model(9, 8, fields=fields))
    np.testing.assert_allclose(found.energies, cost[found.outcomes.astype(int)])
    expected = 20_000 * weights[found.outcomes.astype(int)]
    assert (np.abs(found.counts - expected) < 5 * np.sqrt(expected + 1)).all()


@pytest.mark.parametrize("fields", [False, True])
def test_quality_is_that_of_the_whole_table(fields: bool) -> None:
    given = problem(10, 9, fields=fields)
    state = state_of(given)
    assert isinstance(state, StateVector)
    expectation = prepare(state, transferred(given, 2))
    found = quality(state)
    cost = diagonal(random_model(10, 9, fields=fields))
    weights = np.abs(state.state.state_vector()) ** 2
    assert found.best == pytest.approx(cost.min())
    assert found.worst == pytest.approx(cost.max())
    assert cost[found.best_outcome] == pytest.approx(cost.min())
    assert found.probability == pytest.approx(weights[cost < cost.min() + 1e-9].sum(), abs=1e-12)
    ratio = (cost.max() - expectation) / (cost.max() - cost.min())
    assert found.approximation_ratio(expectation) == pytest.approx(ratio)


def test_the_subspaces_samples_and_quality() -> None:
    model = random_model(11, 7, fields=True)
    given = QaoaProblem(*model.arguments, mixer=Mixer.XY_RING, hamming_weight=3)
    state = state_of(given)
    assert isinstance(state, Subspace)
    best = search(given, 2)
    assert prepare(state, best.angles) == pytest.approx(best.value)
    found, cost = draw(state, 1000, 3), diagonal(model)
    assert {int(x).bit_count() for x in found.outcomes} == {3}
    allowed = np.array([x for x in range(128) if x.bit_count() == 3])
    told = quality(state)
    assert told.best == pytest.approx(cost[allowed].min())
    assert told.worst == pytest.approx(cost[allowed].max())
    assert 0.0 < told.probability <= 1.0


def test_a_start_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^start: expected shape \(2, 3\)"):
        search(problem(1, 4), 3, start=np.zeros((2, 2)))
