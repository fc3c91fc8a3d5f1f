"""What the programs about jobs share: rows of a table, and many callers at once."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from ketgate.jobs.v1 import job_pb2

SPINS = 12
TIMES_LIMIT_S = 20.0


@dataclass
class Row:
    """One line of the table."""

    name: str
    measured: float
    unit: str
    goal: str = ""


def together(callers: int, seconds: float, one: Callable[[int], object]) -> float:
    """Calls a second of so many threads, each waiting for its own. one: takes the caller's number."""
    counts = [0] * callers
    end_s = time.perf_counter() + seconds

    def work(caller: int) -> None:
        while time.perf_counter() < end_s:
            one(caller)
            counts[caller] += 1

    threads = [threading.Thread(target=work, args=(caller,)) for caller in range(callers)]
    start_s = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - start_s)


def times_ms(count: int, one: Callable[[], object], pause_s: float = 0.0) -> list[float]:
    """Milliseconds of each of so many calls, one after the other; of fewer when that takes long."""
    taken: list[float] = []
    end_s = time.perf_counter() + TIMES_LIMIT_S
    for _ in range(count):
        if taken and time.perf_counter() > end_s:
            break
        start_s = time.perf_counter()
        one()
        taken.append((time.perf_counter() - start_s) * 1e3)
        if pause_s:
            time.sleep(pause_s)
    return taken


def percentiles(
    name: str, taken_ms: list[float], goal_p50: str = "", goal_p99: str = ""
) -> list[Row]:
    p50, p99 = np.percentile(taken_ms, [50, 99]).tolist()
    return [Row(f"{name}, p50", p50, "ms", goal_p50), Row(f"{name}, p99", p99, "ms", goal_p99)]


def small_spec() -> job_pb2.JobSpec:
    """An Ising problem of a few spins, some 500 bytes: what a job carries here."""
    generator = random.Random(1)
    spec = job_pb2.JobSpec()
    solve = spec.solve
    solve.seed, solve.work_limit, solve.threads = 1, 10, 1
    solve.ising.num_spins = SPINS
    pairs = [(i, j) for i in range(SPINS) for j in range(i + 1, SPINS) if generator.random() < 0.4]
    quadratic = solve.ising.quadratic
    for tensor, column in ((quadratic.row, 0), (quadratic.column, 1)):
        tensor.dtype = 4  # INT32
        tensor.data = np.array([pair[column] for pair in pairs], dtype="<i4").tobytes()
        tensor.shape.append(len(pairs))
    quadratic.value.dtype = 1  # FLOAT64
    quadratic.value.data = np.ones(len(pairs)).tobytes()
    quadratic.value.shape.append(len(pairs))
    return spec


def resident_mb() -> float:
    """Memory of this process now."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:")) / 1024
