"""Noisy runs of the native simulator: exact where the density matrix fits, else trajectories.

Errors of readout belong to what is measured: they are in counts, in probabilities and in
expectations, sampled or exact, so that exact ones are what many shots would tend to.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from ketgate_native import monitor as native
from ketgate_native.monitor import Monitor
from numpy.typing import NDArray

from ketgate_server.quantum.base import (
    CircuitOutcome,
    ExpectationOutcome,
    NoiseMethod,
    RunOptions,
    Stopped,
    Task,
    Unsuitable,
)
from ketgate_server.quantum.circuit import Circuit, Measure
from ketgate_server.quantum.native import noisy_trajectories
from ketgate_server.quantum.native.noisy_density import (
    QUBITS_MAX,
    WIDE_QUBITS_MAX,
    Density,
    TooManyBranches,
)
from ketgate_server.quantum.native.noisy_expectations import (
    TRAJECTORIES_DEFAULT as TRAJECTORIES_DEFAULT,
)
from ketgate_server.quantum.native.noisy_expectations import exact, sampled
from ketgate_server.quantum.native.noisy_plan import Plan, plan
from ketgate_server.quantum.native.noisy_steps import Choice, Step, Wide
from ketgate_server.quantum.noise import NoiseModel
from ketgate_server.quantum.observable import PauliSum

DENSITY_QUBITS_MAX = 12
Bits = NDArray[np.uint8]


def run_noisy(
    circuits: Sequence[Circuit],
    options: RunOptions,
    task: Task,
    *,
    density_qubits_max: int = DENSITY_QUBITS_MAX,
) -> list[CircuitOutcome]:
    """Counts (shots > 0) or exact probabilities (shots = 0) of bound circuits with options.noise.

    Same seed, same result, whatever options.threads. Raises Unsuitable for exact probabilities of
    what only trajectories can do, and for the state vector; Stopped."""
    noise = _noise(options)
    if options.state_vector:
        raise Unsuitable("native", "the state vector of a noisy run", "the state is mixed")
    with _monitored(task) as monitor:
        return [
            _run(circuit, noise, seeded(options, index), monitor, density_qubits_max)
            for index, circuit in enumerate(circuits)
        ]


def expectations_noisy(
    circuit: Circuit,
    observables: Sequence[PauliSum],
    options: RunOptions,
    task: Task,
    *,
    density_qubits_max: int = DENSITY_QUBITS_MAX,
) -> ExpectationOutcome:
    """Expectations on a bound circuit with options.noise; final measurements are left out.

    shots = 0: exact by the density matrix, or means over trajectories with their standard errors.
    With shots, groups of commuting terms are measured; the turns into their bases are noiseless.
    Raises Stopped, Unsuitable."""
    noise = _noise(options)
    started = time.perf_counter()
    with _monitored(task) as monitor:
        keep = 0
        for observable in observables:
            for term in observable.terms:
                keep |= term.x | term.z
        planned = plan(circuit, noise, keep=keep, measured=False)
        density = _density(planned, options, monitor, density_qubits_max)
        if options.shots:
            outcome = sampled(circuit, planned, density, observables, noise, options, monitor)
        else:
            outcome = exact(planned, density, observables, noise, options, monitor)
    outcome.running_s = time.perf_counter() - started
    return outcome


def seeded(options: RunOptions, index: int) -> RunOptions:
    """The first circuit has the seed that was given, the others have their own."""
    if not index:
        return options
    seed = np.random.SeedSequence([options.seed, index]).generate_state(1, np.uint64)[0]
    return replace(options, seed=int(seed))


def _noise(options: RunOptions) -> NoiseModel:
    assert options.noise is not None
    return options.noise


@contextmanager
def _monitored(task: Task) -> Iterator[Monitor]:
    monitor = Monitor(0, time_limit_s=task.remaining_s())
    task.on_stop(monitor.cancel)
    try:
        yield monitor
    except native.Stopped:
        raise Stopped from None


def _density(
    planned: Plan, options: RunOptions, monitor: Monitor, qubits_max: int
) -> Density | None:
    """The exact state, or None where trajectories are to be run."""
    if options.noise_method is NoiseMethod.TRAJECTORIES:
        return None
    forced = options.noise_method is NoiseMethod.DENSITY_MATRIX
    most = min(qubits_max, QUBITS_MAX)
    wide = max((len(step.gate.qubits) for step in _wide(planned.steps)), default=0)
    why = ""
    if planned.num_qubits > most:
        why = f"{planned.num_qubits} qubits are used; the density matrix takes at most {most}"
    elif wide > WIDE_QUBITS_MAX:
        why = f"a gate acts on {wide} qubits; the density matrix takes at most {WIDE_QUBITS_MAX}"
    if not why:
        try:
            return Density(planned, threads=options.threads, monitor=monitor)
        except TooManyBranches:
            why = "too many outcomes amid the circuit"
    if forced:
        raise Unsuitable("native", "the density matrix", f"{why}; ask for trajectories")
    return None


def _wide(steps: Sequence[Step]) -> Iterator[Wide]:
    for step in steps:
        if isinstance(step, Wide):
            yield step
        elif isinstance(step, Choice):
            yield from _wide(step.then)
            yield from _wide(step.otherwise)


def _run(
    circuit: Circuit, noise: NoiseModel, options: RunOptions, monitor: Monitor, qubits_max: int
) -> CircuitOutcome:
    started = time.perf_counter()
    planned = plan(circuit, noise)
    density = _density(planned, options, monitor, qubits_max)
    outcome = CircuitOutcome(method="trajectories" if density is None else "density-matrix")
    if density is not None:
        found = density.outcomes()
        if options.shots:
            _draw(outcome, found, circuit.num_bits, options)
        else:
            total = sum(found.values())
            outcome.probabilities = {k: p / total for k, p in found.items() if p > 1e-12 * total}
    elif options.shots:
        bits = _trajectory_bits(planned, options, monitor)
        outcome.counts = counts(bits)
        outcome.memory = bits if options.memory else None
    else:
        raise Unsuitable(
            "native",
            "exact probabilities",
            f"{planned.num_qubits} qubits with noise, and what is measured amid the circuit, do not "
            "fit into a density matrix; give shots",
        )
    outcome.running_s = time.perf_counter() - started
    return outcome


def _draw(
    outcome: CircuitOutcome, found: dict[int, float], num_bits: int, options: RunOptions
) -> None:
    """Shots from a distribution."""
    keys = sorted(found)
    edges = np.cumsum([found[key] for key in keys])
    u = np.random.default_rng(options.seed).random(options.shots)
    index = np.searchsorted(edges, u * edges[-1], side="right")
    index = np.minimum(index, len(keys) - 1)
    times = np.bincount(index, minlength=len(keys)).tolist()
    outcome.counts = {key: count for key, count in zip(keys, times, strict=True) if count}
    if options.memory:
        width = max(1, (num_bits + 7) // 8)
        rows = b"".join(key.to_bytes(width, "little") for key in keys)
        packed = np.frombuffer(rows, dtype=np.uint8).reshape(-1, width)
        table = np.unpackbits(packed, axis=1, bitorder="little")[:, :num_bits]
        outcome.memory = np.asarray(table[index])


def _trajectory_bits(planned: Plan, options: RunOptions, monitor: Monitor) -> Bits:
    """One trajectory a shot, (shots, num_bits)."""
    done = noisy_trajectories.program(planned).run(
        shots=options.shots,
        seed=options.seed,
        samples=1 if planned.final else 0,
        threads=options.threads,
        monitor=monitor,
    )
    words = np.ascontiguousarray(done.memory).view(np.uint8)
    bits = np.unpackbits(words, axis=1, bitorder="little")[:, : planned.num_bits].copy()
    if planned.final:
        state = done.sampled[:, 0]
        # A stream of its own: the kernel draws from another generator.
        u = np.random.default_rng([options.seed, 1]).random((options.shots, len(planned.final)))
        for k, record in enumerate(planned.final):
            value = ((state >> record.qubit) & 1).astype(np.uint8)
            wrong = np.where(value, record.flips[1], record.flips[0])
            bits[:, record.bit] = value ^ (u[:, k] < wrong)
    return bits


def misread(bits: Bits, circuit: Circuit, noise: NoiseModel, seed: int) -> Bits:
    """Shots of a circuit that measures at its end, (shots, num_bits), with errors of readout."""
    measures = [one for one in circuit.operations if isinstance(one, Measure)]
    # A stream of its own: the kernel draws from another generator.
    rng = np.random.default_rng([seed, 1])
    out = bits.copy()
    for measure in measures:
        chances = noise.readout_error(measure.qubit)
        value = bits[:, measure.bit]
        wrong = np.where(value, chances[1], chances[0])
        out[:, measure.bit] = value ^ (rng.random(len(bits)) < wrong)
    return out


def counts(bits: Bits) -> dict[int, int]:
    if bits.shape[1] < 63:
        numbers = bits.astype(np.int64) @ (1 << np.arange(bits.shape[1], dtype=np.int64))
        values, times = np.unique(numbers, return_counts=True)
        return dict(zip(values.tolist(), times.tolist(), strict=True))
    packed = np.packbits(bits, axis=1, bitorder="little")
    rows, times = np.unique(packed, axis=0, return_counts=True)
    return {
        int.from_bytes(row.tobytes(), "little"): count
        for row, count in zip(rows, times.tolist(), strict=True)
    }
