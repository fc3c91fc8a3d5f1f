"""When calls are due in an open loop."""

import numpy as np
from numpy.typing import NDArray

POISSON = "poisson"
UNIFORM = "uniform"
KINDS = (POISSON, UNIFORM)


def plan(
    kind: str, rate: float, duration_s: float, *, seed: int, worker: int = 0, workers: int = 1
) -> NDArray[np.int64]:
    """When one worker's share of `rate` calls a second is due, in nanoseconds from the start.

    Shape (k,), rising. All workers' plans together are what one worker's would be: Poisson
    processes add up, uniform ones interleave.
    """
    if kind == UNIFORM:
        count = int(np.ceil((rate * duration_s - worker) / workers))
        at_s = (np.arange(max(count, 0)) * workers + worker) / rate
    elif kind == POISSON:
        rng = np.random.default_rng((seed, worker))
        mean_gap_s = workers / rate
        # Six standard deviations more than is expected: one draw is enough.
        expected = duration_s / mean_gap_s
        at_s = np.cumsum(rng.exponential(mean_gap_s, int(expected + 6 * np.sqrt(expected) + 10)))
    else:
        raise ValueError(f"arrivals: expected one of {KINDS}, given {kind!r}")
    return (at_s[at_s < duration_s] * 1e9).astype(np.int64)
