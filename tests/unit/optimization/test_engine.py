"""From problem to result: limits of memory and time, what runs at once, and what a caller may
expect of each."""

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from ketgate.optimization.v1 import optimization_service_pb2 as pb
from ketgate.optimization.v1 import result_pb2
from ketgate_server.errors import KetgateError, LimitError, Reason
from ketgate_server.limits import LIMITS, Limit
from ketgate_server.optimization import registry, task
from ketgate_server.optimization.base import SolveOptions, StopReason, is_estimating
from ketgate_server.optimization.convert import read_request
from ketgate_server.optimization.engine import MARGIN_S, QUICK_S, Caller, Engine, make_clock
from ketgate_server.optimization.service import OptimizationServicer
from ketgate_server.optimization.solvers import elimination

from ...specs import LocalCall, ising, qubo, random_couplings, tensor

SERVICER = OptimizationServicer(LIMITS, Engine(LIMITS, 2))


def caller(remaining_s: float) -> Caller:
    return Caller(time.monotonic(), remaining_s, lambda: False, lambda callback: None)


def clock_of(limit_s: float, remaining_s: float) -> tuple[float, StopReason]:
    spec = ising(np.zeros((2, 2)))
    spec.time_limit.FromNanoseconds(int(limit_s * 1e9))
    _, options = read_request(pb.SolveRequest(spec=spec), LIMITS, 2)
    clock = make_clock(options, caller(remaining_s))
    return clock.limit_s, clock.deadline_reason


def test_the_earlier_of_limit_and_deadline_ends_a_solve() -> None:
    limit, reason = clock_of(5.0, float("inf"))
    assert (round(limit, 3), reason) == (5.0, StopReason.TIME_LIMIT)
    limit, reason = clock_of(5.0, 2.0)
    assert limit == pytest.approx(2.0 - 0.12, abs=1e-3)
    assert reason is StopReason.DEADLINE
    limit, _ = clock_of(5.0, 0.5)
    assert limit == pytest.approx(0.5 - MARGIN_S, abs=1e-3)


def test_a_deadline_that_has_passed_is_an_error() -> None:
    with pytest.raises(KetgateError) as refusal:
        SERVICER.solve(LocalCall(remaining_s=-1.0), pb.SolveRequest(spec=ising(np.zeros((2, 2)))))
    assert refusal.value.reason is Reason.DEADLINE_EXCEEDED


def test_memory_over_the_limit_is_refused_before_any_work() -> None:
    limits = dict(LIMITS)
    limits["optimization.memory_bytes_max"] = replace(
        LIMITS["optimization.memory_bytes_max"], value=1 << 20
    )
    servicer = OptimizationServicer(limits, Engine(limits, 2))
    for validate_only in (False, True):
        request = pb.SolveRequest(
            spec=ising(random_couplings(60, 0.5, 1)), validate_only=validate_only
        )
        with pytest.raises(LimitError) as refusal:
            servicer.solve(LocalCall(), request)
        assert refusal.value.limit == "optimization.memory_bytes_max"


def test_an_estimate_needs_no_slot() -> None:
    limits = dict(LIMITS)
    limits["optimization.solves_max"] = replace(LIMITS["optimization.solves_max"], value=0)
    limits["optimization.solves_queued_max"] = replace(
        LIMITS["optimization.solves_queued_max"], value=0
    )
    servicer = OptimizationServicer(limits, Engine(limits, 2))
    request = pb.SolveRequest(spec=ising(random_couplings(60, 0.5, 1)), validate_only=True)
    assert servicer.solve(LocalCall(), request).estimate.num_variables == 60
    with pytest.raises(KetgateError) as refusal:
        servicer.solve(LocalCall(), pb.SolveRequest(spec=request.spec))
    assert refusal.value.reason is Reason.SERVER_BUSY


def test_a_cancelled_unary_call_ends_with_its_best() -> None:
    call = LocalCall()
    call.cancel()
    with pytest.raises(KetgateError) as refusal:
        SERVICER.solve(call, pb.SolveRequest(spec=ising(random_couplings(60, 0.5, 1))))
    assert refusal.value.reason is Reason.CANCELLED


def test_cancelling_a_stream_ends_it_with_a_result() -> None:
    call = LocalCall()
    spec = ising(random_couplings(100, 0.5, 1))
    spec.time_limit.seconds = 60
    last = None
    for event in SERVICER.solve_stream(call, pb.SolveStreamRequest(spec=spec)):
        last = event
        if event.HasField("incumbent"):
            call.cancel()
    assert last is not None
    assert last.result.stop_reason == result_pb2.STOP_REASON_CANCELLED
    assert last.result.solutions


