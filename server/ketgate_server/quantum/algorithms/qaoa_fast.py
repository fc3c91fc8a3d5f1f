"""The fastest evaluator for an instance: kernels of the native simulator stand in for circuits where
they can."""

from __future__ import annotations

import numpy as np

from ketgate_server.quantum.algorithms.optimizer import Angles
from ketgate_server.quantum.algorithms.qaoa import CircuitEvaluator, Evaluator, Instance
from ketgate_server.quantum.algorithms.qaoa_circuit import spin_terms, standard_angles
from ketgate_server.quantum.algorithms.runner import Runner


def evaluator_of(instance: Instance, runner: Runner) -> Evaluator:
    return CircuitEvaluator(instance, runner)


def first_angles(instance: Instance) -> Angles:
    """(2p,): a ramp, scaled to the instance."""
    _, fields, couplings = spin_terms(instance.function)
    values = np.array([*fields[fields != 0.0].tolist(), *couplings.values()])
    scale = float(np.sqrt(np.mean(values**2))) if len(values) else 1.0
    return standard_angles(instance.layers, scale).reshape(-1)
