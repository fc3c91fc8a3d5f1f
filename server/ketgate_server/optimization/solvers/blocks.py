"""Runs of a kernel in blocks of growing length, for solvers whose kernel takes an exact amount of
work.

The sequence of blocks depends on the parameters alone, and only whole blocks are run, so that with
a larger limit of work the search goes on where a smaller one ended.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from ketgate_native.ising import Samples
from ketgate_native.monitor import Monitor
from numpy.typing import NDArray

from ketgate_server.errors import FieldError
from ketgate_server.optimization.base import Outcome, Status, StopReason, Task
from ketgate_server.optimization.ising import IsingProblem

Block = Callable[[int, int, Monitor], Samples]
"""(length, seed, monitor) -> what the block found."""


class SamplePool:
    """The best distinct solutions of several blocks."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._found: dict[bytes, tuple[float, int, NDArray[np.int8]]] = {}

    def add(self, samples: Samples) -> None:
        for spins, energy, count in zip(
            samples.spins, samples.energies, samples.occurrences, strict=True
        ):
            key = spins.tobytes()
            known = self._found.get(key)
            total = int(count) + (known[1] if known else 0)
            self._found[key] = (float(energy), total, spins)
        if len(self._found) > 4 * self._limit:
            self._found = dict(self._ordered()[: self._limit])

    def best(self) -> list[tuple[float, int, NDArray[np.int8]]]:
        """(energy, occurrences, spins), best first; equal energies in the order of their bytes."""
        return [entry for _, entry in self._ordered()[: self._limit]]

    def _ordered(self) -> list[tuple[bytes, tuple[float, int, NDArray[np.int8]]]]:
        return sorted(self._found.items(), key=lambda item: (item[1][0], item[0]))


def lengths(longest: int, runs: int) -> Iterator[int]:
    """1, 1, 2, 4, ... up to the longest, then that for ever; with runs, 1 and then that many of the
    longest."""
    yield 1
    if runs:
        yield from [longest] * runs
        return
    length = 1
    while length < longest:
        yield length
        length *= 2
    while True:
        yield longest


def run_blocks(problem: IsingProblem, task: Task, sizes: Iterator[int], block: Block) -> Outcome:
    """Run whole blocks until the work limit, the task or the sequence ends."""
    pool = SamplePool(task.pool_size)
    work, stop_reason = 0, StopReason.COMPLETED
    for index, length in enumerate(sizes):
        if task.work_limit and work + length > task.work_limit:
            stop_reason = StopReason.WORK_LIMIT
            break
        monitor = task.open_monitor(problem.size, lambda found: _decode(problem, found))
        try:
            samples = block(length, block_seed(task.seed, index), monitor)
        except ValueError as error:
            if not str(error).startswith("beta_"):
                raise
            raise FieldError(
                "spec.solvers.parameters",
                expected="temperatures within 1e30 of the size of the coefficients",
                given=str(error),
            ) from error
        pool.add(samples)
        work += length
        if monitor.stop_reason or task.should_stop:
            stop_reason = reason_after(task, monitor)
            break
    return outcome(problem, pool, stop_reason, work)


def outcome(problem: IsingProblem, pool: SamplePool, stop_reason: StopReason, work: int) -> Outcome:
    best = pool.best()
    return Outcome(
        Status.FEASIBLE if best else Status.NO_SOLUTION,
        stop_reason,
        solutions=[problem.from_spins(spins) for _, _, spins in best],
        occurrences=[count for _, count, _ in best],
        work=work,
    )


def initial_spins(problem: IsingProblem, task: Task) -> NDArray[np.int8] | None:
    return None if task.initial is None else problem.to_spins(task.initial)


def reason_after(task: Task, monitor: Monitor) -> StopReason:
    """Why a kernel call ended, in the words of an outcome."""
    if monitor.stop_reason == "target":
        return StopReason.TARGET
    if monitor.stop_reason == "gap":
        return StopReason.GAP
    return task.stop_reason


def block_seed(seed: int, index: int) -> int:
    """A seed for each block: SplitMix64's output function of the two."""
    mask = (1 << 64) - 1
    z = (seed + (index + 1) * 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return z ^ (z >> 31)


def _decode(problem: IsingProblem, found: bytes) -> NDArray[Any]:
    return problem.from_spins(np.frombuffer(found, dtype=np.int8))
