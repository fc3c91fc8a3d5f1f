"""The demo's quantum part: one small choice of names, classically and by QAOA on several simulators.

The choice is of exactly 5 of 12 names in equal parts, so that it is a function of 12 bits.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from ketgate._algorithm_result import QaoaResult
from ketgate._client import Client
from ketgate._errors import KetgateError
from ketgate._result import BinaryResult

NAMES = 12
CHOSEN = 5
RISK_AVERSION = 5.0
TRADING_DAYS = 252
DEPTHS = (1, 2, 3, 4, 6, 8)
COMPARED_DEPTH = 3
SHOTS = 1000
SAMPLES_MAX = 800
"""There are 792 choices of 5 of 12."""
OTHERS = ("aer", "cirq")
"""Simulators of other houses that the same circuit is run on, where they are installed."""
TIME_LIMIT_S = 60.0


@dataclass(frozen=True)
class Comparison:
    """Classical and quantum on one instance. Objectives are to be small."""

    names: list[str]
    classical: BinaryResult
    """Every choice looked at: proven."""
    depths: list[QaoaResult]
    """By depth, on our own simulator, exact."""
    backends: list[QaoaResult]
    """One depth and the same angles, with shots, by back end."""
    absent: list[str]
    """Why a simulator is not among them."""


def compare(client: Client, prices: Any, say: Callable[[str], None]) -> Comparison:
    names = list(prices.columns[:NAMES])
    matrix = choice(prices[names])
    penalty = 1.1 * float(np.abs(matrix).sum())
    ones = penalty * (np.ones((NAMES, NAMES)) - np.eye(NAMES) * (2.0 * CHOSEN))
    classical = client.optimize.qubo(matrix + ones, offset=penalty * CHOSEN**2, seed=1)
    say(
        f"   {'exhaustive, proven':24} {classical.objective:.6f}   {classical.time.total_s:8.3f} s   "
        "classical"
    )
    depths = [_qaoa(client, matrix, layers=layers, seed=1) for layers in DEPTHS]
    for layers, result in zip(DEPTHS, depths, strict=True):
        _tell(say, f"QAOA, {layers} layer{'s' if layers > 1 else ''}", result)
    angles = depths[DEPTHS.index(COMPARED_DEPTH)].angles
    with ThreadPoolExecutor(len(OTHERS) + 1) as pool:  # the others' libraries load meanwhile
        runs = {
            name: pool.submit(_again, client, matrix, angles, name, seed)
            for seed, name in enumerate(("native", *OTHERS), start=1)
        }
    backends, absent = [], []
    for name, run in runs.items():
        try:
            backends.append(run.result())
        except KetgateError as error:
            absent.append(f"{name}: {error}")
            continue
        _tell(say, f"its circuit, {SHOTS} shots", backends[-1])
    for why in absent:
        say(f"   not run: {why}")
    return Comparison(names, classical, depths, backends, absent)


def choice(prices: Any) -> Any:
    """The objective of equal parts in CHOSEN of the names, as a matrix of a QUBO: minus the utility
    of a year.
    """
    returns = prices.pct_change().dropna()
    mean = returns.mean().to_numpy() * TRADING_DAYS
    covariance = np.cov(returns.to_numpy().T) * TRADING_DAYS
    matrix = RISK_AVERSION / 2.0 * covariance / CHOSEN**2
    matrix[np.diag_indices(len(mean))] -= mean / CHOSEN
    return matrix


def _qaoa(client: Client, matrix: Any, **options: Any) -> QaoaResult:
    result = client.algorithms.qaoa(matrix, mixer="xy-ring", hamming_weight=CHOSEN, **options)
    assert isinstance(result, QaoaResult)
    return result


def _again(client: Client, matrix: Any, angles: Any, backend: str, seed: int) -> QaoaResult:
    """The circuit of known angles, run with shots."""
    return _qaoa(
        client,
        matrix,
        layers=COMPARED_DEPTH,
        initial_angles=angles,
        optimizer="none",
        backend=backend,
        shots=SHOTS,
        samples_max=SAMPLES_MAX,
        time_limit=TIME_LIMIT_S,
        seed=seed,
    )


def _tell(say: Callable[[str], None], title: str, result: QaoaResult) -> None:
    evidence = result.evidence
    best = result.samples[0].objective if result.samples else float("nan")
    ratio = result.approximation_ratio
    say(
        f"   {title:24} {best:.6f}   {evidence.times.total_s:8.3f} s   on {evidence.backend} "
        f"({evidence.kind}): approximation ratio "
        f"{'unknown' if ratio is None else f'{ratio:.4f}'}, depth {result.resources.depth}, "
        f"seed {evidence.seed}"
    )
