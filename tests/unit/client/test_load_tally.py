"""What `ketgate load` counts and reports."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ketgate._load.report import percentile, to_json, to_table, warnings
from ketgate._load.run import Report, ServerCost
from ketgate._load.settings import LoadSettings
from ketgate._load.tally import FIRST_EVENT, NOT_SENT, WRONG_ANSWER, Latencies, Tally

pytest.importorskip("hdrh", reason="HdrHistogram is not installed: pip install 'ketgate[load]'")

MILLISECOND_NS = 1_000_000


@given(
    st.lists(st.integers(10_000, 100 * 10**9), min_size=1, max_size=300),
    st.sampled_from([50.0, 90.0, 99.0, 99.9, 100.0]),
)
def test_percentiles_are_numpys_to_three_digits(values: list[int], which: float) -> None:
    latencies = Latencies()
    for value in values:
        latencies.record(value)
    exact_ms = float(np.percentile(values, which, method="inverted_cdf")) / 1e6
    # Three significant digits, and one microsecond as the finest step.
    assert latencies.percentile_ms(which) == pytest.approx(exact_ms, rel=2e-3, abs=2e-3)


def test_times_beyond_the_range_are_kept_at_its_ends() -> None:
    latencies = Latencies()
    for value in (-5, 0, 10**15):
        latencies.record(value)
    assert latencies.count == 3
    assert latencies.percentile_ms(100.0) == pytest.approx(600_000.0, rel=1e-3)


def test_no_calls_have_no_percentile() -> None:
    assert math.isnan(Latencies().percentile_ms(50.0))
    assert percentile(Latencies(), 50.0) is None


def test_a_percentile_needs_enough_calls() -> None:
    latencies = Latencies()
    for _ in range(999):
        latencies.record(MILLISECOND_NS)
    assert percentile(latencies, 99.0) is not None
    assert percentile(latencies, 99.9) is None
    latencies.record(MILLISECOND_NS)
    assert percentile(latencies, 99.9) is not None


def _tally(base_ms: int) -> Tally:
    tally = Tally()
    for i in range(100):
        tally.sending(20_000, held=i == 0)
        tally.answered("Solve", (base_ms + i) * MILLISECOND_NS, in_time=i < 90)
    tally.answered("Solve" + FIRST_EVENT, MILLISECOND_NS)
    tally.failed(("RESOURCE_EXHAUSTED", "SERVER_BUSY"), "busy")
    return tally


def test_tallies_of_processes_add_up() -> None:
    total = Tally()
    for tally in (_tally(1), _tally(101)):
        total.add(Tally.from_json(json.loads(json.dumps(tally.to_json()))))
    assert total.sent == 200
    assert total.held == 2
    assert total.answered_in_time == 180
    assert total.failures == {("RESOURCE_EXHAUSTED", "SERVER_BUSY"): 2}
    assert total.examples["RESOURCE_EXHAUSTED", "SERVER_BUSY"] == "busy"
    assert total.latencies["Solve"].count == 200
    assert total.latencies["Solve"].percentile_ms(50.0) == pytest.approx(100.0, rel=2e-3)
    assert total.late.count == 200


def _report(tally: Tally, **changes: object) -> Report:
    values: dict[str, object] = {
        "settings": LoadSettings(rate=50.0, duration_s=2.0),
        "address": "127.0.0.1:1",
        "measured_s": 2.0,
        "tally": tally,
        "client_cpu_share_max": 0.2,
        "server": ServerCost(7, 1.0, 100 << 20, 110 << 20),
    }
    return Report(**(values | changes))  # type: ignore[arg-type]


def test_the_json_holds_every_figure() -> None:
    told = json.loads(json.dumps(to_json(_report(_tally(1)), "1.2.3"), allow_nan=False))
    assert told["server_version"] == "1.2.3"
    assert told["calls"] == {"sent": 100, "answered": 100, "failed": 1, "held_by_client": 1}
    assert told["throughput_per_s"] == 45.0
    assert told["latency_ms"]["Solve"]["p50"] == pytest.approx(50.0, rel=2e-3)
    assert told["latency_ms"]["Solve"]["p99.9"] is None
    assert told["failures"] == [
        {"code": "RESOURCE_EXHAUSTED", "reason": "SERVER_BUSY", "count": 1, "example": "busy"}
    ]
    assert told["server"]["cpu_share"] == 0.5
    assert told["server"]["cpu_us_per_call"] == pytest.approx(1e6 / 90)
    again = Latencies.decode(told["latency_ms"]["Solve"]["histogram"])
    assert again.count == 100


def test_the_json_of_a_run_without_calls_has_no_numbers_that_are_none() -> None:
    told = to_json(_report(Tally(), measured_s=0.0, server=None), "1")
    json.dumps(told, allow_nan=False)
    assert told["throughput_per_s"] is None
    assert "No call was measured." in told["warnings"]


def test_the_table_shows_what_matters() -> None:
    text = to_table(_report(_tally(1)), "1.2.3")
    for part in ("50/s asked", "p99.9", "Solve, first event", "SERVER_BUSY: busy", "110 MiB"):
        assert part in text
    assert "from when they were due" in text
    closed = to_table(_report(_tally(1), settings=LoadSettings(closed=3)), "1.2.3")
    assert "3 closed loops" in closed
    assert "from when they were sent" in closed


def _warned(tally: Tally, **changes: object) -> str:
    return "\n".join(warnings(_report(tally, **changes)))


def test_what_makes_figures_doubtful_is_said() -> None:
    calm = Tally()
    calm.sending(10_000, held=False)
    calm.answered("Solve", MILLISECOND_NS)
    assert not warnings(_report(calm))

    late = Tally()
    late.sending(80 * MILLISECOND_NS, held=False)
    late.answered("Solve", MILLISECOND_NS)
    assert "client itself was late" in _warned(late)
    assert "processor" in _warned(calm, client_cpu_share_max=0.97)
    assert "Interrupted" in _warned(calm, interrupted=True)

    calm.failed(WRONG_ANSWER, "weights sum to 2.0")
    assert "1 of 2 calls failed" in _warned(calm)
    calm.failed(NOT_SENT, "held back", 5)
    assert "the client is slower than the rate" in _warned(calm)
    calm.sending(10_000, held=True)
    assert "the server is slower than the rate" in _warned(calm)
