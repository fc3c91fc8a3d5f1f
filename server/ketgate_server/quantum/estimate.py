"""What a run would take, before it is run: memory, time, cost, fidelity.

Times are what a back end says it needs, corrected by what its runs took; device times and costs
follow from the calibration and the price.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from ketgate_server.quantum.base import BackendKind, Calibration, Description, Need, Price
from ketgate_server.quantum.circuit import Circuit, Gate, Measure
from ketgate_server.quantum.work import Money, Work

REPETITION_S = 250e-6
"""Between two shots, until the qubits have relaxed: IBM's default `rep_delay`."""
TASK_S = 2.0
"""Of each request to a device: loading and reading out what is not circuits."""
SMOOTHING = 0.2
"""Weight of the newest run in what is known of a back end's speed."""
CORRECTION_MAX = 100.0
KNOWN_MAX = 64
NOTED_S_MIN = 1e-4
"""Shorter runs say more about the clock than about the model."""


@dataclass(frozen=True)
class Estimate:
    """What a run would take on one back end."""

    backend: str
    kind: BackendKind
    memory_bytes: int
    run_s: float
    queue_s: float | None
    shots: int
    cost: Money | None
    device_s: float
    expected_fidelity: float | None
    warnings: Sequence[str] = field(default_factory=tuple)


class Speed:
    """How far a back end's own estimates are off: the geometric mean of measured to estimated, the
    newest counting most."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._log = 0.0

    @property
    def correction(self) -> float:
        return math.exp(self._log)

    def note(self, estimated_s: float, measured_s: float) -> None:
        if estimated_s < NOTED_S_MIN or measured_s < NOTED_S_MIN:
            return
        most = math.log(CORRECTION_MAX)
        ratio = max(-most, min(most, math.log(measured_s / estimated_s)))
        with self._lock:
            self._log += SMOOTHING * (ratio - self._log)


def estimate(
    work: Work,
    description: Description,
    need: Need,
    correction: float = 1.0,
    *,
    is_device: bool = False,
) -> Estimate:
    """need: of the whole work. is_device: it runs at a provider."""
    device_s = _device_s(work, description) if is_device else 0.0
    calibration = description.calibration
    return Estimate(
        backend=description.name,
        kind=description.kind,
        memory_bytes=need.memory_bytes,
        run_s=device_s if is_device else need.run_s * correction,
        queue_s=0.0 if not is_device else None,
        shots=work.shots_total,
        cost=None if description.price is None else cost(work, description.price, device_s),
        device_s=device_s,
        expected_fidelity=None
        if calibration is None
        else expected_fidelity(work.bound, calibration),
    )


def cost(work: Work, price: Price, device_s: float) -> Money:
    """Rounded up: a cap is to hold."""
    per_shots = price.per_million_shots * work.shots_total / 1e6
    total = price.per_task * work.executions + per_shots + price.per_minute * device_s / 60
    return Money(price.currency, math.ceil(total - 1e-9))


def _device_s(work: Work, description: Description) -> float:
    durations = _durations(description.calibration)
    shot_s = [REPETITION_S + _circuit_s(circuit, durations) for circuit in work.bound]
    return TASK_S + sum(shot_s) * work.options.shots * work.executions / len(work.bound)


@dataclass(frozen=True)
class _Durations:
    one_ns: float = 50.0
    more_ns: float = 300.0
    readout_ns: float = 1_000.0


def _durations(calibration: Calibration | None) -> _Durations:
    if calibration is None:
        return _Durations()
    usual = _Durations()
    gates = [gate for gate in calibration.gates if gate.duration_ns]
    return _Durations(
        _typical((g.duration_ns for g in gates if len(g.qubits) == 1), usual.one_ns),
        _typical((g.duration_ns for g in gates if len(g.qubits) > 1), usual.more_ns),
        _typical((q.readout_ns for q in calibration.qubits), usual.readout_ns),
    )


def _circuit_s(circuit: Circuit, durations: _Durations) -> float:
    """One gate after the other where qubits are shared."""
    ends = [0.0] * circuit.num_qubits
    for operation in circuit.walk():
        if isinstance(operation, Gate) and operation.qubits:
            qubits: Sequence[int] = operation.qubits
            took_ns = durations.one_ns if len(qubits) == 1 else durations.more_ns
        elif isinstance(operation, Measure):
            qubits, took_ns = (operation.qubit,), durations.readout_ns
        else:
            continue
        end = max(ends[qubit] for qubit in qubits) + took_ns
        for qubit in qubits:
            ends[qubit] = end
    return max(ends, default=0.0) * 1e-9


def expected_fidelity(circuits: Iterable[Circuit], calibration: Calibration) -> float | None:
    """The least, over the circuits, of the probability that no gate and no measurement errs; None
    where the calibration tells no error at all. Where a circuit stands on other gates or qubits than
    were calibrated, typical errors stand in."""
    errors = _errors(calibration)
    if not errors.by_gate and not errors.by_readout:
        return None
    return min((errors.survival(circuit) for circuit in circuits), default=1.0)


@dataclass(frozen=True)
class _Errors:
    by_gate: Mapping[tuple[str, tuple[int, ...]], float]
    by_size: Mapping[int, float]
    """Typical, by number of qubits."""
    by_readout: Mapping[int, float]
    readout: float

    def survival(self, circuit: Circuit) -> float:
        log = 0.0
        for operation in circuit.walk():
            if isinstance(operation, Gate) and operation.qubits:
                size = len(operation.qubits)
                error = self.by_gate.get((operation.name, operation.qubits))
                if error is None:
                    # A gate of three takes about six of two.
                    two = self.by_size.get(2, 0.0) * (1 if size == 2 else 6)
                    error = self.by_size.get(1, 0.0) if size == 1 else two
            elif isinstance(operation, Measure):
                error = self.by_readout.get(operation.qubit, self.readout)
            else:
                continue
            log += math.log1p(-min(max(error, 0.0), 1.0 - 1e-12))
        return math.exp(log)


_known: dict[str, _Errors] = {}
"""By the calibration's digest; a device has thousands of figures."""


def _errors(calibration: Calibration) -> _Errors:
    if not calibration.digest:
        return _errors_of(calibration)
    found = _known.get(calibration.digest)
    if found is None:
        while len(_known) >= KNOWN_MAX:
            _known.pop(next(iter(_known)), None)
        found = _known[calibration.digest] = _errors_of(calibration)
    return found


def _errors_of(calibration: Calibration) -> _Errors:
    # A broken gate is told with the error 1, and is not typical.
    known = [gate for gate in calibration.gates if gate.error is not None]
    by_gate = {(gate.gate, gate.qubits): float(gate.error or 0.0) for gate in known}
    sizes = {len(gate.qubits) for gate in known}
    by_readout = {}
    for qubit in calibration.qubits:
        wrong = [p for p in (qubit.p1_given_0, qubit.p0_given_1) if p is not None]
        if wrong:
            by_readout[qubit.qubit] = sum(wrong) / len(wrong)
    return _Errors(
        by_gate,
        {
            n: _typical((g.error for g in known if len(g.qubits) == n and g.error != 1.0), 0.0)
            for n in sizes
        },
        by_readout,
        _typical(by_readout.values(), 0.0),
    )


def _typical(values: Iterable[float | None], otherwise: float) -> float:
    known = [value for value in values if value is not None]
    return median(known) if known else otherwise