def test_a_work_limit_and_a_target_run_on_one_thread() -> None:
    spec = ising(random_couplings(40, 0.5, 1))
    spec.solvers.add(name="tabu")
    spec.work_limit, spec.target_objective, spec.threads = 500, -1.0, 2
    assert SERVICER.solve(LocalCall(), pb.SolveRequest(spec=spec)).result.threads == 1


def test_a_limit_of_time_only_cuts_short() -> None:
    """The same work under another time limit gives the same bytes."""
    answers = []
    for seconds in (20, 40):
        spec = ising(random_couplings(60, 0.3, 1))
        spec.solvers.add(name="local-search")
        spec.seed, spec.work_limit, spec.time_limit.seconds = 9, 300_000, seconds
        result = SERVICER.solve(LocalCall(), pb.SolveRequest(spec=spec)).result
        answers.append(result.solutions[0].SerializeToString())
    assert answers[0] == answers[1]


def test_the_drawn_seed_repeats_the_run() -> None:
    spec = ising(random_couplings(60, 0.3, 1))
    spec.solvers.add(name="annealing")
    spec.work_limit = 3
    first = SERVICER.solve(LocalCall(), pb.SolveRequest(spec=spec)).result
    spec.seed = first.seed
    second = SERVICER.solve(LocalCall(), pb.SolveRequest(spec=spec)).result
    assert [s.values.data for s in first.solutions] == [s.values.data for s in second.solutions]


def test_every_solver_describes_itself() -> None:
    for name, solver in registry.solvers().items():
        assert solver.name == name
        assert solver.problems
        assert solver.description.endswith(".")
        names = [parameter.name for parameter in solver.parameters]
        assert len(set(names)) == len(names)
        for parameter in solver.parameters:
            if isinstance(parameter.default, (int, float)) and parameter.minimum is not None:
                assert parameter.maximum is not None
                assert parameter.minimum <= parameter.default <= parameter.maximum
    assert is_estimating(registry.solvers()["exhaustive"])


def test_a_large_machine_has_no_more_threads_than_kernels_take() -> None:
    spec = ising(random_couplings(60, 0.5, 1))
    spec.work_limit = 1
    result = (
        OptimizationServicer(LIMITS, Engine(LIMITS, 96))
        .solve(LocalCall(), pb.SolveRequest(spec=spec))
        .result
    )
    assert result.threads == 64
    assert not result.runs[0].failure


def test_what_takes_long_does_not_run_beside_the_slots() -> None:
    """A ratio under 300 groups once ran for seconds at normal priority, being thought quick."""
    spec = pb.SolveSpec()
    spec.portfolio.moments.covariance.CopyFrom(tensor(np.eye(300)))
    spec.portfolio.moments.expected_returns.CopyFrom(tensor(np.ones(300)))
    spec.portfolio.objective.minimum_variance.SetInParent()
    quick = SERVICER.solve(LocalCall(), pb.SolveRequest(spec=spec, validate_only=True)).estimate
    spec.portfolio.objective.maximum_sharpe.SetInParent()
    for _ in range(300):
        group = spec.portfolio.constraints.groups.add(members=[0])
        group.range.upper = 0.5
    slow = SERVICER.solve(LocalCall(), pb.SolveRequest(spec=spec, validate_only=True)).estimate
    assert quick.time_max.ToNanoseconds() <= QUICK_S * 1e9
    assert slow.time_max.ToNanoseconds() > 20 * QUICK_S * 1e9


def test_the_check_of_a_covariance_keeps_to_the_limit() -> None:
    """It came before the clock: half a second at 2,000 names, whatever the limit."""
    spec = pb.SolveSpec()
    spec.portfolio.moments.covariance.CopyFrom(tensor(np.eye(400) + 1.0))
    spec.portfolio.objective.minimum_variance.SetInParent()
    spec.time_limit.nanos = 1
    with pytest.raises(KetgateError) as refusal:
        SERVICER.solve(LocalCall(), pb.SolveRequest(spec=spec))
    assert refusal.value.reason is Reason.DEADLINE_EXCEEDED
    assert "spec.portfolio.moments.covariance" in refusal.value.message


