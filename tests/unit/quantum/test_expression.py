"""Angles of parameters: values, derivatives, and where there is none."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ketgate_server.errors import FieldError
from ketgate_server.quantum.expression import (
    FUNCTIONS,
    Expression,
    derivative,
    evaluate,
    parameter,
    slope,
)

A = parameter("a")


@given(value=st.floats(0.1, 0.9), function=st.sampled_from(sorted(FUNCTIONS)))
def test_derivatives_against_differences(value: float, function: str) -> None:
    angle = Expression("*", (Expression(function, (A,)), Expression("**", (A, 2.0))))
    step = 1e-6
    ends = [evaluate(angle, {"a": value + s}) for s in (step, -step)]
    assert derivative(angle, {"a": value}, "a") == pytest.approx(
        (ends[0] - ends[1]) / 2e-6, rel=1e-4
    )


def test_quotients_and_powers() -> None:
    angle = Expression("/", (Expression("**", (2.0, A)), Expression("+", (A, 1.0))))
    wanted = 2**0.5 * (math.log(2) * 1.5 - 1) / 1.5**2
    assert derivative(angle, {"a": 0.5}, "a") == pytest.approx(wanted)
    assert derivative(angle, {"a": 0.5}, "b") == 0.0


def test_an_angle_without_a_derivative_is_the_callers_to_mend() -> None:
    root = Expression("sqrt", (A,))
    assert evaluate(root, {"a": 0.0}) == 0.0
    with pytest.raises(FieldError, match=r"parameters\[a\]: expected values at which every angle"):
        slope(root, {"a": 0.0}, "a")
