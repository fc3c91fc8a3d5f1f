"""One instance solved every way of the study of time to solution: how likely a run ends at the ground state, and what
it costs. Processor time of one thread, so that other work on the machine mostly drops out.

The ground energy comes from every assignment, one spin held, as all spins flipped change nothing. QAOA's probabilities
are exact, from the whole state.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from ketgate_native.exhaustive import enumerate_binaries
from ketgate_native.ising import Ising, anneal, search
from ketgate_server.optimization.ising import IsingProblem
from ketgate_server.optimization.solvers.highs_model import build, linear_form
from ketgate_server.quantum.qaoa.angles import transferred
from ketgate_server.quantum.qaoa.evaluate import StateVector
from ketgate_server.quantum.qaoa.optimize import Search, optimize
from ketgate_server.quantum.qaoa.problem import QaoaProblem
from ketgate_server.quantum.qaoa.sample import draw, prepare, quality
from ketgate_server.type.quadratic import Alphabet, QuadraticFunction
from ketgate_server.type.sparse import Sparse
from numpy.typing import NDArray
from qaoa_angles import regular

DEPTHS, DEPTH_SEARCHED_MAX = (1, 2, 4, 8, 16, 32), 8
SWEEPS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
SWEEPS_FAR = (16, 32, 64, 128, 256, 512)
REPLICAS, REPLICAS_FAR = 1024, 512
SHOTS_TIMED = 1000
EVALUATIONS_MAX = 100
"""Of a search for angles; a gradient counts for four."""
SEARCH_WORK = 20_000_000
"""Moves of the search that stands for the ground state where there are too many assignments."""
NEAR = 1e-6
"""Energies closer than this are one: kernels sum in other orders."""
FAMILIES = ("sk", "maxcut")


@dataclass(frozen=True)
class Instance:
    """Minimise sum weight_k s_row[k] s_col[k]."""

    spins: int
    row: NDArray[np.int64]
    col: NDArray[np.int64]
    weight: NDArray[np.float64]


@dataclass
class Runs:
    """What one instance showed; by depth, or by sweeps."""

    family: str
    spins: int
    transferred: dict[int, float] = field(default_factory=dict)
    """Success of a shot."""
    optimized: dict[int, float] = field(default_factory=dict)
    evaluations: dict[int, int] = field(default_factory=dict)
    """Expectations that the search for angles took."""
    prepare_s: dict[int, float] = field(default_factory=dict)
    """To simulate: the table of energies, and the state."""
    shot_s: float = 0.0
    annealed: dict[int, float] = field(default_factory=dict)
    """Success of a run."""
    anneal_s: dict[int, float] = field(default_factory=dict)
    """Of one run, among many at once."""
    visits: int = 0
    exhaustive_s: float = 0.0
    iterations: int = 0
    """Of HiGHS's simplex; 0: not run."""
    nodes: int = 0
    highs_s: float = 0.0


def instance(family: str, spins: int, seed: int) -> Instance:
    """sk: normal couplings between all, of variance 1/n. maxcut: a random 3-regular graph, weights uniform in (0, 1).

    seed: with the family and the number of spins, the instance."""
    rng = np.random.default_rng([seed, spins, FAMILIES.index(family)])
    if family == "sk":
        row, col = np.triu_indices(spins, 1)
        return Instance(spins, row, col, rng.normal(size=len(row)) / np.sqrt(spins))
    edges = regular(spins, 3, rng)
    return Instance(spins, edges[:, 0], edges[:, 1], rng.uniform(0.0, 1.0, len(edges)))


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    started = time.process_time()
    found = run()
    return time.process_time() - started, found


def held(given: Instance) -> QuadraticFunction:
    """Of all spins but the last, which is +1."""
    last = given.col == given.spins - 1
    linear = np.zeros(given.spins - 1)
    np.add.at(linear, given.row[last], given.weight[last])
    quadratic = Sparse(given.row[~last], given.col[~last], given.weight[~last])
    return QuadraticFunction(Alphabet.SPIN, linear, quadratic, 0.0)


def exhaustive(given: Instance, out: Runs) -> float:
    """The ground energy."""
    f = held(given).as_binary()
    q = f.quadratic

    def run() -> Any:
        return enumerate_binaries(f.linear, q.row, q.column, q.value, offset=f.offset)

    out.exhaustive_s, found = timed(run)
    assert found.completed
    out.visits = found.visited
    return float(found.objectives[0])


def highs(given: Instance, ground: float, out: Runs) -> None:
    """Branch-and-cut over the products, to a proof."""
    options = {"mip_rel_gap": 1e-9, "mip_abs_gap": 0.0, "random_seed": 0}
    model = build(linear_form(IsingProblem(held(given))), options)
    out.highs_s, _ = timed(model.run)
    end = model.getInfo()
    assert abs(end.objective_function_value - ground) < NEAR, "HiGHS found another optimum"
    out.iterations, out.nodes = int(end.simplex_iteration_count), int(end.mip_node_count)


def annealing(
    given: Instance, ground: float, seed: int, out: Runs, lengths: Sequence[int], replicas: int
) -> None:
    problem = Ising(np.zeros(given.spins), given.row, given.col, given.weight)
    for sweeps in lengths:
        run = partial(anneal, problem, sweeps=sweeps, replicas=replicas, seed=seed, pool=8)
        seconds, found = timed(run)
        assert found.energies[0] > ground - NEAR, "annealing found less than the ground energy"
        hits = int(found.occurrences[found.energies < ground + NEAR].sum())
        out.annealed[sweeps] = hits / replicas
        out.anneal_s[sweeps] = seconds / replicas


def qaoa(given: Instance, ground: float, out: Runs, depths: Sequence[int], search_to: int) -> None:
    """search_to: the most spins for which angles are searched for."""
    problem = QaoaProblem(np.zeros(given.spins), given.row, given.col, given.weight)
    built_s, state = timed(lambda: StateVector(problem))
    for depth in depths:
        start = transferred(problem, depth)
        seconds, _ = timed(partial(prepare, state, start))
        out.prepare_s[depth] = built_s + seconds
        found = quality(state)
        assert abs(found.best - ground) < NEAR, "the state's table has another ground energy"
        out.transferred[depth] = found.probability
        if depth <= DEPTH_SEARCHED_MAX and given.spins <= search_to:
            best = optimize(problem, state, depth, search=Search(evaluations_max=EVALUATIONS_MAX))
            prepare(state, best.angles)
            out.optimized[depth] = quality(state).probability
            out.evaluations[depth] = best.evaluations
    out.shot_s = timed(lambda: draw(state, SHOTS_TIMED, seed=0))[0] / SHOTS_TIMED


def solved(family: str, spins: int, seed: int, *, search_to: int, highs_to: int) -> Runs:
    """search_to, highs_to: the most spins for which angles are searched for, and for which HiGHS runs."""
    given, out = instance(family, spins, seed), Runs(family, spins)
    ground = exhaustive(given, out)
    annealing(given, ground, seed, out, SWEEPS, REPLICAS)
    qaoa(given, ground, out, DEPTHS, search_to)
    if spins <= highs_to:
        highs(given, ground, out)
    return out


def annealed_only(family: str, spins: int, seed: int) -> Runs:
    """Beyond what can be enumerated: the best state of a long search stands for the ground state."""
    given, out = instance(family, spins, seed), Runs(family, spins)
    problem = Ising(np.zeros(spins), given.row, given.col, given.weight)
    best = search(problem, work=SEARCH_WORK, seed=seed)
    annealing(given, float(best.energies[0]), seed, out, SWEEPS_FAR, REPLICAS_FAR)
    return out
