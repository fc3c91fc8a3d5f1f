"""Expectations of QAOA's states and their derivatives, each by the fastest exact way there is.

"closed-form"      one layer, X mixer: a sum over couplings, thousands of spins
"state-vector-z2"  X mixer, no fields: half a state
"state-vector"     X mixer, warm starts
"light-cones"      few layers of a sparse problem that is too large for a state
"subspace"         XY mixers: the states with the given number of ones
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from ketgate_native.monitor import Stopped as NativeStopped
from ketgate_native.qaoa import QUBITS_MAX, Qaoa, state_bytes
from ketgate_native.qaoa_p1 import ClosedForm
from ketgate_native.qaoa_xy import XyQaoa, num_states

from ketgate_server.quantum.base import Precision, Stopped, Task
from ketgate_server.quantum.qaoa.cone_sum import LightCones
from ketgate_server.quantum.qaoa.cones import TooWide
from ketgate_server.quantum.qaoa.problem import Angles, Mixer, QaoaProblem, mixing_pairs
from ketgate_server.quantum.qaoa.stopping import Stopping
from ketgate_server.quantum.qaoa.warm import start_amplitudes, tilted_layers

SUBSPACE_BYTES_PER_STATE = 40


class TooLarge(ValueError):  # noqa: N818 - a property of the problem
    """No exact way fits. needed: bytes of a state; allowed: bytes."""

    def __init__(
        self, problem: QaoaProblem, layers: int, needed: int, allowed: int, why: str
    ) -> None:
        super().__init__(
            f"{problem.size} spins at {layers} layers need a state of {needed} bytes, {allowed} are allowed"
            + (f", and {why}" if why else "")
        )
        self.needed, self.allowed = needed, allowed


class Evaluator(Protocol):
    """The expectation of a problem as a function of its angles. One call at a time."""

    @property
    def method(self) -> str: ...

    @property
    def gradient_cost(self) -> int:
        """Expectations that a gradient takes the time of, at most."""

    def value(self, angles: Angles) -> float:
        """Raises base.Stopped."""

    def gradient(self, angles: Angles) -> tuple[float, Angles]:
        """The expectation and its derivatives, (2, p). Raises base.Stopped."""


class StateVector:
    """The whole state, or half of it; also samples (sample.py)."""

    gradient_cost = 4

    def __init__(
        self,
        problem: QaoaProblem,
        *,
        single: bool = False,
        threads: int = 1,
        stopping: Stopping | None = None,
    ) -> None:
        self.problem = problem
        self.state = Qaoa(
            *problem.terms, fold=False if problem.tilts is not None else None, single=single
        )
        self._threads = threads
        self.stopping = stopping or Stopping(None)

    @property
    def method(self) -> str:
        return "state-vector-z2" if self.state.folded else "state-vector"

    def value(self, angles: Angles, *, keep: bool = False) -> float:
        try:
            return self._value(angles, keep)
        except NativeStopped as stopped:
            raise Stopped(str(stopped)) from None

    def gradient(self, angles: Angles) -> tuple[float, Angles]:
        try:
            return self._gradient(angles)
        except NativeStopped as stopped:
            raise Stopped(str(stopped)) from None

    def _value(self, angles: Angles, keep: bool) -> float:
        gammas, betas = angles
        tilts, monitor = self.problem.tilts, self.stopping.monitor
        if tilts is None:
            return self.state.expectation(
                gammas, betas, keep=keep, threads=self._threads, monitor=monitor
            )
        layers = tilted_layers(betas, tilts)
        return self.state.expectation(
            gammas,
            layers.betas,
            turns=layers.turns,
            start=start_amplitudes(tilts),
            keep=keep,
            threads=self._threads,
            monitor=monitor,
        )

    def _gradient(self, angles: Angles) -> tuple[float, Angles]:
        gammas, betas = angles
        tilts, monitor = self.problem.tilts, self.stopping.monitor
        if tilts is None:
            found = self.state.gradient(gammas, betas, threads=self._threads, monitor=monitor)
            return found.expectation, np.stack([found.gammas, found.betas])
        layers = tilted_layers(betas, tilts)
        found = self.state.gradient(
            gammas,
            layers.betas,
            turns=layers.turns,
            start=start_amplitudes(tilts),
            threads=self._threads,
            monitor=monitor,
        )
        assert found.turns is not None
        return found.expectation, np.stack([found.gammas, layers.by_beta(found.turns, found.betas)])


class OneLayer:
    """The closed form."""

    method = "closed-form"
    gradient_cost = 1

    def __init__(self, problem: QaoaProblem, *, stopping: Stopping | None = None) -> None:
        self._form = ClosedForm(*problem.terms)
        self.stopping = stopping or Stopping(None)

    def value(self, angles: Angles) -> float:
        return self.gradient(angles)[0]

    def gradient(self, angles: Angles) -> tuple[float, Angles]:
        (gamma,), (beta,) = angles
        try:
            found = self._form.value(gamma, beta, monitor=self.stopping.monitor)
        except NativeStopped as stopped:
            raise Stopped(str(stopped)) from None
        return found.expectation, np.array([[found.by_gamma], [found.by_beta]])


class Subspace:
    """Only the states with the right number of ones; also samples (sample.py)."""

    method = "subspace"
    gradient_cost = 4

    def __init__(self, problem: QaoaProblem, *, stopping: Stopping | None = None) -> None:
        self.problem = problem
        pairs = mixing_pairs(problem.size, problem.mixer)
        self.state = XyQaoa(problem.size, problem.hamming_weight, pairs, problem.energies)
        self.stopping = stopping or Stopping(None)

    def value(self, angles: Angles, *, keep: bool = False) -> float:
        try:
            return self.state.expectation(*angles, keep=keep, monitor=self.stopping.monitor)
        except NativeStopped as stopped:
            raise Stopped(str(stopped)) from None

    def gradient(self, angles: Angles) -> tuple[float, Angles]:
        try:
            found = self.state.gradient(*angles, monitor=self.stopping.monitor)
        except NativeStopped as stopped:
            raise Stopped(str(stopped)) from None
        return found.expectation, np.stack([found.gammas, found.betas])


def state_memory_bytes(problem: QaoaProblem, precision: Precision = Precision.DOUBLE) -> int:
    """Of what samples and gradients of all angles take."""
    if problem.mixer is not Mixer.X:
        return SUBSPACE_BYTES_PER_STATE * num_states(problem.size, problem.hamming_weight)
    folded = problem.even and problem.tilts is None and problem.size > 1
    return 2 * state_bytes(problem.size, folded=folded, single=precision is Precision.SINGLE)


def has_state(
    problem: QaoaProblem, memory_bytes_max: int, precision: Precision = Precision.DOUBLE
) -> bool:
    """Whether a state fits, so that samples can be drawn."""
    return problem.size <= QUBITS_MAX and state_memory_bytes(problem, precision) <= memory_bytes_max


def state_of(
    problem: QaoaProblem,
    *,
    precision: Precision = Precision.DOUBLE,
    threads: int = 1,
    task: Task | None = None,
) -> StateVector | Subspace:
    """The state itself, for samples; memory as has_state tells."""
    stopping = Stopping(task)
    if problem.mixer is not Mixer.X:
        return Subspace(problem, stopping=stopping)
    return StateVector(
        problem, single=precision is Precision.SINGLE, threads=threads, stopping=stopping
    )


def evaluator(
    problem: QaoaProblem,
    layers: int,
    *,
    precision: Precision = Precision.DOUBLE,
    threads: int = 1,
    memory_bytes_max: int = 4 << 30,
    task: Task | None = None,
) -> Evaluator:
    """The fastest exact way for so many layers. Raises TooLarge where there is none in that memory."""
    single = precision is Precision.SINGLE
    plain = problem.mixer is Mixer.X and problem.tilts is None
    if layers == 1 and plain:
        return OneLayer(problem, stopping=Stopping(task))
    why = ""
    if has_state(problem, memory_bytes_max, precision):
        return state_of(problem, precision=precision, threads=threads, task=task)
    if plain:
        try:
            return LightCones(
                problem, layers, single=single, threads=threads, stopping=Stopping(task)
            )
        except TooWide as wide:
            why = str(wide)
    needed = (
        state_memory_bytes(problem, precision) if problem.size <= QUBITS_MAX else 16 << problem.size
    )
    raise TooLarge(problem, layers, needed, memory_bytes_max, why)
