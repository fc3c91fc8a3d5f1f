"""Public annealers beside ours: dwave-samplers and openjij, where they are installed."""

import importlib.util
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from ising_instances import Instance
from numpy.typing import NDArray

Spins = NDArray[np.int8]
Anneal = Callable[[Instance, int, int], Spins]
SHARE = 0.08  # a calibration run takes at least this share of the time it is for


def installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _model(instance: Instance) -> Any:
    import dimod

    model = dimod.BinaryQuadraticModel(instance.spins, "SPIN")
    model.add_linear_from_array(instance.linear)
    terms = zip(instance.row.tolist(), instance.col.tolist(), instance.weight.tolist(), strict=True)
    model.add_quadratic_from(terms)
    return model


_MODELS: dict[str, Any] = {}


def _model_of(instance: Instance) -> Any:
    """Built once: only sampling is measured."""
    if instance.name not in _MODELS:
        _MODELS[instance.name] = _model(instance)
    return _MODELS[instance.name]


def _spins(instance: Instance, result: Any) -> Spins:
    spins = np.zeros(instance.spins, dtype=np.int8)
    spins[list(result.variables)] = result.record.sample[0]
    return spins


def dwave_anneal(instance: Instance, sweeps: int, seed: int) -> Spins:
    from dwave.samplers import SimulatedAnnealingSampler

    sampler = SimulatedAnnealingSampler()
    result = sampler.sample(_model_of(instance), num_reads=1, num_sweeps=sweeps, seed=seed + 1)
    return _spins(instance, result)


def openjij_anneal(instance: Instance, sweeps: int, seed: int) -> Spins:
    import openjij

    fields = dict(enumerate(instance.linear.tolist()))
    pairs = zip(instance.row.tolist(), instance.col.tolist(), strict=True)
    couplings = dict(zip(pairs, instance.weight.tolist(), strict=True))
    result = openjij.SASampler().sample_ising(
        fields, couplings, num_reads=1, num_sweeps=sweeps, seed=seed + 1
    )
    return _spins(instance, result)


def dwave_tabu_to(instance: Instance, value: float, limit_s: float, seed: int) -> float:
    """Seconds until the tabu sampler reaches `value`, infinity beyond the limit. It tells only its final
    state, so its time-out is doubled until that is good enough, and only the last call counts."""
    from dwave.samplers import TabuSampler

    timeout_ms = 10
    while timeout_ms <= 1000 * limit_s:
        started = time.perf_counter()
        result = TabuSampler().sample(
            _model_of(instance), num_reads=1, timeout=timeout_ms, seed=seed
        )
        elapsed = time.perf_counter() - started
        if instance.value(_spins(instance, result)) >= value:
            return elapsed
        timeout_ms *= 2
    return float("inf")


@dataclass(frozen=True)
class Peer:
    name: str
    module: str
    anneal: Anneal


PEERS = [
    Peer("dwave-samplers", "dwave.samplers", dwave_anneal),
    Peer("openjij", "openjij", openjij_anneal),
]


def seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def rate(peer: Peer, instance: Instance, sweeps: int, runs: int) -> float:
    """Spin updates per second, without what a call costs beside its sweeps; the median of runs."""
    fixed = min(seconds(lambda: peer.anneal(instance, 1, 0)) for _ in range(2))
    taken = [seconds(partial(peer.anneal, instance, sweeps, k)) for k in range(runs)]
    return instance.spins * (sweeps - 1) / max(float(np.median(taken)) - fixed, 1e-9)


def within(peer: Peer, instance: Instance, limit_s: float, seed: int) -> tuple[float, float]:
    """Value and seconds of two anneals that together take about limit_s, the better one counted."""
    fixed = seconds(lambda: peer.anneal(instance, 1, seed))
    sweeps, taken = 16, 0.0
    while taken < SHARE * limit_s:
        sweeps *= 4
        taken = seconds(partial(peer.anneal, instance, sweeps, seed)) - fixed
    sweeps = max(int(sweeps * (limit_s / 2 - min(fixed, 0.2 * limit_s)) / taken), 2)
    started = time.perf_counter()
    values = [instance.value(peer.anneal(instance, sweeps, seed + k)) for k in range(2)]
    return max(values), time.perf_counter() - started
