"""Training in a worker process: it computes in Python for seconds, which the server must not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ketgate_server.quantum import base, shared
from ketgate_server.quantum.algorithms.runner import Runner, Used
from ketgate_server.quantum.base import CircuitOutcome, ExpectationOutcome, RunOptions
from ketgate_server.quantum.circuit import Circuit
from ketgate_server.quantum.learning import classifier
from ketgate_server.quantum.learning.classifier import Task, Trained
from ketgate_server.quantum.observable import PauliSum
from ketgate_server.quantum.workers.order import TASK

FUNCTION = "ketgate_server.quantum.learning.training:train_here"
GROUP = "learning"


def train(task: Task, runner: Runner) -> Trained:
    """In a worker where exact states do; with shots or noise here, as the back end is asked on the
    way, and waited for."""
    if not (runner.is_native and runner.exact):
        return classifier.train(task, runner)
    options = runner.options
    trained, used = shared.workers().call(FUNCTION, (task, options, TASK), runner, group=GROUP)
    runner.add(used)
    return trained  # type: ignore[no-any-return]


def train_here(task: Task, options: RunOptions, caller: base.Task) -> tuple[Trained, Used]:
    """What the worker does."""
    runner = Runner(_States(options, caller))
    return classifier.train(task, runner), runner.used


@dataclass
class _States:
    """An executor for what needs no circuit: every state is made by a kernel."""

    options: RunOptions
    caller: base.Task
    is_native: bool = True

    @property
    def stopped(self) -> bool:
        return self.caller.stopped

    def remaining_s(self) -> float:
        return self.caller.remaining_s()

    def on_stop(self, callback: object) -> None:
        raise NotImplementedError("states are made without asking")

    def run(self, circuits: Sequence[Circuit], options: RunOptions) -> Sequence[CircuitOutcome]:
        raise NotImplementedError("states are made without circuits")

    def expectations(
        self,
        circuit: Circuit,
        observables: Sequence[PauliSum],
        options: RunOptions,
        *,
        parameters: Mapping[str, float] | None = None,
        gradients: bool = False,
    ) -> ExpectationOutcome:
        raise NotImplementedError("states are made without circuits")
