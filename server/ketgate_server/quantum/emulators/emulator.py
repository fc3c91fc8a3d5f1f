"""The back ends "emulator/NAME": a device's gates, coupling and noise on the native simulator.

A circuit is compiled, then simulated on the qubits that it uses with the noise of the gates that it
uses; both are kept, so that the same circuit again costs its simulation only.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ketgate_native.density import TRAJECTORY_QUBITS_MAX

from ketgate_server import __version__
from ketgate_server.cached import cached_property
from ketgate_server.quantum.base import (
    BackendKind,
    Capabilities,
    CircuitOutcome,
    Description,
    ExpectationOutcome,
    Need,
    NoiseMethod,
    RunOptions,
    Task,
    Unsuitable,
)
from ketgate_server.quantum.calibration import Use, noise_model, untold
from ketgate_server.quantum.circuit import Circuit, Gate, Measure, Reset
from ketgate_server.quantum.emulators import sampled
from ketgate_server.quantum.emulators.compile import (
    ROUTED_BASIS,
    Compiled,
    compile_directly,
    in_own_gates,
)
from ketgate_server.quantum.emulators.device import Device
from ketgate_server.quantum.native.noisy import (
    DENSITY_QUBITS_MAX,
    TRAJECTORIES_DEFAULT,
    expectations_noisy,
    run_noisy,
    seeded,
)
from ketgate_server.quantum.native.noisy_trajectories import COPIES_BYTES_MAX
from ketgate_server.quantum.noise import NoiseModel
from ketgate_server.quantum.observable import PauliSum, PauliTerm
from ketgate_server.quantum.transpile.target import Target, Transpiled

KEPT_MAX = 256
KEPT_OPERATIONS_MAX = 20_000
"""Of a compiled circuit that is kept."""
DENSITY_S, TRAJECTORY_S, MAP_S = 4e-9, 1e-9, 5e-5
"""Measured: of a number and a map, of an amplitude and a map, half of the shots sharing their
states as is usual; and of a map with what it takes to plan it."""
DIRECT_LEVEL_MAX = 1
"""Above, a transpiler is asked where there is one: it cancels gates."""


class Compiler(Protocol):
    """quantum.compiler.Compiler: Qiskit's transpiler in a worker."""

    def compile(
        self, circuits: Sequence[Circuit], target: Target, level: int, seed: int, task: Task
    ) -> Sequence[Any]:
        """Each with a `transpiled`."""


@dataclass(frozen=True)
class Placed:
    """A circuit on a device, and the noise of what it uses."""

    compiled: Compiled
    noise: NoiseModel
    used: Mapping[Use, int]
    warnings: tuple[str, ...] = ()


