"""Back ends, providers and work that do what a test tells them to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.limits import LIMITS
from ketgate_server.quantum.base import (
    BackendKind,
    Capabilities,
    CircuitOutcome,
    Description,
    ExpectationOutcome,
    Need,
    RunOptions,
)
from ketgate_server.quantum.circuit import Circuit, Gate, Measure, Register
from ketgate_server.quantum.gateway import Gateway
from ketgate_server.quantum.settings import QuantumSettings
from ketgate_server.quantum.work import Caller, Choice, Work

ALL = Capabilities(
    exact=True,
    state_vector=True,
    noise=True,
    mid_circuit_measurement=True,
    reset=True,
    classical_control=True,
    single_precision=True,
    cancel=True,
)
BELL = Circuit(
    2,
    2,
    (Gate("h", (0,)), Gate("cx", (0, 1)), Measure(0, 0), Measure(1, 1)),
    (Register("q", 0, 2),),
    (Register("c", 0, 2),),
)


class Clock:
    """Seconds, moved by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class FakeBackend:
    """Answers with the seed that it was given."""

    name: str
    isolated: bool = False
    kind: BackendKind = BackendKind.SIMULATOR
    run_s: float = 1e-4
    memory_bytes: int = 1000
    more: dict = field(default_factory=dict)
    """Of the description."""
    refuses: Exception | None = None
    fails: list = field(default_factory=list)
    """What the next runs raise; None: nothing."""
    calls: list = field(default_factory=list)
    checks: int = 0
    hook: object = None
    """Called with the task of each run."""

    def describe(self) -> Description:
        usual = {"capabilities": ALL, "num_qubits": 20, "version": "fake 1"}
        return Description(self.name, "A fake.", self.kind, **usual | self.more)

    def check(self, circuit, options) -> None:
        self.checks += 1
        if self.refuses is not None:
            raise self.refuses

    def need(self, circuit, options) -> Need:
        return Need(self.memory_bytes, self.run_s)

    def run(self, circuits, options, task):
        self.calls.append((len(circuits), options))
        self._act(task)
        return [
            CircuitOutcome({0: options.shots - 1, 3: 1}, running_s=0.25, warnings=["warm"])
            for _ in circuits
        ]

    def expectations(
        self, circuit, observables, options, task, *, parameters=None, gradients=False
    ):
        self.calls.append((parameters, options))
        self._act(task)
        zeros = np.zeros(len(observables))
        return ExpectationOutcome(zeros, zeros)

    def _act(self, task) -> None:
        if self.hook is not None:
            self.hook(task)
        if self.fails:
            error = self.fails.pop(0)
            if error is not None:
                raise error


class FakeProvider:
    """A cloud that tells of some back ends."""

    isolated = False

    def __init__(self, name: str, *told: Description) -> None:
        self.name = name
        self.told = list(told)
        self.fails: Exception | None = None

    def backends(self):
        if self.fails is not None:
            raise self.fails
        return self.told

    def check(self, backend, circuit, options) -> None:
        pass


def qpu(name: str, **more) -> Description:
    usual = {"provider": "cloud", "num_qubits": 20, "part": "native", "region": "moon"}
    return Description(name, "A fake QPU.", BackendKind.QPU, **usual | more)


def gateway(*backends, providers=(), clock=None, limits=(), **settings) -> Gateway:
    table = dict(LIMITS)
    for name, value in dict(limits).items():
        table[name] = replace(table[name], value=value)
    made = Gateway(table, 2, backends, providers, QuantumSettings(**settings), clock or Clock())
    for provider in providers:
        made.catalogue.refresh(provider)
    return made


def work(*circuits: Circuit, shots: int = 10, seed: int = 5, **more) -> Work:
    circuits = circuits or (BELL,)
    options = RunOptions(shots, seed, threads=0, **more.pop("options", {}))
    choice = more.pop("choice", Choice())
    return Work(circuits, ({},) * len(circuits), circuits, options, choice, **more)


def broken(reason: Reason = Reason.INTERNAL) -> KetgateError:
    return KetgateError(reason, "it broke")


CALLER = Caller(tenant="t", arrival_s=float("inf"))
"""Its time limit never begins."""
