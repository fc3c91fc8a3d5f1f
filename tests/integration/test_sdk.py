"""The Python client as a user writes it, against a real server over TLS."""

import itertools
import json
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import ketgate
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from ketgate.demo import nikkei, sp500_prices
from ketgate_server.rpc import tls

PRICES = sp500_prices().tail(750)
HARD_SPINS = 400


@pytest.fixture(scope="module")
def client(server: Any) -> Iterator[ketgate.Client]:
    with ketgate.connect(ready_file=server.ready_file) as made:
        yield made


def glass(spins: int) -> scipy.sparse.coo_array:
    """A spin glass on a complete graph: nothing proves its ground state soon."""
    rng = np.random.default_rng(1)
    row, column = np.triu_indices(spins, 1)
    return scipy.sparse.coo_array((rng.normal(size=len(row)), (row, column)), shape=(spins, spins))


def test_info_and_solvers(client: ketgate.Client) -> None:
    told = client.info()
    assert told.version == ketgate.__version__
    assert told.tenant == "default"
    assert told.limits["optimization.pool_size_max"].value > 0
    assert told.parts["native"].installed
    solvers = {solver.name: solver for solver in client.solvers()}
    assert "optimality" in solvers["branch-and-bound"].proofs
    assert {s.name for s in client.solvers("linear")} < set(solvers)
    with pytest.raises(ketgate.InvalidArgument, match="portfolio_discrete"):
        client.solvers("sudoku")


def test_portfolio_from_prices(client: ketgate.Client) -> None:
    seen: list[ketgate.ProgressEvent] = []
    result = client.optimize.portfolio(
        PRICES, k=5, min_position=0.05, estimator="ledoit_wolf", progress=lambda e: seen.append(e)
    )
    assert result.proven
    assert isinstance(result.weights, pd.Series)
    assert list(result.weights.index) == list(PRICES.columns)
    assert result.weights.sum() == pytest.approx(1.0, abs=1e-9)
    assert (result.weights > 0).sum() <= 5
    assert result.weights[result.weights > 0].min() >= 0.05
    assert result.volatility == pytest.approx(np.sqrt(result.objective))
    assert result.bound <= result.objective * (1 + 1e-9)
    assert any(event.improved for event in seen)
    assert result.incumbents[-1].objective == pytest.approx(result.objective)
    assert result.time.total_s > 0


def test_the_proven_ten_of_the_nikkei(client: ketgate.Client) -> None:
    market = nikkei()
    result = client.optimize.portfolio(
        expected_returns=market.expected_returns,
        covariance=market.covariance,
        names=market.names,
        risk_aversion=2.0,
        k=(10, 10),
        min_position=0.01,
    )
    assert result.proven
    assert -0.5 * result.objective == pytest.approx(-0.001440672, abs=5e-10)
    assert len(result.held) == 10


def test_frontier_and_what_lies_on_it(client: ketgate.Client) -> None:
    result = client.optimize.frontier(PRICES, points=9)
    table = result.frontier
    assert list(table.columns[:2]) == ["expected_return", "volatility"]
    assert table.shape == (9, 2 + PRICES.shape[1])
    assert (np.diff(result.points.expected_returns) > 0).all()
    assert (np.diff(result.points.volatilities) >= 0).all()
    middle = client.optimize.portfolio(PRICES, target_return=float(table["expected_return"][4]))
    assert middle.volatility == pytest.approx(table["volatility"][4], rel=1e-6)


def test_constraints_by_name(client: ketgate.Client) -> None:
    held = pd.Series({"AAPL": 0.5, "KO": 0.5})
    result = client.optimize.portfolio(
        PRICES,
        bounds={"AAPL": (0.1, 0.2)},
        groups={"oil": (["CVX", "XOM"], 0.05, 0.15)},
        current=held,
        turnover=1.2,
        costs=0.001,
    )
    weights = result.weights
    assert 0.1 - 1e-9 <= weights["AAPL"] <= 0.2 + 1e-9
    assert 0.05 - 1e-9 <= weights["CVX"] + weights["XOM"] <= 0.15 + 1e-9
    moved = (weights - held.reindex(weights.index, fill_value=0.0)).abs().sum()
    assert moved <= 1.2 + 1e-8
    assert result.figures.turnover == pytest.approx(moved, abs=1e-8)


def test_qubo_in_every_form(client: ketgate.Client) -> None:
    rng = np.random.default_rng(3)
    Q = rng.integers(-5, 6, size=(8, 8)).astype(float)
    best = min(np.array(x) @ Q @ np.array(x) for x in itertools.product((0, 1), repeat=8))
    for form in (
        Q,
        scipy.sparse.csr_array(Q),
        {(i, j): Q[i, j] for i in range(8) for j in range(8)},
    ):
        result = client.optimize.qubo(form)
        assert result.proven
        assert result.objective == pytest.approx(best)
        assert result.array @ Q @ result.array == pytest.approx(best)
        assert result.array.dtype == np.uint8
    labelled = client.optimize.qubo({("a", "a"): -1, ("b", "b"): -1, ("a", "b"): 3}, pool_size=4)
    assert sum(labelled.by_name.values()) == 1
    assert [s.objective for s in labelled.solutions] == sorted(
        s.objective for s in labelled.solutions
    )


