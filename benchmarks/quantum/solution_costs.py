"""What runs cost, in the units that the study compares: curves for scaling.py from what solution_runs.py measured.

Devices are idealised, without errors, and of no maker: round numbers of the order that is published for their kind.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scaling import Curve, repetitions
from solution_runs import Runs

DESCENT_SWEEPS = 4
"""Charged for the descent that ends every annealing run: it is not in the kernel's count of sweeps."""
FAR = 24
"""From so many spins on there are annealing's runs only."""


@dataclass(frozen=True)
class Device:
    """Times in seconds. A layer is the couplings, then the mixer on all qubits at once."""

    name: str
    pair_s: float
    single_s: float
    shot_s: float
    """Reset and readout."""
    serial: bool
    """Two-qubit gates one after the other, between any two qubits; else in rounds, on a grid."""

    def layer_s(self, family: str, spins: int) -> float:
        if self.serial:  # one gate for a coupling
            couplings = spins * (spins - 1) // 2 if family == "sk" else 3 * spins // 2
            return couplings * self.pair_s + self.single_s
        if family == "sk":  # a network of swaps: n rounds, a coupling and its swap are three gates
            return spins * 3 * self.pair_s + 2 * self.single_s
        return 4 * 2 * self.pair_s + 2 * self.single_s  # four colours of edges, two gates each


SUPERCONDUCTING = Device("superconducting", 50e-9, 25e-9, 1e-6, serial=False)
IONS = Device("trapped ions", 100e-6, 10e-6, 500e-6, serial=True)


def curve(runs: Iterable[Runs], costs: Callable[[Runs], Sequence[float]]) -> Curve:
    """costs: of one instance, by setting; none where it was not run. Instances in the order of their seeds."""
    by_size: dict[int, list[Sequence[float]]] = {}
    for one in runs:
        if found := costs(one):
            by_size.setdefault(one.spins, []).append(found)
    return {n: np.array(rows, dtype=np.float64).T for n, rows in sorted(by_size.items())}


def _shots(one: Runs) -> list[tuple[int, float]]:
    """(depth, shots to 0.99) of every setting: transferred angles, then those that were searched for."""
    known = [*one.transferred.items(), *one.optimized.items()]
    return [(depth, float(repetitions(np.array(success)))) for depth, success in known]


def layers(one: Runs) -> list[float]:
    return [depth * shots for depth, shots in _shots(one)]


def layers_at(depth: int, *, searched: bool) -> Callable[[Runs], list[float]]:
    def costs(one: Runs) -> list[float]:
        known = one.optimized if searched else one.transferred
        return [depth * float(repetitions(np.array(known[depth])))] if depth in known else []

    return costs


def device_s(device: Device) -> Callable[[Runs], list[float]]:
    def costs(one: Runs) -> list[float]:
        layer_s = device.layer_s(one.family, one.spins)
        return [shots * (depth * layer_s + device.shot_s) for depth, shots in _shots(one)]

    return costs


def amplified_layers(one: Runs) -> list[float]:
    """Amplitude amplification of QAOA's ground state, each step the circuit and its inverse (Brassard, Hoyer, Mosca,
    Tapp 2002); its reflections are free here, and its oracle knows the ground energy."""
    out = []
    for depth, success in [*one.transferred.items(), *one.optimized.items()]:
        angle = math.asin(math.sqrt(min(success, 1.0)))
        steps = math.floor(math.pi / (4.0 * angle))
        reached = math.sin((2 * steps + 1) * angle) ** 2
        plain = depth * float(repetitions(np.array(success)))
        amplified = depth * (2 * steps + 1) * float(repetitions(np.array(reached)))
        out.append(min(plain, amplified))
    return out


def simulation_s(one: Runs) -> list[float]:
    """One state a setting, and shots drawn from it."""
    shots = _shots(one)[: len(one.transferred)]
    return [one.prepare_s[depth] + count * one.shot_s for depth, count in shots]


def spin_updates(one: Runs) -> list[float]:
    runs = repetitions(np.array(list(one.annealed.values())))
    swept = one.spins * (np.array(list(one.annealed)) + DESCENT_SWEEPS)
    return [float(cost) for cost in runs * swept] if one.annealed else []