class Emulator:
    """Implements base.Backend."""

    isolated = False

    def __init__(
        self,
        name: str,
        read: Callable[[], Device],
        compiler: Compiler | None = None,
        *,
        density_qubits_max: int = DENSITY_QUBITS_MAX,
    ) -> None:
        self.name = name
        self._read = read
        self._compiler = compiler
        self._density_qubits_max = density_qubits_max
        self._lock = threading.Lock()
        self._placed: OrderedDict[tuple[object, ...], Placed] = OrderedDict()
        self._noise: OrderedDict[frozenset[Use], NoiseModel] = OrderedDict()

    @cached_property
    def device(self) -> Device:
        return self._read()

    def describe(self) -> Description:
        device = self.device
        return Description(
            name=self.name,
            description=device.description,
            kind=BackendKind.EMULATOR,
            version=f"ketgate-server {__version__}" + (device.version and f", {device.version}"),
            num_qubits=device.num_qubits,
            coupling=device.coupling,
            basis_gates=device.basis_gates,
            capabilities=Capabilities(
                exact=True,
                mid_circuit_measurement=True,
                reset=True,
                classical_control=True,
                cancel=True,
            ),
            calibration=device.calibration,
            part=device.part,
        )

    def check(self, circuit: Circuit, options: RunOptions) -> None:
        if options.noise is not None:
            raise Unsuitable(self.name, "other noise", "it has its own; choose a simulator")
        if options.state_vector:
            raise Unsuitable(self.name, "state vectors", "with noise the state is mixed")
        used = _used_qubits(circuit)
        if used > self.device.num_qubits:
            raise Unsuitable(self.name, f"{used} qubits", f"it has {self.device.num_qubits}")
        if used > TRAJECTORY_QUBITS_MAX:
            most = TRAJECTORY_QUBITS_MAX
            raise Unsuitable(self.name, f"noise on {used} qubits", f"it simulates at most {most}")
        exact_only = not options.shots and not self._fits(options, used)
        if exact_only and options.noise_method is NoiseMethod.DENSITY_MATRIX:
            raise Unsuitable(
                self.name,
                f"the density matrix of {used} qubits",
                f"it takes at most {self._density_qubits_max}; ask for trajectories",
            )

    def need(self, circuit: Circuit, options: RunOptions) -> Need:
        used = _used_qubits(circuit)
        # Gates on one qubit are taken into their neighbours.
        wide = sum(isinstance(one, Gate) and len(one.qubits) > 1 for one in circuit.walk())
        maps = wide + used
        if self._fits(options, used):
            return Need(3 * 8 * 4**used, maps * (4**used * DENSITY_S + MAP_S))
        runs = options.shots or options.trajectories or TRAJECTORIES_DEFAULT
        memory = 16 * 2**used * (options.threads + 1) + COPIES_BYTES_MAX
        return Need(memory, runs * maps * 2**used * TRAJECTORY_S / max(1, options.threads))

    def run(
        self, circuits: Sequence[Circuit], options: RunOptions, task: Task
    ) -> Sequence[CircuitOutcome]:
        placed, compiling_s = [], []
        for circuit in circuits:
            started = time.perf_counter()
            placed.append(self.place(circuit, options, task))
            compiling_s.append(time.perf_counter() - started)
        outcomes = []
        for index, (one, took_s) in enumerate(zip(placed, compiling_s, strict=True)):
            (outcome,) = run_noisy(
                [one.compiled.circuit],
                replace(seeded(options, index), noise=one.noise),
                task,
                density_qubits_max=self._density_qubits_max,
            )
            outcome.compiled, outcome.compiling_s = one.compiled.circuit, took_s
            outcome.warnings = (*outcome.warnings, *one.warnings)
            outcomes.append(outcome)
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
        if gradients:
            raise Unsuitable(self.name, "gradients", "choose a simulator without noise")
        bound = circuit.bind(parameters or {})
        if options.shots:
            return sampled.expectations(self, bound, observables, options, task)
        started = time.perf_counter()
        keep = 0
        for observable in observables:
            for term in observable.terms:
                keep |= term.x | term.z
        placed = self.place(bound, options, task, keep)
        compiling_s = time.perf_counter() - started
        layout = placed.compiled.final_layout
        moved = [PauliSum(tuple(_moved(t, layout) for t in one.terms)) for one in observables]
        outcome = expectations_noisy(
            placed.compiled.circuit,
            moved,
            replace(options, noise=placed.noise),
            task,
            density_qubits_max=self._density_qubits_max,
        )
        outcome.compiled, outcome.compiling_s = placed.compiled.circuit, compiling_s
        outcome.warnings = (*outcome.warnings, *placed.warnings)
        return outcome

    def place(self, circuit: Circuit, options: RunOptions, task: Task, keep: int = 0) -> Placed:
        """The bound circuit compiled, with the noise of what it uses; kept. keep: mask of qubits
        that are looked at though nothing acts on them."""
        key: tuple[object, ...] = (circuit.digest, options.optimization_level, keep)
        if options.optimization_level > DIRECT_LEVEL_MAX:
            key += (options.seed,)
        with self._lock:
            found = self._placed.get(key)
            if found is not None:
                self._placed.move_to_end(key)
                return found
        compiled = self._compile(circuit, options, task, keep)
        used = _uses(compiled.circuit)
        for qubit in range(keep.bit_length()):
            if (keep >> qubit) & 1:
                used[("measure", (compiled.final_layout[qubit],))] += 1
        lacking = untold(self.device.calibration, used)
        warnings = (f"{self.name}: {lacking}",) if lacking else ()
        found = Placed(compiled, self._noise_of(frozenset(used)), used, warnings)
        if len(compiled.circuit.operations) <= KEPT_OPERATIONS_MAX:
            with self._lock:
                self._placed[key] = found
                while len(self._placed) > KEPT_MAX:
                    self._placed.popitem(last=False)
        return found

    def _compile(self, circuit: Circuit, options: RunOptions, task: Task, keep: int) -> Compiled:
        compiler = self._compiler
        if compiler is None or options.optimization_level <= DIRECT_LEVEL_MAX:
            direct = compile_directly(circuit, self.device, keep)
            if direct is not None:
                return direct
        if compiler is None:
            raise Unsuitable(
                self.name,
                "a circuit that needs swaps",
                "no transpiler is installed; use gates between neighbours of the device only",
            )
        pairs = {pair for a, b in self.device.edges for pair in ((a, b), (b, a))}
        target = Target(ROUTED_BASIS, tuple(sorted(pairs)), self.device.num_qubits)
        level, seed = options.optimization_level, options.seed
        (found,) = compiler.compile([circuit], target, level, seed, task)
        return _at_its_best(found.transpiled, self.device, keep)

    def _noise_of(self, used: frozenset[Use]) -> NoiseModel:
        with self._lock:
            found = self._noise.get(used)
        if found is None:
            calibration = self.device.calibration
            words = f"{self.name}: depolarizing and thermal relaxation by its calibration, readout"
            found = noise_model(calibration, words, used)
            with self._lock:
                self._noise[used] = found
                while len(self._noise) > KEPT_MAX:
                    self._noise.popitem(last=False)
        return found

    def _fits(self, options: RunOptions, used: int) -> bool:
        return (
            options.noise_method is not NoiseMethod.TRAJECTORIES
            and used <= self._density_qubits_max
        )


