"""Results in NumPy or pandas as the request was, whole or cut short, as text, JSON and pictures."""

import json
from pathlib import Path
from typing import Any

import ketgate
import numpy as np
import pandas as pd
import pytest
from ketgate._events import Gathering, Outcome, prepared
from ketgate._portfolio import frontier as frontier_job
from ketgate._portfolio import portfolio as portfolio_job
from ketgate._programs import ising as ising_job
from ketgate._programs import linear as linear_job
from ketgate._tensor import from_tensor, to_tensor
from ketgate.optimization.v1 import optimization_service_pb2 as service_pb2
from ketgate.optimization.v1 import program_pb2, result_pb2
from ketgate.type.v1 import tensor_pb2

NAMES = ["A", "B", "C"]
FRAME = pd.DataFrame(np.diag([1.0, 2.0, 3.0]), index=NAMES, columns=NAMES)
WEIGHTS = np.array([0.25, 0.0, 0.75])


def solution(values: np.ndarray, **figures: Any) -> result_pb2.Solution:
    message = result_pb2.Solution(
        values=to_tensor(values), objective=2.0, occurrences=1, solver="branch-and-bound"
    )
    for name, value in figures.items():
        if isinstance(value, np.ndarray):
            getattr(message.portfolio, name).CopyFrom(to_tensor(value))
        else:
            setattr(message.portfolio, name, value)
    return message


def solved(*solutions: result_pb2.Solution, **fields: Any) -> result_pb2.SolveResult:
    message = result_pb2.SolveResult(
        status=result_pb2.SOLVE_STATUS_OPTIMAL,
        stop_reason=result_pb2.STOP_REASON_COMPLETED,
        sense=program_pb2.OBJECTIVE_SENSE_MINIMIZE,
        objective=2.0,
        bound=1.5,
        gap=0.25,
        solutions=solutions,
        solver="branch-and-bound",
        seed=7,
        warnings=["mind the step"],
        **fields,
    )
    message.time.total.FromMilliseconds(1250)
    return message


def decode(job: Any, message: result_pb2.SolveResult) -> Any:
    return job.decode(Outcome(message, job.spec, [], []))


PORTFOLIO = solution(
    WEIGHTS,
    expected_return=0.1,
    volatility=0.2,
    sharpe_ratio=0.5,
    names_held=2,
    risk_shares=np.array([0.4, 0.0, 0.6]),
)


@pytest.mark.parametrize("dtype", ["f8", "f4", "i8", "i4", "i1", "u1", ">f8"])
def test_tensors_go_there_and_back(dtype: str) -> None:
    array = np.arange(6, dtype=dtype).reshape(2, 3).T
    back = from_tensor(to_tensor(array))
    assert np.array_equal(back, array)
    assert back.dtype == array.dtype.newbyteorder("=")
    assert back.flags.writeable


def test_list_forms_are_read_and_nonsense_is_a_fault_of_the_server() -> None:
    doubles = tensor_pb2.Tensor(doubles=tensor_pb2.DoubleArray(values=[1.0, 2.0]))
    assert from_tensor(doubles).tolist() == [1.0, 2.0]
    assert from_tensor(tensor_pb2.Tensor(integers=tensor_pb2.Int64Array(values=[3]))).tolist() == [
        3
    ]
    for broken in (
        tensor_pb2.Tensor(dtype=99, data=b"12345678"),
        tensor_pb2.Tensor(dtype=tensor_pb2.DATA_TYPE_FLOAT64, shape=[2], data=b"12345678"),
    ):
        with pytest.raises(ketgate.InternalError):
            from_tensor(broken)


def test_pandas_in_pandas_out() -> None:
    result = decode(portfolio_job(covariance=FRAME), solved(PORTFOLIO))
    assert isinstance(result, ketgate.PortfolioResult)
    assert isinstance(result.weights, pd.Series)
    assert result.weights.to_dict() == {"A": 0.25, "B": 0.0, "C": 0.75}
    assert result.risk_shares["C"] == 0.6
    assert result.held == {"C": 0.75, "A": 0.25}
    assert (result.volatility, result.sharpe_ratio, result.expected_return) == (0.2, 0.5, 0.1)
    assert result.figures.turnover is None
    assert result.lots is None


