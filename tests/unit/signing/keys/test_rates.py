"""Token buckets against a plain model of what they promise."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.signing.keys.rates import Rates
from ketgate_server.signing.keys.record import Policy

from .test_policy import key_with


class Clock:
    now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def refusal(rates: Rates, key, uses: int) -> KetgateError:
    with pytest.raises(KetgateError) as caught:
        rates.take(key, uses)
    assert caught.value.reason is Reason.RATE_EXCEEDED
    return caught.value


def test_a_burst_then_the_rate() -> None:
    clock = Clock()
    rates, key = Rates(clock), key_with(Policy(uses_per_second=2.0, burst=3))
    rates.take(key, 1)
    rates.take(key, 2)
    error = refusal(rates, key, 1)
    assert error.retry_after_s == pytest.approx(0.5)
    assert error.metadata == {
        "key": "keys/k",
        "rule": "uses_per_second",
        "uses_per_second": "2",
        "burst": "3",
        "uses": "1",
    }
    clock.now_s += 0.5
    rates.take(key, 1)
    refusal(rates, key, 1)


def test_what_never_fits_is_refused_without_a_time_to_retry() -> None:
    rates, key = Rates(Clock()), key_with(Policy(uses_per_second=5.0))
    assert refusal(rates, key, 6).retry_after_s is None
    rates.take(key, 5)  # what was refused counted nothing


def test_no_rate_is_no_limit() -> None:
    Rates(Clock()).take(key_with(Policy()), 10**9)


def test_less_than_one_a_second_is_one_at_once() -> None:
    clock = Clock()
    rates, key = Rates(clock), key_with(Policy(uses_per_second=0.1))
    rates.take(key, 1)
    assert refusal(rates, key, 1).retry_after_s == pytest.approx(10)
    clock.now_s += 10
    rates.take(key, 1)


def test_a_lower_rate_holds_at_once() -> None:
    rates, key = Rates(Clock()), key_with(Policy(uses_per_second=100.0))
    rates.take(key, 1)
    refusal(rates, replace(key, policy=Policy(uses_per_second=1.0)), 2)
    rates.take(replace(key, policy=Policy(uses_per_second=1.0)), 1)
    refusal(rates, replace(key, policy=Policy(uses_per_second=1.0)), 1)


def test_a_key_made_again_has_a_bucket_of_its_own_and_few_are_kept() -> None:
    rates = Rates(Clock(), buckets_max=2)
    key = key_with(Policy(uses_per_second=1.0))
    rates.take(key, 1)
    rates.take(replace(key, uid="later"), 1)
    refusal(rates, key, 1)
    rates.take(replace(key, uid="third"), 1)
    refusal(rates, key, 1)  # it was asked for last, so another was forgotten
    rates.take(replace(key, uid="later"), 1)


@given(
    st.sampled_from([0.5, 1.0, 3.0]),
    st.sampled_from([0, 1, 4]),
    st.lists(st.tuples(st.sampled_from([0.0, 0.25, 1.0, 5.0]), st.integers(1, 5)), max_size=30),
)
def test_no_window_has_more_than_a_burst_and_the_rate(
    rate: float, burst: int, steps: list[tuple[float, int]]
) -> None:
    clock = Clock()
    rates, key = Rates(clock), key_with(Policy(uses_per_second=rate, burst=burst))
    most = float(burst or max(1.0, rate))
    allowed: list[tuple[float, int]] = []
    for pause_s, uses in steps:
        clock.now_s += pause_s
        windows = [math.inf] + [
            most + rate * (clock.now_s - start) - sum(n for t, n in allowed if t >= start)
            for start in [t for t, _ in allowed]
        ]
        fits = uses <= most and uses <= min(windows) + 1e-9
        try:
            rates.take(key, uses)
            allowed.append((clock.now_s, uses))
            assert fits
        except KetgateError as error:
            assert not fits
            if error.retry_after_s is not None:
                clock.now_s += error.retry_after_s
                rates.take(key, uses)
                allowed.append((clock.now_s, uses))
