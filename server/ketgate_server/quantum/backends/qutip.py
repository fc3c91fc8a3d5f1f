"""The back end "qutip": QuTiP, for small systems; noise by the Lindblad master equation.

A gate is one unitary. A channel that a Markovian process of unit time makes (relaxation, dephasing,
depolarizing, ...) is integrated as that process by QuTiP's mesolve; one that no such process makes
(a bit flip that is more likely than not, for example) is applied as the map that it is, and told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ketgate_server.quantum import gates
from ketgate_server.quantum.backends.lindblad import Generator, generator
from ketgate_server.quantum.backends.readings import State
from ketgate_server.quantum.backends.simulated import DENSITY, Simulated
from ketgate_server.quantum.backends.steps import Noise, Step
from ketgate_server.quantum.base import Capabilities, RunOptions

TOLERANCES = {"atol": 1e-13, "rtol": 1e-11, "nsteps": 100_000, "progress_bar": ""}


class QutipBackend(Simulated):
    name = "qutip"
    part = "qutip"
    text = "QuTiP, for small systems: noise by the Lindblad master equation."
    capabilities = Capabilities(
        exact=True,
        state_vector=True,
        noise=True,
        mid_circuit_measurement=True,
        reset=True,
        classical_control=True,
        cancel=True,
    )
    qubits_ceiling = 14
    density_ceiling = 7
    step_s = 500e-6
    amplitude_s = 200e-9

    def prepare(self) -> None:
        import qutip

        qutip.qeye(2)

    def _method(self, options: RunOptions) -> str:
        """Channels that no Markovian process makes are applied as they are."""
        if not self._is_density(options):
            return ""
        assert options.noise is not None
        channels = [one for some in options.noise.gates.values() for one in some]
        markovian = {generator(one.kraus) is not None for one in channels}
        words = {True: "master-equation", False: DENSITY}
        return " and ".join(words[one] for one in sorted(markovian, reverse=True))

    def _evolve(
        self, steps: Sequence[Step], start: State | None, num_qubits: int, options: RunOptions
    ) -> State:
        import qutip

        density = self._is_density(options)
        dims = [2] * num_qubits
        if start is None:
            ground = qutip.basis(dims, [0] * num_qubits)
            state = ground.proj() if density else ground
        else:
            state = qutip.Qobj(start, dims=[dims, dims if density else [1]])
        for step in steps:
            if isinstance(step, Noise):
                state = _after_noise(state, step, num_qubits)
                continue
            unitary = _expanded(gates.matrix(step), step.qubits, num_qubits)
            state = unitary @ state @ unitary.dag() if density else unitary @ state
        full = state.full()
        return np.asarray(full if density else full[:, 0])


def _after_noise(state: Any, noise: Noise, num_qubits: int) -> Any:
    import qutip

    made: Generator | None = generator(noise.kraus)
    if made is None:
        maps = [_expanded(one, noise.qubits, num_qubits) for one in noise.kraus]
        return sum(one @ state @ one.dag() for one in maps)
    hamiltonian = _expanded(made.hamiltonian, noise.qubits, num_qubits)
    jumps = [_expanded(jump, noise.qubits, num_qubits) for jump in made.jumps]
    if not jumps:
        return state  # nothing happens
    result = qutip.mesolve(hamiltonian, state, [0.0, 1.0], c_ops=jumps, options=TOLERANCES)
    return result.final_state if result.final_state is not None else result.states[-1]


def _expanded(matrix: np.ndarray[Any, Any], qubits: Sequence[int], num_qubits: int) -> Any:
    """The operator on all qubits; QuTiP's first factor is the most significant bit of an index."""
    import qutip

    count = len(qubits)
    operator = qutip.Qobj(matrix, dims=[[2] * count] * 2).to("CSR")
    rest = [qubit for qubit in range(num_qubits) if qubit not in qubits]
    factors = [*reversed(qubits), *rest]
    whole = qutip.tensor([operator, *[qutip.qeye(2)] * len(rest)])
    order = [factors.index(qubit) for qubit in reversed(range(num_qubits))]
    return whole.permute(order)