def test_ising_binary_and_linear(client: ketgate.Client) -> None:
    ring = {(i, (i + 1) % 6): 1.0 for i in range(6)}
    spins = client.optimize.ising(None, ring)
    assert spins.objective == -6
    assert set(np.unique(spins.spins)) == {-1, 1}
    chosen = client.optimize.binary(np.diag([-3.0, -2.0, -1.0]), [[1, 1, 1]], upper=2)
    assert chosen.array.tolist() == [1, 1, 0]
    program = client.optimize.linear(
        pd.Series([3.0, 2.0], index=["x", "y"]),
        [[1.0, 1.0]],
        upper=3.5,
        integrality=True,
        maximize=True,
    )
    assert program.values.to_dict() == {"x": 3.0, "y": 0.0}
    assert program.maximize
    relaxed = client.optimize.linear(
        [3.0, 2.0], [[1.0, 1.0]], upper=3.5, bounds=(0, 2), maximize=True
    )
    assert relaxed.objective == pytest.approx(9.0)


def test_infeasible_is_a_result_with_its_conflict(client: ketgate.Client) -> None:
    result = client.optimize.portfolio(PRICES, k=2, bounds=(0, 0.3))
    assert result.status is ketgate.Status.INFEASIBLE
    assert "portfolio.constraints.cardinality.names_max" in {c.field for c in result.conflict}
    with pytest.raises(ketgate.NoSolution, match="at most 2 names"):
        _ = result.weights


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (
            lambda c: c.optimize.portfolio(covariance=[[1.0, 2.0], [2.0, 1.0]]),
            "spec.portfolio.moments.covariance",
        ),
        (
            lambda c: c.optimize.portfolio(PRICES, k=99),
            "spec.portfolio.constraints.cardinality.names_max",
        ),
        (lambda c: c.optimize.portfolio(PRICES.to_numpy() - 1e4), "spec.portfolio.prices.prices"),
        (lambda c: c.optimize.qubo([[np.nan]]), "spec.qubo"),
        (lambda c: c.optimize.qubo([[1.0]], solver="astrology"), "spec.solvers[0].name"),
        (lambda c: c.optimize.qubo([[1.0]], pool_size=10**6), "spec.pool_size"),
        (lambda c: c.optimize.qubo({}), "spec.qubo.num_variables"),
        (lambda c: c.optimize.solve({}), "spec.problem"),
    ],
)
def test_the_server_names_what_is_wrong(client: ketgate.Client, call: Any, field: str) -> None:
    with pytest.raises((ketgate.InvalidArgument, ketgate.LimitExceeded)) as caught:
        call(client)
    assert str(caught.value.field).startswith(field)
    assert caught.value.request_id
    assert caught.value.remedy


def test_specs_are_estimated_solved_and_streamed(client: ketgate.Client, tmp_path: Path) -> None:
    spec = ketgate.specs.portfolio(PRICES, k=3)
    estimate = client.optimize.estimate(spec)
    assert estimate.num_variables == PRICES.shape[1]
    assert "branch-and-bound" in estimate.solvers
    once = client.optimize.solve_once(spec)
    assert once.proven
    assert len(once.by_name) == PRICES.shape[1]
    *events, last = client.optimize.stream(spec)
    assert isinstance(last, ketgate.PortfolioResult)
    assert last.objective == pytest.approx(once.objective)
    assert all(isinstance(event, ketgate.ProgressEvent) for event in events)
    document = {"spec": {"qubo": {"num_variables": 2, "linear": {"doubles": {"values": [-1, 2]}}}}}
    assert client.optimize.solve(document).array.tolist() == [1, 0]
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(document))
    assert client.optimize.solve(path).objective == -1
    for bad in ({"qubo": {"nope": 1}}, 3):
        with pytest.raises(ketgate.InvalidArgument):
            client.optimize.solve(bad)  # type: ignore[arg-type]


def test_same_seed_same_answer(client: ketgate.Client) -> None:
    J = glass(60)
    runs = [
        client.optimize.ising(None, J, solver="annealing", seed=5, work_limit=50, time_limit=20)
        for _ in range(2)
    ]
    assert runs[0].seed == runs[1].seed == 5
    assert np.array_equal(runs[0].array, runs[1].array)


