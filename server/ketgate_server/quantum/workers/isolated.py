"""Objects whose methods run in worker processes."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping, Sequence
from typing import Any

from ketgate_server.quantum.base import (
    Backend,
    CircuitOutcome,
    Description,
    ExpectationOutcome,
    Need,
    RunOptions,
    Task,
)
from ketgate_server.quantum.circuit import Circuit
from ketgate_server.quantum.observable import PauliSum
from ketgate_server.quantum.workers.order import TASK, Subject
from ketgate_server.quantum.workers.pool import Workers


class Remote:
    """Calls methods of an object that a worker hosts: a copy of it, made there once.

    The object is small and can be pickled: settings, no connections. If it has a method `prepare`,
    that is called there before anything else, to import what it needs.
    """

    def __init__(self, hosted: object, workers: Workers, group: str) -> None:
        pickled = pickle.dumps(hosted, pickle.HIGHEST_PROTOCOL)
        self._subject = Subject(hashlib.sha256(pickled).hexdigest(), pickled)
        self._workers = workers
        self._group = group

    def call(
        self,
        method: str,
        arguments: Sequence[Any] = (),
        task: Task | None = None,
        named: Mapping[str, Any] | None = None,
    ) -> Any:
        """As Workers.call."""
        return self._workers.call(
            method, arguments, task, named, group=self._group, subject=self._subject
        )


class Isolated:
    """Implements base.Backend over another: it runs in a worker, and is described, checked and
    estimated here."""

    isolated = True

    def __init__(self, backend: Backend, workers: Workers, group: str = "") -> None:
        """group: of back ends that may share a worker; by default the back end's name."""
        self.name = backend.name
        self._backend = backend
        self._remote = Remote(backend, workers, group or backend.name)
        self._workers = workers
        self._group = group or backend.name

    @property
    def threads_max(self) -> int | None:
        """That a run uses, where it does not use as many as it is given."""
        most: int | None = getattr(self._backend, "threads_max", None)
        return most

    @property
    def group(self) -> str:
        """Of its workers."""
        return self._group

    @property
    def is_warm(self) -> bool:
        """Whether a worker waits that has imported what runs need."""
        return self._workers.idle(self._group) > 0

    def describe(self) -> Description:
        return self._backend.describe()

    def check(self, circuit: Circuit, options: RunOptions) -> None:
        self._backend.check(circuit, options)

    def need(self, circuit: Circuit, options: RunOptions) -> Need:
        return self._backend.need(circuit, options)

    def warm(self, task: Task | None = None) -> None:
        """Start a worker, if none is there, and let it import what runs need."""
        self._remote.call("prepare", (), task)

    def run(
        self, circuits: Sequence[Circuit], options: RunOptions, task: Task
    ) -> Sequence[CircuitOutcome]:
        outcomes: Sequence[CircuitOutcome] = self._remote.call(
            "run", (circuits, options, TASK), task
        )
        return outcomes

    def expectations(
        self,
        circuit: Circuit,
        observables: Sequence[PauliSum],
        options: RunOptions,
        task: Task,
        *,
        parameters: Mapping[str, float] | None = None,
        gradients: bool = False,
    ) -> ExpectationOutcome:
        outcome: ExpectationOutcome = self._remote.call(
            "expectations",
            (circuit, observables, options, TASK),
            task,
            {"parameters": parameters, "gradients": gradients},
        )
        return outcome
