"""The channel between a running kernel and its caller."""

import threading

import pytest
from ketgate_native.monitor import Incumbent, Monitor


def drain(monitor: Monitor) -> list[Incumbent]:
    """Everything unread; take() raises StopIteration behind the last."""
    monitor.finish()
    found = []
    try:
        while (incumbent := monitor.take()) is not None:
            found.append(incumbent)
    except StopIteration:
        return found
    raise AssertionError("a finished monitor had nothing to say")


def test_only_strictly_better_solutions_pass() -> None:
    monitor = Monitor(1)
    monitor.offer(5.0, b"a")
    assert monitor.take().solution == b"a"  # type: ignore[union-attr]
    monitor.offer(5.0, b"b")
    monitor.offer(6.0, b"c")
    assert monitor.take() is None
    monitor.offer(4.0, b"d", work=7)
    taken = monitor.take()
    assert taken is not None
    assert (taken.objective, taken.solution, taken.work) == (4.0, b"d", 7)
    assert (monitor.best, monitor.work) == (4.0, 7)


def test_unread_incumbents_that_crowd_together_leave_the_newest() -> None:
    monitor = Monitor(2)
    for k in range(10_000):
        monitor.offer(-float(k), k.to_bytes(2, "little"))
    found = drain(monitor)
    assert 1 <= len(found) <= 64
    assert found[-1].objective == -9999.0
    assert int.from_bytes(found[-1].solution, "little") == 9999
    objectives = [incumbent.objective for incumbent in found]
    assert objectives == sorted(objectives, reverse=True)
    elapsed = [incumbent.elapsed_s for incumbent in found]
    assert elapsed == sorted(elapsed)


def test_the_first_reason_to_stop_stands() -> None:
    monitor = Monitor(1, target=0.0)
    assert not monitor.should_stop
    monitor.offer(-1.0, b"x")
    monitor.cancel()
    assert monitor.should_stop
    assert monitor.stop_reason == "target"


def test_a_deadline_in_the_past_stops_at_once() -> None:
    for limit in (0.0, -5.0):
        monitor = Monitor(1, time_limit_s=limit)
        assert monitor.remaining_s == 0.0
        assert monitor.should_stop
        assert monitor.stop_reason == "time"


def test_no_deadline_is_far_away() -> None:
    assert Monitor(1).remaining_s == float("inf")
    assert Monitor(1, time_limit_s=1e300).remaining_s > 1e9


@pytest.mark.parametrize(
    ("tolerances", "bound", "stops"),
    [
        ({"gap_absolute": 2.0}, 98.0, True),
        ({"gap_absolute": 2.0}, 97.9, False),
        ({"gap_relative": 0.01}, 99.0, True),
        ({"gap_relative": 0.01}, 98.9, False),
        ({}, 100.0, True),
        ({}, 99.999, False),
    ],
)
def test_a_closed_gap_stops(tolerances: dict[str, float], bound: float, stops: bool) -> None:
    monitor = Monitor(1, **tolerances)
    monitor.offer_bound(bound)
    monitor.offer(100.0, b"x")
    assert monitor.should_stop == stops
    assert monitor.stop_reason == ("gap" if stops else "")


def test_bounds_only_rise() -> None:
    monitor = Monitor(1)
    assert monitor.bound == float("-inf")
    monitor.offer_bound(3.0)
    monitor.offer_bound(1.0)
    assert monitor.bound == 3.0


def test_a_reader_is_woken_by_an_offer_and_by_the_end() -> None:
    monitor = Monitor(1)
    seen: list[float] = []

    def read() -> None:
        try:
            while (incumbent := monitor.take(60.0)) is not None:
                seen.append(incumbent.objective)
        except StopIteration:
            seen.append(float("inf"))

    reader = threading.Thread(target=read)
    reader.start()
    monitor.offer(1.0, b"x")
    monitor.finish()
    reader.join(30.0)
    assert seen == [1.0, float("inf")]


def test_nan_is_never_the_best() -> None:
    monitor = Monitor(1)
    monitor.offer(float("nan"), b"x")
    monitor.offer_bound(float("nan"))
    assert monitor.best == float("inf")
    assert monitor.bound == float("-inf")
    assert monitor.take() is None


def test_a_solution_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one for solutions of 3 bytes, given one for 2"):
        Monitor(2).offer(1.0, b"abc")


def test_solutions_of_no_bytes_are_fine() -> None:
    monitor = Monitor(0)
    monitor.offer(1.0, b"")
    assert drain(monitor)[0].solution == b""