def test_a_warm_start_is_never_worse(client: ketgate.Client) -> None:
    J = glass(HARD_SPINS)
    first = client.optimize.ising(None, J, time_limit=0.3, seed=1)
    second = client.optimize.ising(None, J, time_limit=0.3, seed=2, initial=first)
    assert second.objective <= first.objective + 1e-9


def test_time_limit_is_kept_and_progress_may_end_the_solve(client: ketgate.Client) -> None:
    J = glass(HARD_SPINS)
    limited = client.optimize.ising(None, J, time_limit=0.3)
    assert limited.stop_reason is ketgate.StopReason.TIME_LIMIT
    assert limited.time.total_s < 20.0  # the machine may be busy
    ended = client.optimize.ising(None, J, time_limit=60, progress=lambda event: False)
    assert ended.stop_reason is ketgate.StopReason.CANCELLED
    assert ended.solved
    stream = client.optimize.stream(ketgate.specs.ising(None, J, time_limit=60))
    assert next(stream)
    stream.close()  # leaving the loop ends the solve


def test_two_threads_share_a_client(client: ketgate.Client) -> None:
    found: list[float] = []
    threads = [
        threading.Thread(target=lambda: found.append(client.optimize.qubo([[-1.0]]).objective))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [-1.0] * 4


def test_wrong_token_and_wrong_certificate(server: Any, tmp_path: Path) -> None:
    quick = ketgate.Retry(1)
    ca_file = server.ready["ca_file"]
    with (
        ketgate.connect(server.address, ca_file=ca_file, token="kg_wrong", retry=quick) as wrong,
        pytest.raises(ketgate.Unauthenticated),
    ):
        wrong.info()
    without = {"ready_file": None, "ca_file": ca_file}
    with (
        ketgate.connect(server.address, retry=quick, **without) as anonymous,
        pytest.raises(ketgate.Unauthenticated, match="token"),
    ):
        anonymous.info()
    with (
        ketgate.connect(server.address, token="kg_x", retry=quick) as stranger,
        pytest.raises(ketgate.Unavailable, match="not trusted by the authorities") as caught,
    ):
        stranger.info()
    assert "ca_file" in caught.value.remedy


@pytest.fixture
def other_ca(tmp_path: Path) -> Path:
    """The authority of another server."""
    made = tls.development(tmp_path / "other", "127.0.0.1")
    assert made.ca_file is not None
    return made.ca_file


def attempts_of(retry: Any) -> list[int]:
    """The numbers of the attempts that retry is asked about, from now on."""
    seen: list[int] = []
    decide = type(retry).delay_s

    def delay_s(error: Any, attempt: int, elapsed_s: float, **how: bool) -> float | None:
        seen.append(attempt)
        return cast("float | None", decide(retry, error, attempt, elapsed_s, **how))

    object.__setattr__(retry, "delay_s", delay_s)
    return seen


def test_a_wrong_authority_is_told_at_the_first_attempt(server: Any, other_ca: Path) -> None:
    retry = ketgate.Retry(5, delay_s_initial=100.0)
    seen = attempts_of(retry)
    with (
        ketgate.connect(server.address, ca_file=other_ca, token="kg_x", retry=retry) as client,
        pytest.raises(ketgate.Unavailable, match="is not trusted by ca_file") as caught,
    ):
        client.info()
    assert str(other_ca) in caught.value.message
    assert "ready file" in caught.value.remedy
    assert not caught.value.passes
    assert seen == [1]


def test_tls_is_not_spoken_to_a_plaintext_server(start_server: Any, other_ca: Path) -> None:
    plain = start_server("--insecure")
    with (
        ketgate.connect(plain.address, ca_file=other_ca, token="kg_x") as client,
        pytest.raises(ketgate.Unavailable, match="does not speak TLS") as caught,
    ):
        client.info()
    assert "insecure=True" in caught.value.remedy


INTERRUPTED = """
    import sys, numpy as np, ketgate
    rng = np.random.default_rng(1)
    J = np.triu(rng.normal(size=(400, 400)), 1)

    def told(event):
        if event.improved:
            print("improved", flush=True)

    with ketgate.connect(ready_file=sys.argv[1]) as client:
        result = client.optimize.ising(None, J, time_limit=100, progress=told)
        print(result.status.value, result.stop_reason.value, result.solved, flush=True)
        print("after", client.optimize.qubo([[-1.0]]).objective, flush=True)
"""


def hear_interrupts() -> None:
    """In a child: undo what a shell does to jobs in the background, which is to ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_returns_the_best_so_far(server: Any) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(INTERRUPTED), str(server.ready_file)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=hear_interrupts,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "improved\n"
        process.send_signal(signal.SIGINT)
        told, errors = process.communicate(timeout=200)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, errors
    lines = [line for line in told.splitlines() if line != "improved"]
    assert lines == ["feasible cancelled True", "after -1.0"]