def sweeps(one: Runs) -> list[float]:
    """What a layer is to QAOA: every spin once."""
    return [updates / one.spins for updates in spin_updates(one)]


def annealing_s(runs: Sequence[Runs]) -> Callable[[Runs], list[float]]:
    """At the rate of long runs: what a call costs beside its sweeps, some microseconds a run, would hide the growth."""
    rates = {n: _update_s([one for one in runs if one.spins == n]) for n in {o.spins for o in runs}}
    return lambda one: [rates[one.spins] * updates for updates in spin_updates(one)]


def _update_s(runs: Sequence[Runs]) -> float:
    """Of one spin update, median over runs of one size."""
    lengths = sorted(runs[0].anneal_s)
    short, long = lengths[len(lengths) // 2], lengths[-1]
    found = [(one.anneal_s[long] - one.anneal_s[short]) / (long - short) for one in runs]
    return float(np.median(found)) / runs[0].spins


def visit_s(runs: Sequence[Runs]) -> float:
    """Of one assignment, median over the runs of the largest size."""
    most = max(one.visits for one in runs)
    return float(np.median([one.exhaustive_s / most for one in runs if one.visits == most]))


def near(runs: Iterable[Runs], family: str) -> list[Runs]:
    return [one for one in runs if one.family == family and one.visits]


def far(runs: Iterable[Runs], family: str) -> list[Runs]:
    return [one for one in runs if one.family == family and one.spins >= FAR]


def success_medians(runs: Sequence[Runs], depth: int, *, searched: bool) -> dict[int, float]:
    """Of a shot, by n."""
    by_size: dict[int, list[float]] = {}
    for one in runs:
        known = one.optimized if searched else one.transferred
        if depth in known:
            by_size.setdefault(one.spins, []).append(known[depth])
    return {n: float(np.median(found)) for n, found in sorted(by_size.items())}


def settings(runs: Sequence[Runs], spins: int) -> list[tuple[int, bool]]:
    """(depth, whether its angles were searched for) of QAOA at a size, in the order of its curves."""
    one = next(one for one in runs if one.spins == spins)
    return [(depth, False) for depth in one.transferred] + [
        (depth, True) for depth in one.optimized
    ]


def curves(all_runs: Sequence[Runs], family: str) -> dict[str, Curve]:
    """By name, unit last after a comma."""
    runs, beyond = near(all_runs, family), far(all_runs, family)
    depths = sorted({depth for one in runs for depth in one.transferred})
    searched = sorted({depth for one in runs for depth in one.optimized})
    out: dict[str, Curve] = {}
    for depth in depths:
        at = layers_at(depth, searched=False)
        out[f"QAOA p = {depth}, transferred angles, layers x shots"] = curve(runs, at)
    for depth in searched:
        at = layers_at(depth, searched=True)
        out[f"QAOA p = {depth}, angles of each instance, layers x shots"] = curve(runs, at)
    out["QAOA at its best, layers x shots"] = curve(runs, layers)
    out["QAOA amplified, layers"] = curve(runs, amplified_layers)
    for device in (SUPERCONDUCTING, IONS):
        out[f"QAOA at its best, {device.name}, s"] = curve(runs, device_s(device))
    out["QAOA simulated, s"] = curve(runs, simulation_s)
    out["annealing, sweeps x runs"] = curve(runs, sweeps)
    out["annealing, spin updates"] = curve(runs, spin_updates)
    out["annealing, s"] = curve(runs, annealing_s(runs))
    if beyond:
        out["annealing, larger n, sweeps x runs"] = curve(beyond, sweeps)
        out["annealing, larger n, spin updates"] = curve(beyond, spin_updates)
        out["annealing, larger n, s"] = curve(beyond, annealing_s(beyond))
    out["every assignment, visits"] = curve(runs, lambda one: [float(one.visits)])
    each_s = visit_s(runs)
    out["every assignment, s"] = curve(runs, lambda one: [one.visits * each_s])
    cut = [one for one in runs if one.iterations]
    out["branch-and-cut, simplex iterations"] = curve(cut, lambda one: [float(one.iterations)])
    out["branch-and-cut, s"] = curve(cut, lambda one: [one.highs_s])
    return out
