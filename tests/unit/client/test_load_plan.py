"""When `ketgate load` sends what: arrivals, scenarios, settings."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ketgate import InvalidArgument
from ketgate._load import arrivals
from ketgate._load.scenarios import SCENARIOS, VARIANTS, Shots
from ketgate._load.settings import LoadSettings


@given(rate=st.floats(0.5, 5_000.0), duration_s=st.floats(0.1, 5.0), workers=st.integers(1, 8))
def test_uniform_workers_together_send_at_equal_gaps(
    rate: float, duration_s: float, workers: int
) -> None:
    plans = [
        arrivals.plan("uniform", rate, duration_s, seed=1, worker=w, workers=workers)
        for w in range(workers)
    ]
    together = np.sort(np.concatenate(plans))
    alone = arrivals.plan("uniform", rate, duration_s, seed=1)
    np.testing.assert_array_equal(together, alone)
    assert abs(len(alone) - rate * duration_s) <= 1
    np.testing.assert_allclose(np.diff(alone), 1e9 / rate, atol=1.01)


@pytest.mark.parametrize("workers", [1, 4])
def test_poisson_arrivals_have_exponential_gaps(workers: int) -> None:
    plans = [
        arrivals.plan("poisson", 1_000.0, 20.0, seed=3, worker=w, workers=workers)
        for w in range(workers)
    ]
    together = np.sort(np.concatenate(plans))
    # 20,000 expected, standard deviation 141; gaps of mean and standard deviation 1 ms.
    assert abs(len(together) - 20_000) < 6 * 141
    gaps_ms = np.diff(together) / 1e6
    assert abs(gaps_ms.mean() - 1.0) < 0.05
    assert abs(gaps_ms.std() - 1.0) < 0.05
    assert together[-1] < 20e9


def test_poisson_arrivals_follow_the_seed() -> None:
    first, again, other = (arrivals.plan("poisson", 50.0, 5.0, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first[:10], other[:10])
    apart = arrivals.plan("poisson", 50.0, 5.0, seed=1, worker=1, workers=2)
    assert not np.isin(apart, first).any()


def test_other_arrivals_are_refused() -> None:
    with pytest.raises(ValueError, match="poisson"):
        arrivals.plan("bursty", 1.0, 1.0, seed=1)


def _drawn(scenario: str, seed: int, count: int = 2_500) -> list[tuple[int, bytes]]:
    shots = Shots(SCENARIOS[scenario], seed).draw((seed, 0))
    return [(shot.operation, shot.request) for shot, _ in zip(shots, range(count), strict=False)]


@pytest.mark.parametrize("scenario", sorted(SCENARIOS))
def test_a_scenario_is_the_same_for_the_same_seed(scenario: str) -> None:
    assert _drawn(scenario, 5) == _drawn(scenario, 5)


@pytest.mark.parametrize("scenario", ["small-solve", "stream", "jobs", "heavy"])
def test_a_scenario_sends_different_requests(scenario: str) -> None:
    assert len({request for _, request in _drawn(scenario, 5)}) == VARIANTS
    assert _drawn(scenario, 5) != _drawn(scenario, 6)


def test_the_mix_has_the_shares_that_it_states() -> None:
    operations = [operation for operation, _ in _drawn("mix", 1, 20_000)]
    shares = np.bincount(operations, minlength=4) / len(operations)
    np.testing.assert_allclose(shares, [0.70, 0.20, 0.05, 0.05], atol=0.015)


def test_requests_are_of_the_type_that_their_method_takes() -> None:
    for scenario in SCENARIOS.values():
        operations = [operation for _, operation in scenario.shares]
        for shot, _ in zip(Shots(scenario, 1).draw((1,)), range(200), strict=False):
            request_type = operations[shot.operation].method.request_type
            assert request_type.FromString(shot.request).SerializeToString() == shot.request


def test_every_job_is_a_new_one() -> None:
    """A request_id that was used is a repeat, and makes nothing."""
    [(_, operation)] = SCENARIOS["jobs"].shares
    shot = next(Shots(SCENARIOS["jobs"], 1).draw((1,)))
    read = operation.method.request_type.FromString
    sent = [read(shot.request + operation.added()) for _ in range(50)]
    assert len({request.request_id for request in sent}) == 50
    for request in sent:
        request.ClearField("request_id")
    assert {request.SerializeToString() for request in sent} == {shot.request}


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("rate", {}),
        ("rate", {"rate": 5.0, "closed": 1}),
        ("rate", {"rate": -1.0}),
        ("rate", {"rate": float("nan")}),
        ("rate", {"rate": 1e5, "duration_s": 3600.0}),
        ("closed", {"closed": -2}),
        ("scenario", {"rate": 1.0, "scenario": "none"}),
        ("arrivals", {"rate": 1.0, "arrivals": "bursty"}),
        ("duration", {"rate": 1.0, "duration_s": 0.0}),
        ("duration", {"rate": 1.0, "duration_s": float("inf")}),
        ("warm_up", {"rate": 1.0, "warm_up_s": -1.0}),
        ("processes", {"rate": 1.0, "processes": 0}),
        ("processes", {"closed": 2, "processes": 3}),
        ("in_flight", {"rate": 1.0, "in_flight_max": 0}),
        ("timeout", {"rate": 1.0, "timeout_s": 0.0}),
        ("seed", {"rate": 1.0, "seed": -1}),
        ("connections", {"rate": 1.0, "connections": 1000}),
    ],
)
def test_settings_that_make_no_sense_are_refused(field: str, values: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument) as refused:
        LoadSettings(**values)  # type: ignore[arg-type]
    assert refused.value.field == field
    assert "expected" in str(refused.value)


@pytest.mark.parametrize(
    ("values", "given"), [({}, "neither"), ({"rate": 5.0, "closed": 1}, "both")]
)
def test_the_options_of_a_load_are_named(values: dict[str, float], given: str) -> None:
    with pytest.raises(InvalidArgument, match=f"--rate .* or .*--closed .*given {given}"):
        LoadSettings(**values)  # type: ignore[arg-type]