def _at_its_best(routed: Transpiled, device: Device, keep: int) -> Compiled:
    """A transpiler's circuit in the device's gates: it knows no errors, so what it made to fit is
    moved to the best place where it fits."""
    looked_at = sum(1 << routed.final_layout[q] for q in range(keep.bit_length()) if keep >> q & 1)
    moved = compile_directly(routed.circuit, device, looked_at)
    if moved is None:
        circuit = in_own_gates(routed.circuit, device)
        return Compiled(circuit, routed.initial_layout, routed.final_layout, routed.compiler)
    return Compiled(
        moved.circuit,
        tuple(moved.initial_layout[q] for q in routed.initial_layout),
        tuple(moved.initial_layout[q] for q in routed.final_layout),
        routed.compiler,
    )


def _used_qubits(circuit: Circuit) -> int:
    return len({qubit for _, qubits in _uses(circuit) for qubit in qubits})


def _uses(circuit: Circuit) -> Counter[Use]:
    out: Counter[Use] = Counter()
    for operation in circuit.walk():
        match operation:
            case Gate():
                out[(operation.name, operation.qubits)] += 1
            case Measure():
                out[("measure", (operation.qubit,))] += 1
            case Reset():
                out[("reset", (operation.qubit,))] += 1
            case _:
                pass
    return out


def _moved(term: PauliTerm, layout: Sequence[int]) -> PauliTerm:
    """A term on the device's qubits."""
    x = sum(1 << layout[q] for q in range(term.x.bit_length()) if (term.x >> q) & 1)
    z = sum(1 << layout[q] for q in range(term.z.bit_length()) if (term.z >> q) & 1)
    return PauliTerm(term.coefficient, x, z)
