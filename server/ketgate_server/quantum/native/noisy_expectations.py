"""Expectations on a noisy state: exact from the density matrix, means over trajectories, or from
groups of commuting terms that are measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ketgate_native.monitor import Monitor

from ketgate_server.quantum.base import ExpectationOutcome, RunOptions
from ketgate_server.quantum.circuit import Circuit
from ketgate_server.quantum.native import noisy_estimate, noisy_trajectories
from ketgate_server.quantum.native.noisy_density import Density
from ketgate_server.quantum.native.noisy_plan import Plan, plan
from ketgate_server.quantum.noise import NoiseModel
from ketgate_server.quantum.observable import PauliSum, PauliTerm, qubit_wise_groups

TRAJECTORIES_DEFAULT = 1000
ENTRIES_MAX = 1 << 16
"""Pauli strings of one observable after errors of readout were written out."""


def exact(
    planned: Plan,
    density: Density | None,
    observables: Sequence[PauliSum],
    noise: NoiseModel,
    options: RunOptions,
    monitor: Monitor,
) -> ExpectationOutcome:
    read = [noisy_estimate.as_read(observable, noise, ENTRIES_MAX) for observable in observables]
    placed = [[_placed(term, planned) for term in observable.terms] for observable in read]
    if density is not None:
        values = [
            sum(c * density.expectation(_index(x, z, planned.num_qubits)) for c, x, z in terms)
            for terms in placed
        ]
        zeros = np.zeros(len(observables))
        return ExpectationOutcome(np.array(values, dtype=float), zeros, method="density-matrix")
    flat = [term for terms in placed for term in terms]
    shots = options.trajectories or TRAJECTORIES_DEFAULT
    done = noisy_trajectories.program(planned).run(
        shots=shots,
        seed=options.seed,
        terms=np.cumsum([0, *(len(terms) for terms in placed)]).tolist(),
        coefficients=[c for c, _, _ in flat],
        x=[x for _, x, _ in flat],
        z=[z for _, _, z in flat],
        threads=options.threads,
        monitor=monitor,
    )
    spread = done.values.std(axis=0, ddof=1) if shots > 1 else np.full(len(observables), np.inf)
    errors = spread / np.sqrt(shots)
    return ExpectationOutcome(done.values.mean(axis=0), errors, method="trajectories")


def sampled(
    circuit: Circuit,
    planned: Plan,
    density: Density | None,
    observables: Sequence[PauliSum],
    noise: NoiseModel,
    options: RunOptions,
    monitor: Monitor,
) -> ExpectationOutcome:
    groups = qubit_wise_groups(observables)
    estimate = noisy_estimate.Estimate(observables)
    for at, group in enumerate(groups):
        letters = noisy_estimate.basis(group)
        flips = [noise.readout_error(qubit) for qubit in letters]
        seed = int(np.random.SeedSequence([options.seed, at]).generate_state(1, np.uint64)[0])
        if density is not None:
            local = {planned.place(qubit): letter for qubit, letter in letters.items()}
            shares = density.distribution(local, flips)
            drawn = noisy_estimate.draw(shares, options.shots, seed)[:, None]
        else:
            turns = {q: noisy_estimate.TURNS[letter] for q, letter in letters.items() if letter < 3}
            keep = sum(1 << qubit for qubit in letters)
            turned = plan(circuit, noise, keep=keep, measured=False, turns=turns)
            shots = min(options.trajectories or options.shots, options.shots)
            done = noisy_trajectories.program(turned).run(
                shots=shots,
                seed=seed,
                samples=-(-options.shots // shots),
                threads=options.threads,
                monitor=monitor,
            )
            qubits = [turned.place(qubit) for qubit in letters]
            drawn = noisy_estimate.read(done.sampled, qubits, flips, seed)
        estimate.add(group, list(letters), drawn)
    method = "trajectories" if density is None else "density-matrix"
    values, errors = estimate.result()
    return ExpectationOutcome(values, errors, groups=len(groups), method=method)


def _placed(term: PauliTerm, planned: Plan) -> tuple[float, int, int]:
    """(coefficient, x, z) over the plan's qubits."""
    x = sum(1 << k for k, qubit in enumerate(planned.active) if (term.x >> qubit) & 1)
    z = sum(1 << k for k, qubit in enumerate(planned.active) if (term.z >> qubit) & 1)
    return term.coefficient, x, z


def _index(x: int, z: int, num_qubits: int) -> int:
    """Place of a Pauli string in a Pauli vector: letters I, X, Y, Z are 0 to 3."""
    out = 0
    for q in range(num_qubits):
        on_x, on_z = (x >> q) & 1, (z >> q) & 1
        out |= (3 * on_z - on_x if on_z else on_x) << (2 * q)
    return out
