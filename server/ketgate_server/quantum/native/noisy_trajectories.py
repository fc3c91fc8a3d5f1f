"""Noise by random trajectories: the program that the kernel runs once for each shot."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from ketgate_native.density import (
    CHANNEL_QUBITS_MAX,
    STEP_COLUMNS,
    TRAJECTORY_QUBITS_MAX,
    UNITARY_QUBITS_MAX,
    Trajectories,
    run_trajectories,
)
from ketgate_native.monitor import Monitor

from ketgate_server.quantum import gates
from ketgate_server.quantum.base import Unsuitable
from ketgate_server.quantum.native.noisy_plan import Plan
from ketgate_server.quantum.native.noisy_steps import Choice, Fused, Record, Step, Wide
from ketgate_server.quantum.noise_transfer import (
    Operators,
    Transfer,
    kraus_of_transfer,
    pauli_matrices,
    pauli_probabilities,
    transfer_of_channels,
    transfer_of_unitary,
)

_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
_PROJECTORS = np.array([[[1, 0], [0, 0]], [[0, 0], [0, 1]]], dtype=np.complex128)
_KNOWN_MAX = 4096
COPIES_BYTES_MAX = 256 << 20
"""For states of groups of shots that wait, all threads together."""


@dataclass(frozen=True)
class Kraus:
    """A channel for the kernel: operators, and either their probabilities or the least of the
    first."""

    operators: Operators
    weights: tuple[float, ...]
    norm_free: bool


@dataclass
class Program:
    """The arrays of ketgate_native.density.run_trajectories."""

    plan: Plan
    rows: list[list[int]] = field(default_factory=list)
    flips: list[tuple[float, float]] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    matrices: list[Operators] = field(default_factory=list)
    effects: list[Operators] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    _matrix_count: int = 0
    _effect_count: int = 0

    def add(self, steps: Sequence[Step]) -> None:
        for step in steps:
            match step:
                case Fused():
                    self._channel(step.qubits, kraus_of_fused(step))
                case Wide():
                    self._wide(step)
                case Record():
                    choice = Kraus(_PROJECTORS, (0.0,), norm_free=False)
                    self._channel((step.qubit,), choice, record=step)
                case Choice():
                    self._choice(step)

    def run(
        self,
        *,
        shots: int,
        seed: int,
        samples: int = 0,
        terms: Sequence[int] = (0,),
        coefficients: Sequence[float] = (),
        x: Sequence[int] = (),
        z: Sequence[int] = (),
        threads: int = 1,
        monitor: Monitor | None = None,
    ) -> Trajectories:
        state_bytes = 16 << self.plan.num_qubits
        return run_trajectories(
            self.plan.num_qubits,
            np.array(self.rows, dtype=np.int64).reshape(-1, STEP_COLUMNS),
            np.array(self.flips, dtype=np.float64).reshape(-1, 2),
            self.numbers,
            _joined(self.matrices),
            _joined(self.effects),
            self.weights,
            shots=shots,
            seed=seed,
            num_bits=self.plan.num_bits,
            samples=samples,
            terms=terms,
            coefficients=coefficients,
            x=np.array(x, dtype=np.uint64),
            z=np.array(z, dtype=np.uint64),
            threads=threads,
            copies_max=max(0, min(4096, COPIES_BYTES_MAX // (state_bytes * threads))),
            monitor=monitor,
        )

    def _row(self, kind: int, **columns: int) -> list[int]:
        row = [0] * STEP_COLUMNS
        row[0], row[10] = kind, -1
        for name, value in columns.items():
            row[_COLUMN[name]] = value
        self.rows.append(row)
        self.flips.append((0.0, 0.0))
        return row

    def _channel(
        self,
        qubits: Sequence[int],
        kraus: Kraus,
        *,
        record: Record | None = None,
        controls: Sequence[int] = (),
        control_values: int = 0,
    ) -> None:
        count, entries = len(kraus.operators), kraus.operators.size
        self._row(
            0,
            targets=len(qubits),
            controls=len(controls),
            qubits=len(self.numbers),
            control_values=control_values,
            branches=count,
            matrices=self._matrix_count,
            effects=self._effect_count,
            weights=len(self.weights),
            norm_free=int(kraus.norm_free),
            record=-1 if record is None else record.bit,
        )
        if record is not None:
            self.flips[-1] = record.flips
        self.numbers += [*qubits, *controls]
        self.matrices.append(kraus.operators)
        self._matrix_count += entries
        self.weights += kraus.weights
        if count > 1 and not kraus.norm_free:
            self.effects.append(_effects(kraus.operators))
            self._effect_count += entries

    def _wide(self, step: Wide) -> None:
        gate = step.gate
        count = len(gate.controls)
        controls, targets = gate.qubits[:count], gate.qubits[count:]
        values = sum(value << k for k, value in enumerate(gate.controls))
        if len(targets) > UNITARY_QUBITS_MAX:
            raise Unsuitable("native", gate.name, "it is too wide for noise", gate.place)
        bare = replace(gate, controls=(), qubits=tuple(range(len(targets))))
        unitary = Kraus(gates.matrix(bare)[None], (1.0,), norm_free=True)
        self._channel(targets, unitary, controls=controls, control_values=values)
        for channel in step.channels:
            size = len(channel.qubits)
            if size > CHANNEL_QUBITS_MAX:
                raise Unsuitable(
                    "native",
                    f"noise on {size} qubits at once",
                    f"trajectories take at most {CHANNEL_QUBITS_MAX}",
                    gate.place,
                )
            on = tuple(gate.qubits[k] for k in channel.qubits)
            local = replace(channel, qubits=tuple(range(size)))
            self._channel(
                on,
                _kraus(transfer_of_channels((local,), size), np.eye(2**size, dtype=np.complex128)),
            )

    def _choice(self, step: Choice) -> None:
        if len(step.condition.bits) > 63 or step.condition.value >= 1 << 63:
            raise Unsuitable("native", "if", "it compares more than 63 bits", step.place)
        branch = self._row(
            1,
            bits=len(self.numbers),
            bit_count=len(step.condition.bits),
            comparison=_COMPARISONS.index(step.condition.comparison),
            value=step.condition.value,
        )
        self.numbers += step.condition.bits
        self.add(step.then)
        over = self._row(2)
        branch[_COLUMN["jump"]] = len(self.rows)
        self.add(step.otherwise)
        over[_COLUMN["jump"]] = len(self.rows)


_COLUMNS = (
    *("kind", "targets", "controls", "qubits", "control_values", "branches", "matrices", "effects"),
    *("weights", "norm_free", "record", "jump", "bits", "bit_count", "comparison", "value"),
)
"""As src/dm_trajectory.h."""
_COLUMN = {name: k for k, name in enumerate(_COLUMNS)}
_known: OrderedDict[bytes, Kraus] = OrderedDict()


def program(plan: Plan) -> Program:
    """Raises Unsuitable for what the kernel cannot take."""
    if plan.num_qubits > TRAJECTORY_QUBITS_MAX:
        raise Unsuitable(
            "native",
            f"noise on {plan.num_qubits} qubits",
            f"trajectories take at most {TRAJECTORY_QUBITS_MAX}",
        )
    out = Program(plan)
    out.add(plan.steps)
    return out


def kraus_of_fused(step: Fused) -> Kraus:
    """Of a fused map; kept, since the same gates come again and again."""
    key = step.transfer.tobytes() + step.unitary.tobytes()
    found = _known.get(key)
    if found is None:
        # What the noise does after the ideal gates: a mixture of Paulis is then seen as one.
        noise = step.transfer @ transfer_of_unitary(step.unitary).T
        found = _known[key] = _kraus(noise, step.unitary)
        while len(_known) > _KNOWN_MAX:
            _known.popitem(last=False)
    return found


def _kraus(noise: Transfer, unitary: Operators) -> Kraus:
    """noise follows unitary."""
    shares = pauli_probabilities(noise)
    if shares is not None:
        order = [int(k) for k in np.argsort(-shares, kind="stable") if shares[k] > 1e-15]
        paulis = pauli_matrices((len(noise).bit_length() - 1) // 2)
        kept = shares[order] / shares[order].sum()
        return Kraus(paulis[order] @ unitary, tuple(kept.tolist()), norm_free=True)
    operators = kraus_of_transfer(noise)
    # Below its least probability in any state, the first choice is taken without asking the state.
    first = operators[0].conj().T @ operators[0]
    floor = max(0.0, float(np.linalg.eigvalsh(first)[0]) * (1.0 - 1e-9))
    return Kraus(operators @ unitary, (floor,), norm_free=False)


def _effects(operators: Operators) -> Operators:
    return operators.conj().transpose(0, 2, 1) @ operators


def _joined(arrays: Sequence[Operators]) -> Operators:
    if not arrays:
        return np.zeros(0, dtype=np.complex128)
    return np.concatenate([np.ascontiguousarray(a).reshape(-1) for a in arrays])