def test_numpy_in_numpy_out_with_names_where_given() -> None:
    result = decode(portfolio_job(covariance=FRAME.to_numpy()), solved(PORTFOLIO))
    assert isinstance(result.weights, np.ndarray)
    assert result.by_name == {0: 0.25, 1: 0.0, 2: 0.75}
    named = decode(portfolio_job(covariance=FRAME.to_numpy(), names=NAMES), solved(PORTFOLIO))
    assert named.weights["C"] == 0.75
    assert (
        decode(prepared(portfolio_job(covariance=FRAME).spec), solved(PORTFOLIO)).by_name["C"]
        == 0.75
    )


def test_what_is_proven_and_how_it_came_about() -> None:
    result = decode(portfolio_job(covariance=FRAME), solved(PORTFOLIO))
    assert result.solved
    assert result.proven
    assert (result.objective, result.bound, result.gap, result.seed) == (2.0, 1.5, 0.25, 7)
    assert result.time.total_s == 1.25
    assert result.time.queued_s == 0.0
    assert result.warnings == ["mind the step"]
    assert result.stop_reason is ketgate.StopReason.COMPLETED


def test_no_solution_is_a_result_and_says_why_when_asked_for_values() -> None:
    message = result_pb2.SolveResult(
        status=result_pb2.SOLVE_STATUS_INFEASIBLE,
        conflict=[
            {
                "field": "portfolio.constraints.budget",
                "name": "",
                "description": "the weights sum to 2",
            }
        ],
    )
    result = decode(portfolio_job(covariance=FRAME), message)
    assert not result.solved
    assert result.status == "infeasible"
    assert result.objective is None
    assert result.conflict[0].field == "portfolio.constraints.budget"
    assert "weights sum to 2" in repr(result)
    with pytest.raises(ketgate.NoSolution, match=r"infeasible.*the weights sum to 2"):
        _ = result.weights
    with pytest.raises(ketgate.NoSolution):
        result.plot()
    json.dumps(result.to_dict())


def test_a_status_of_a_newer_server_is_unknown() -> None:
    result = decode(
        portfolio_job(covariance=FRAME), result_pb2.SolveResult(status=99, stop_reason=99)
    )
    assert result.status is ketgate.Status.UNKNOWN
    assert result.stop_reason is ketgate.StopReason.UNKNOWN


def test_spins_and_runs() -> None:
    run = result_pb2.SolverRun(
        solver="tabu", status=result_pb2.SOLVE_STATUS_FEASIBLE, objective=2.0, work=5
    )
    result = decode(
        ising_job({"a": 1.0, "b": -1.0}),
        solved(solution(np.array([-1, 1], dtype=np.int8)), runs=[run]),
    )
    assert result.by_name == {"a": -1, "b": 1}
    assert result.spins.tolist() == [-1, 1]
    assert result.runs[0].objective == 2.0
    assert result.runs[0].bound is None
    assert "1 of 2 spins" in repr(result)
    assert repr(result.solutions[0]).startswith("Solution(objective=2")


def test_a_result_starts_the_next_solve() -> None:
    result = decode(
        ising_job([1.0, -1.0]), solved(*[solution(np.array([-1, 1], dtype=np.int8))] * 2)
    )
    assert from_tensor(ising_job([1.0, -1.0], initial=result).spec.initial).tolist() == [
        [-1, 1],
        [-1, 1],
    ]


def frontier_message() -> result_pb2.SolveResult:
    message = solved(PORTFOLIO)
    for name, values in {
        "weights": np.tile(WEIGHTS, (4, 1)), "expected_returns": np.arange(4.0), "volatilities": np.arange(4.0),
        "corner_weights": np.tile(WEIGHTS, (2, 1)), "corner_expected_returns": np.array([0.0, 3.0]),
        "corner_volatilities": np.array([0.0, 3.0]),
    }.items():  # fmt: skip
        getattr(message.frontier, name).CopyFrom(to_tensor(values))
    return message


