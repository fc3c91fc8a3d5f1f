"""The study of time to solution: its arithmetic, and that every solver speaks of the same ground state."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).resolve().parents[3] / "benchmarks" / "quantum"))

import scaling
import solution_costs as costs
import solution_runs
from solution_page import figures
from time_to_solution import MARKS, read, write_page


def doubling(slope: float, intercept: float, noise: float = 0.0) -> scaling.Curve:
    rng = np.random.default_rng(1)
    return {
        n: 2.0 ** (intercept + slope * n + noise * rng.normal(size=(1, 40))) for n in (8, 10, 12)
    }


def test_repetitions_reach_the_target() -> None:
    runs = scaling.repetitions(np.array([0.0, 0.3, 0.99, 1.0]))
    assert math.isinf(runs[0])
    assert 1.0 - 0.7 ** runs[1] == pytest.approx(0.99)
    assert runs[2:].tolist() == [1.0, 1.0]


def test_a_line_is_found_again_and_its_interval_holds_it() -> None:
    exact = scaling.fit(doubling(0.5, 3.0))
    assert (exact.slope, exact.intercept) == pytest.approx((0.5, 3.0))
    assert exact.growth.low == pytest.approx(exact.growth.high)
    noisy = scaling.fit(doubling(0.5, 3.0, noise=1.0)).growth
    assert noisy.low < 0.5 < noisy.high
    assert 0.05 < noisy.high - noisy.low < 1.0


def test_the_best_setting_is_chosen_for_each_size() -> None:
    curve = {8: np.array([[4.0, 4.0], [1.0, 9.0]]), 10: np.array([[8.0, 8.0], [2.0, 2.0]])}
    assert scaling.best_setting(curve) == {8: 0, 10: 1}
    assert scaling.medians(curve) == {8: 4.0, 10: 2.0}


def test_lines_meet_only_where_the_dearer_grows_more_slowly() -> None:
    found = scaling.meeting(doubling(0.25, 10.0), doubling(0.5, 0.0))
    assert found.spins.value == pytest.approx(40.0)
    assert found.never == 0.0
    other = scaling.meeting(doubling(0.5, 10.0), doubling(0.25, 0.0))
    assert math.isinf(other.spins.value)
    assert other.never == 1.0


@pytest.fixture(scope="module", params=solution_runs.FAMILIES)
def solved(request: pytest.FixtureRequest) -> solution_runs.Runs:
    return solution_runs.solved(request.param, 6, 3, search_to=6, highs_to=0)


def test_success_is_that_of_the_states_of_least_energy(solved: solution_runs.Runs) -> None:
    """Against all 64 energies and a state built gate by gate."""
    given = solution_runs.instance(solved.family, 6, 3)
    spins = 1.0 - 2.0 * ((np.arange(64)[:, None] >> np.arange(6)) & 1)
    energies = (spins[:, given.row] * spins[:, given.col]) @ given.weight
    gammas, betas = solution_runs.transferred(_problem(given), 2)
    state = np.full(64, 1.0 / 8.0, dtype=np.complex128)
    for gamma, beta in zip(gammas, betas, strict=True):
        state = state * np.exp(-1j * gamma * energies)
        for q in range(6):
            state = np.cos(beta) * state - 1j * np.sin(beta) * state[np.arange(64) ^ (1 << q)]
    ground = energies < energies.min() + 1e-6
    assert solved.transferred[2] == pytest.approx(float((np.abs(state[ground]) ** 2).sum()))
    assert solved.visits == 32


def _problem(given: solution_runs.Instance) -> solution_runs.QaoaProblem:
    return solution_runs.QaoaProblem(np.zeros(given.spins), given.row, given.col, given.weight)


def test_costs_follow_from_success() -> None:
    one = solution_runs.Runs("sk", 10, transferred={4: 0.5}, annealed={8: 0.9}, visits=512)
    shots = math.log(0.01) / math.log(0.5)
    assert costs.layers(one) == pytest.approx([4 * shots])
    assert costs.spin_updates(one) == pytest.approx([2 * 10 * (8 + costs.DESCENT_SWEEPS)])
    (seconds,) = costs.device_s(costs.SUPERCONDUCTING)(one)
    assert seconds == pytest.approx(shots * (4 * (10 * 150e-9 + 50e-9) + 1e-6))
    (seconds,) = costs.device_s(costs.IONS)(one)
    assert seconds == pytest.approx(shots * (4 * (45 * 100e-6 + 10e-6) + 500e-6))


def test_amplification_costs_the_root_of_the_repetitions() -> None:
    one = solution_runs.Runs("sk", 10, transferred={4: 1e-4})
    (amplified,) = costs.amplified_layers(one)
    assert amplified == pytest.approx(4 * math.pi / 2 / 1e-2, rel=0.02)


def test_figures_go_between_the_marks_of_a_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{MARKS[0]}\nold\n{MARKS[1]}\nafter\n")
    write_page(page, "new")
    assert page.read_text() == f"before\n{MARKS[0]}\n\nnew\n\n{MARKS[1]}\nafter\n"


def test_what_was_measured_is_read_again(tmp_path: Path, solved: solution_runs.Runs) -> None:
    import json
    from dataclasses import asdict

    kept = tmp_path / "runs.json"
    kept.write_text(json.dumps([asdict(solved)]))
    assert read(kept) == [solved]
    assert "Probability" in figures([solved])