def test_a_repair_that_would_overrun_the_limit_is_not_begun() -> None:
    matrix = np.eye(800)
    matrix[0, 1] = matrix[1, 0] = 2.0
    spec = pb.SolveSpec()
    spec.portfolio.moments.covariance.CopyFrom(tensor(matrix))
    spec.portfolio.moments.nearest_psd = True
    spec.portfolio.objective.minimum_variance.SetInParent()
    spec.time_limit.nanos = 400_000_000
    with pytest.raises(KetgateError) as refusal:
        SERVICER.solve(LocalCall(), pb.SolveRequest(spec=spec))
    assert refusal.value.reason in (Reason.FIELD_INVALID, Reason.DEADLINE_EXCEEDED)


def limited(**values: int) -> dict[str, Limit]:
    """The limits of a server, some of them of the test's own; _ for the dot."""
    changed = {
        f"optimization.{name}": replace(LIMITS[f"optimization.{name}"], value=value)
        for name, value in values.items()
    }
    return {**LIMITS, **changed}


def test_an_order_of_elimination_is_sought_in_a_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes up to a tenth of a second of Python, which nothing bounded before admission."""
    spec = ising(random_couplings(60, 0.5, 1))
    problem, options = read_request(pb.SolveRequest(spec=spec), LIMITS, 2)
    sought: list[int] = []
    engine = Engine(LIMITS, 2)

    def watched(problem: object) -> tuple[elimination.Order, str]:
        sought.append(engine.admission.running)
        return elimination.Order(), "watched"

    monkeypatch.setattr(elimination, "_find_order", watched)
    race, _ = engine.race(problem, options, caller(60.0))
    race.abandon()
    assert sought == [1]


def test_an_order_that_takes_long_is_not_sought_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = ising(np.diag(np.ones(49), 1))
    for work, narrow in ((49, True), (40, False)):
        monkeypatch.setattr(elimination, "ORDER_WORK_MAX", work)
        problem, _ = read_request(pb.SolveRequest(spec=spec), LIMITS, 2)
        why = registry.solvers()["elimination"].unsuitable(problem)
        assert (why is None) == narrow
        assert narrow or "too long" in str(why)


def test_each_thread_takes_memory() -> None:
    spec = pb.SolveSpec()
    spec.ising.num_spins = 100_000
    spec.solvers.add(name="annealing")
    problem, _ = read_request(pb.SolveRequest(spec=spec), LIMITS, 2)
    named = [("annealing", {})]
    known = {
        threads: Engine(LIMITS, 8)
        .estimate(problem, SolveOptions(solvers=named, threads=threads))
        .memory_bytes
        for threads in (1, 2, 8)
    }
    each = known[2] - known[1]
    assert each > 100 * problem.size
    assert known[8] == known[1] + 7 * each
    small = Engine(limited(memory_bytes_max=known[1] + 2 * each + 1), 8)
    with pytest.raises(LimitError):
        small.estimate(problem, SolveOptions(solvers=named, threads=8))
    race, _ = small.race(problem, SolveOptions(solvers=named, work_limit=1), caller(60.0))
    race.run()
    assert race.result().threads == 3  # as many as fit, where nobody asked for more


@pytest.mark.parametrize("name", ["local-search", "annealing", "parallel-tempering", "tabu"])
def test_a_limit_that_ends_set_up_still_has_an_answer(name: str) -> None:
    spec = qubo(np.diag([1.0] * 9, 1), np.arange(10.0) - 4.0)
    spec.solvers.add(name=name)
    problem, options = read_request(pb.SolveRequest(spec=spec), LIMITS, 2)
    race, _ = Engine(LIMITS, 2).race(problem, options, caller(60.0))
    race.cancel()
    race.run()
    result = race.result()
    assert result.stop_reason is StopReason.CANCELLED
    assert result.solutions[0].solver == "fallback"
    assert result.solutions[0].values.tolist() == [1, 1, 1, 1, 0, 0, 0, 0, 0, 0]
    assert result.runs[0].failure == ""


def test_a_run_that_ends_does_not_wait_for_its_reader_to_wake(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The reader slept 10 ms after its first incumbent, and the end of a tiny solve stood behind."""
    monkeypatch.setattr(task, "DRAIN_INTERVAL_S", 3600.0)
    before = set(threading.enumerate())
    problem, options = read_request(
        pb.SolveRequest(spec=ising(random_couplings(12, 0.5, 1))), LIMITS, 2
    )
    engine = Engine(LIMITS, 2)
    race, queued_s = engine.race(problem, options, caller(60.0))
    found = list(race.events())
    engine.finish(race, problem, queued_s)
    assert found
    for thread in set(threading.enumerate()) - before:
        thread.join(30.0)
        assert not thread.is_alive(), thread.name
