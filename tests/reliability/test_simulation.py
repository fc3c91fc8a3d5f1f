"""Histories of the job engine in a simulated world; see simulation/history.py."""

from pathlib import Path

import pytest

from .simulation.bugs import BUGS
from .simulation.history import run

HISTORIES = 120
TOGETHER = 15
"""Histories of one test, so that several processes share the work."""

BUG_SEEDS = 400
"""A planted bug must show in one of so many histories; the rarest does in about one of 150."""

REGRESSIONS = Path(__file__).parent / "simulation" / "regressions.txt"


def broken(seed: int) -> str | None:
    world = run(seed)
    if world.failure is None:
        return None
    last = "\n".join(list(world.trace)[-60:])
    return f"{last}\n{world.failure!r}\npython -m tests.reliability.simulation --seed {seed}"


@pytest.mark.parametrize("first", range(0, HISTORIES, TOGETHER))
def test_histories_hold(first: int) -> None:
    for seed in range(first, first + TOGETHER):
        assert (story := broken(seed)) is None, story


def regressions() -> list[int]:
    lines = REGRESSIONS.read_text(encoding="utf-8").splitlines()
    return [int(line.split()[0]) for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("seed", regressions())
def test_a_history_that_once_broke_holds(seed: int) -> None:
    assert (story := broken(seed)) is None, story


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(bug: str) -> None:
    assert any(run(seed, BUGS[bug]).failure is not None for seed in range(BUG_SEEDS))


def test_a_seed_is_one_history() -> None:
    first, second = run(11), run(11)
    assert list(first.trace) == list(second.trace)
    assert len(first.trace) > 50