def test_frontier_in_pandas_and_in_numpy() -> None:
    result = decode(frontier_job(covariance=FRAME), frontier_message())
    assert list(result.frontier.columns) == ["expected_return", "volatility", *NAMES]
    assert result.frontier.shape == (4, 5)
    assert result.points.corner_weights.shape == (2, 3)
    plain = decode(frontier_job(covariance=FRAME.to_numpy()), frontier_message())
    assert isinstance(plain.frontier, ketgate.Frontier)
    assert plain.points.variance_bounds is None
    assert json.loads(json.dumps(plain.to_dict()))["frontier"]["expected_returns"] == [0, 1, 2, 3]
    assert "4 portfolios, 2 corners" in repr(plain)
    message = frontier_message()
    for name in ("corner_weights", "corner_expected_returns", "corner_volatilities"):
        message.frontier.ClearField(name)
    assert decode(frontier_job(covariance=FRAME), message).points.corner_weights.shape == (0, 3)


def stream_events(**options: Any) -> Gathering:
    job = portfolio_job(covariance=FRAME, risk_aversion=1.0, **options)
    gathering = Gathering(job.spec)
    event = service_pb2.SolveStreamResponse
    for objective, bound, ms in ((1.0, 9.0, 10), (2.0, 4.0, 20)):
        message = event(incumbent={"solution": PORTFOLIO, "bound": bound, "solver": "x", "work": 1})
        message.incumbent.solution.objective = objective
        message.incumbent.elapsed.FromMilliseconds(ms)
        gathering.add(message)
    gathering.add(event(progress={"bound": 5.0, "work": 9}))
    gathering.add(event())
    return gathering


def test_a_stream_that_is_cut_short_is_a_result() -> None:
    gathering = stream_events()
    assert Gathering(portfolio_job(covariance=FRAME).spec).best_so_far(4) is None
    outcome = gathering.best_so_far(result_pb2.STOP_REASON_CANCELLED, "cut")
    assert outcome is not None
    result = portfolio_job(covariance=FRAME).decode(outcome)
    assert (result.status, result.stop_reason) == ("feasible", "cancelled")
    assert result.maximize
    assert result.objective == 2.0
    assert result.bound == 4.0, "what is proven stays proven, whatever comes later"
    assert result.gap == pytest.approx(1.0)
    assert [i.objective for i in result.incumbents] == [1.0, 2.0]
    assert result.incumbents[1].values.tolist() == WEIGHTS.tolist()
    assert [event.improved for event in result.trace] == [True, True, False]
    assert result.trace[0].gap == pytest.approx(8.0)
    assert result.warnings == ["cut"]
    assert (result.seed, result.threads) == (None, None), "what the server chose was not heard"
    known = stream_events(seed=7).best_so_far(result_pb2.STOP_REASON_CANCELLED)
    assert known is not None
    assert portfolio_job(covariance=FRAME).decode(known).seed == 7


def test_text_and_json_hold_what_a_reader_needs() -> None:
    result = decode(portfolio_job(covariance=FRAME), solved(PORTFOLIO))
    text = repr(result)
    for part in (
        "optimal",
        "objective 2",
        "bound 1.5",
        "branch-and-bound",
        "Sharpe 0.5",
        "75.00%",
        "mind the step",
    ):
        assert part in text
    document = json.loads(json.dumps(result.to_dict()))
    assert document["weights"] == {"A": 0.25, "B": 0.0, "C": 0.75}
    assert document["figures"]["names_held"] == 2


@pytest.mark.parametrize("kind", ["portfolio", "frontier", "linear"])
def test_pictures_are_drawn_to_a_file(kind: str, tmp_path: Path) -> None:
    jobs = {
        "portfolio": (portfolio_job(covariance=FRAME), solved(PORTFOLIO)),
        "frontier": (frontier_job(covariance=FRAME), frontier_message()),
        "linear": (linear_job([1.0, 2.0]), solved(solution(np.array([1.0, 0.5])))),
    }
    job, message = jobs[kind]
    events = stream_events()
    path = tmp_path / "picture.png"
    figure = job.decode(Outcome(message, job.spec, events.incumbents, events.trace)).plot(path)
    assert figure.axes
    assert path.read_bytes().startswith(b"\x89PNG")


def test_many_names_are_cut_in_text_and_picture() -> None:
    weights = np.full(60, 1 / 60)
    result = decode(
        portfolio_job(covariance=np.eye(60)),
        solved(solution(weights, volatility=0.1, names_held=60)),
    )
    assert "and 45 more" in repr(result)
    assert "30 largest of 60" in result.plot().axes[0].get_title(loc="left")
