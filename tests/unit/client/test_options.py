"""Options of a solve reach the request, or are refused by name."""

from datetime import timedelta
from typing import Any

import ketgate
import numpy as np
import pytest
from ketgate import specs
from ketgate._options import duration
from ketgate._tensor import from_tensor

Q = [[-1.0]]


def test_options_reach_the_request() -> None:
    spec = specs.qubo(
        Q,
        time_limit=timedelta(seconds=1.5),
        solver={
            "annealing": {"sweeps": np.int64(10), "beta": 0.5, "flag": True, "mode": "a"},
            "tabu": {},
        },
        seed=2**64 - 1,
        threads=2,
        work_limit=100,
        target_objective=-1,
        gap=0.01,
        gap_absolute=1e-6,
        pool_size=3,
        initial=np.array([[1], [0]], dtype=np.uint8),
        feasibility_tolerance=1e-8,
    )
    assert spec.time_limit.ToTimedelta() == timedelta(seconds=1.5)
    assert [choice.name for choice in spec.solvers] == ["annealing", "tabu"]
    parameters = spec.solvers[0].parameters
    assert parameters["sweeps"].integer == 10
    assert parameters["beta"].number == 0.5
    assert parameters["flag"].flag is True
    assert parameters["mode"].text == "a"
    assert spec.seed == 2**64 - 1
    assert (spec.threads, spec.work_limit, spec.pool_size) == (2, 100, 3)
    assert (spec.target_objective, spec.gap_relative, spec.gap_absolute) == (-1.0, 0.01, 1e-6)
    assert from_tensor(spec.initial).dtype == np.uint8
    assert specs.qubo(Q, solver="tabu").solvers[0].name == "tabu"
    assert len(specs.qubo(Q, solver=["tabu", "annealing"]).solvers) == 2


def test_nothing_is_sent_that_was_not_given() -> None:
    spec = specs.qubo(Q)
    present = {field.name for field, _ in spec.ListFields()}
    assert present == {"qubo"}


def test_a_positive_time_limit_never_becomes_zero() -> None:
    assert duration(1e-12).nanos == 1
    assert duration(0.9999999999).seconds == 1


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"time_limit": 0}, "time_limit"),
        ({"time_limit": -1.0}, "time_limit"),
        ({"time_limit": float("nan")}, "time_limit"),
        ({"time_limit": "3"}, "time_limit"),
        ({"time_limit": 1e12}, "time_limit"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**64}, "seed"),
        ({"seed": 1.5}, "seed"),
        ({"seed": True}, "seed"),
        ({"threads": 2**31}, "threads"),
        ({"pool_size": "many"}, "pool_size"),
        ({"gap": "small"}, "gap"),
        ({"initial": ["up"]}, "initial"),
        ({"initial": np.zeros((1, 1, 1))}, "initial"),
        ({"solver": {"tabu": {"x": [1]}}}, "solver"),
        ({"solver": {"tabu": {"x": 2**70}}}, "solver"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], field: str) -> None:
    with pytest.raises(ketgate.InvalidArgument) as caught:
        specs.qubo(Q, **options)
    assert caught.value.field == field


def test_unknown_option_is_a_type_error_with_the_nearest() -> None:
    with pytest.raises(TypeError, match="'time_limt'; did you mean 'time_limit'"):
        specs.qubo(Q, time_limt=3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="min_position"):
        specs.portfolio(covariance=Q, min_positon=0.1)  # type: ignore[call-arg]
