"""Public instances: the best known values, within a generous number of moves."""

import pytest
from ketgate_native.ising import anneal, search, tabu

from .ising_oracle import read_maxcut, read_qubo


@pytest.mark.parametrize(("name", "cut"), [("G11", 564), ("G43", 6660)])
def test_search_reaches_the_best_known_cut(name: str, cut: int) -> None:
    problem = read_maxcut(name)
    found = search(problem, work=1_500_000_000, seed=1, threads=2)
    assert -found.energies[0] == cut
    assert problem.energies(found.spins)[0] == -cut


def test_annealing_reaches_the_best_known_cut() -> None:
    assert -anneal(read_maxcut("G43"), sweeps=4000, replicas=64, seed=1).energies[0] == 6660


@pytest.mark.parametrize(
    ("name", "value"), [("bqp50_1", 2098), ("bqp100_1", 7970), ("bqp250_1", 45607)]
)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_search_and_tabu_reach_the_optimum(name: str, value: int, seed: int) -> None:
    problem = read_qubo(name)
    assert -search(problem, work=30_000_000, seed=seed).energies[0] == value
    assert -tabu(problem, iterations=60_000, seed=seed).energies[0] == value
