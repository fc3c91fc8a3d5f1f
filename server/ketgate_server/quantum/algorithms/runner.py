"""Where the circuits of an algorithm run: one back end and one set of options, chosen once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from ketgate_server.quantum.base import CircuitOutcome, ExpectationOutcome, RunOptions, Stopped
from ketgate_server.quantum.circuit import Circuit
from ketgate_server.quantum.observable import PauliSum
from ketgate_server.quantum.resources import Resources, resources

RESERVED_FROM_S = 1e6
"""A caller with more time than this has no limit."""


class Executor(Protocol):
    """What the gateway opens for an algorithm. Raises base.Stopped when the caller went away or the
    time is over."""

    options: RunOptions
    """As the caller chose; shots 0: exact."""

    @property
    def is_native(self) -> bool:
        """Ideal, on the native simulator: kernels for special circuits may stand in for it."""

    @property
    def stopped(self) -> bool: ...

    def remaining_s(self) -> float: ...

    def on_stop(self, callback: Callable[[], None]) -> None: ...

    def run(self, circuits: Sequence[Circuit], options: RunOptions) -> Sequence[CircuitOutcome]: ...

    def expectations(
        self,
        circuit: Circuit,
        observables: Sequence[PauliSum],
        options: RunOptions,
        *,
        parameters: Mapping[str, float] | None = None,
        gradients: bool = False,
    ) -> ExpectationOutcome: ...


@dataclass
class Used:
    """What an algorithm took so far."""

    circuits: int = 0
    shots: int = 0
    largest: Circuit | None = None
    largest_resources: Resources | None = None


class Runner:
    """An Executor that counts, and draws a seed of its own for each run from the one seed."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._runs = 0
        self._reserved_s = 0.0
        self.options = executor.options
        self.is_native = executor.is_native
        self.used = Used()
        self.warnings: list[str] = []
        """For the evidence: what the algorithm did otherwise than it was asked to."""

    @property
    def exact(self) -> bool:
        return self.options.shots == 0

    @property
    def stopped(self) -> bool:
        return self._executor.stopped

    def remaining_s(self) -> float:
        return self._executor.remaining_s()

    def on_stop(self, callback: Callable[[], None]) -> None:
        """Run callback once when stopped, at once if it was; from any thread."""
        self._executor.on_stop(callback)

    def check(self) -> None:
        """Raises Stopped when there is no more time."""
        if self.stopped:
            raise Stopped

    def reserve(self, share: float) -> None:
        """Keep a share of the time that is left for what comes after a search."""
        left_s = self.remaining_s()
        self._reserved_s = share * left_s if left_s < RESERVED_FROM_S else 0.0

    def check_search(self) -> None:
        """As check, of a search: raises Stopped while what was reserved is still left."""
        if self.stopped or self.remaining_s() < self._reserved_s:
            raise Stopped

    def run(
        self, circuits: Sequence[Circuit], *, shots: int | None = None, state_vector: bool = False
    ) -> Sequence[CircuitOutcome]:
        """shots: None: as the caller chose."""
        options = self._next(shots, state_vector=state_vector)
        for circuit in circuits:
            self.count(circuit, options.shots)
        return self._executor.run(circuits, options)

    def expectations(
        self,
        circuit: Circuit,
        observables: Sequence[PauliSum],
        *,
        parameters: Mapping[str, float] | None = None,
        gradients: bool = False,
    ) -> ExpectationOutcome:
        """Of an unbound circuit with parameters given, gradients or not."""
        options = self._next(None)
        if parameters is not None and not gradients:
            circuit = circuit.bind(parameters)
            parameters = None
        found = self._executor.expectations(
            circuit, observables, options, parameters=parameters, gradients=gradients
        )
        self.count(circuit, options.shots * found.groups, max(1, found.groups))
        return found

    def count(self, circuit: Circuit, shots: int, circuits: int = 1) -> None:
        """Note what was run, also where a special kernel stood in for it."""
        used = self.used
        used.circuits += circuits
        used.shots += shots
        largest = used.largest
        if largest is None or len(circuit.operations) > len(largest.operations):
            used.largest, used.largest_resources = circuit, None

    def add(self, used: Used) -> None:
        """What was used elsewhere on this algorithm's behalf."""
        self.used.circuits += used.circuits
        self.used.shots += used.shots
        if used.largest is not None:
            self.used.largest, self.used.largest_resources = used.largest, None

    def resources(self) -> Resources | None:
        """Of the largest circuit."""
        used = self.used
        if used.largest is not None and used.largest_resources is None:
            used.largest_resources = resources(used.largest)
        return used.largest_resources

    def _next(self, shots: int | None, *, state_vector: bool = False) -> RunOptions:
        self._runs += 1
        return replace(
            self.options,
            shots=self.options.shots if shots is None else shots,
            # Runs with one seed would share their noise: each has the seed after the last.
            seed=(self.options.seed + self._runs - 1) % 2**64,
            state_vector=state_vector,
        )
