"""Expectations as a sum over light cones, each by a state of its own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from ketgate_native.monitor import Stopped as NativeStopped
from ketgate_native.qaoa import Qaoa, state_bytes

from ketgate_server.quantum.base import Stopped
from ketgate_server.quantum.qaoa.cones import Cone, light_cones
from ketgate_server.quantum.qaoa.problem import Angles, QaoaProblem
from ketgate_server.quantum.qaoa.stopping import Stopping

Part = TypeVar("Part", float, Angles)

CONE_QUBITS_MAX = 22
"""Spins of a light cone: 64 MiB, and a few ms a layer."""
CONES_KEPT_BYTES = 256 << 20
"""Memory of cones' states that are kept between evaluations; the rest is made anew each time."""


class LightCones:
    """A sum over light cones, each by a state of its own."""

    method = "light-cones"
    gradient_cost = 4

    def __init__(
        self,
        problem: QaoaProblem,
        layers: int,
        *,
        size_max: int = CONE_QUBITS_MAX,
        single: bool = False,
        threads: int = 1,
        stopping: Stopping | None = None,
    ) -> None:
        """Raises cones.TooWide."""
        self.cones = light_cones(problem, layers, size_max)
        self._layers, self._offset = layers, problem.offset
        self._single, self._threads = single, threads
        self.stopping = stopping or Stopping(None)
        self._kept: dict[int, Qaoa] = {}
        room = CONES_KEPT_BYTES
        for k, cone in enumerate(self.cones):
            room -= 2 * state_bytes(cone.size, folded=not cone.linear.any(), single=single)
            if room < 0:
                break
            self._kept[k] = self._state(cone)

    def _state(self, cone: Cone) -> Qaoa:
        """Of one term: that of a spin is a field, that of two a coupling."""
        fields = np.zeros(cone.size)
        pair = ([0], [1], [1.0]) if cone.term == 2 else ([], [], [])
        fields[0] = 1.0 if cone.term == 1 else 0.0
        return Qaoa(
            cone.linear,
            cone.row,
            cone.col,
            cone.weight,
            observable=(
                fields,
                *(np.array(part, dtype=t) for part, t in zip(pair, "qqd", strict=True)),
                0.0,
            ),
            single=self._single,
        )

    def value(self, angles: Angles) -> float:
        self._check(angles)

        def one(k: int) -> float:
            state = self._kept.get(k) or self._state(self.cones[k])
            found = state.expectation(angles[0], angles[1], monitor=self.stopping.monitor)
            return self.cones[k].factor * found

        return self._offset + float(np.sum(self._each(one)))

    def gradient(self, angles: Angles) -> tuple[float, Angles]:
        self._check(angles)

        def one(k: int) -> Angles:
            state = self._kept.get(k) or self._state(self.cones[k])
            found = state.gradient(angles[0], angles[1], monitor=self.stopping.monitor)
            row = np.concatenate([[found.expectation], found.gammas, found.betas])
            return np.asarray(self.cones[k].factor * row)

        total = np.sum(self._each(one), axis=0) if self.cones else np.zeros(1 + angles.size)
        return self._offset + float(total[0]), np.asarray(total[1:]).reshape(angles.shape)

    def _check(self, angles: Angles) -> None:
        if angles.shape != (2, self._layers):
            raise ValueError(f"angles: expected shape (2, {self._layers}), given {angles.shape}")

    def _each(self, one: Callable[[int], Part]) -> list[Part]:
        """one(k) of every cone, in order, whichever thread finds it."""
        every = range(len(self.cones))
        try:
            if self._threads == 1 or len(every) < 2:
                return [one(k) for k in every]
            with ThreadPoolExecutor(self._threads) as pool:
                return list(pool.map(one, every))
        except NativeStopped as stopped:
            raise Stopped(str(stopped)) from None
