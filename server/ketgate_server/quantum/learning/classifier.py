"""Training of a classifier, and its use: split, scale, encode, learn, compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ketgate_server.errors import FieldError
from ketgate_server.quantum.algorithms.answer import Convergence
from ketgate_server.quantum.algorithms.builder import Builder
from ketgate_server.quantum.algorithms.runner import Runner
from ketgate_server.quantum.learning import classical, variational
from ketgate_server.quantum.learning.encoding import FeatureMap, FeatureMapKind, encode
from ketgate_server.quantum.learning.gram import gram_matrix, states_of
from ketgate_server.quantum.learning.kernel import kernel
from ketgate_server.quantum.learning.model import Model
from ketgate_server.quantum.learning.preparation import Samples, Scaling, split
from ketgate_server.quantum.learning.scoring import Score, score

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Variational:
    layers: int = 2
    epochs: int = 50
    learning_rate: float = 0.05
    batch_size: int = 32


@dataclass(frozen=True)
class KernelMachine:
    penalty: float = 1.0


@dataclass(frozen=True)
class Task:
    """What is to be learnt."""

    samples: Samples
    labels: NDArray[np.int64]
    test_share: float
    feature_map: FeatureMap
    components: int
    model: Variational | KernelMachine


@dataclass
class Trained:
    model: Model
    score: Score
    baselines: Sequence[Score]
    convergence: Convergence = field(default_factory=Convergence)


def train(task: Task, runner: Runner) -> Trained:
    """Classical models are trained first: they are quick, and the answer needs them."""
    classes = np.unique(task.labels)
    ones = (task.labels == classes[1]).astype(np.float64)
    seed = runner.options.seed
    at, held = split(ones, task.test_share, seed)
    scaling = Scaling.of(task.samples[at], task.components)
    rows, tests = scaling.features(task.samples[at]), scaling.features(task.samples[held])
    baselines = classical.baselines(rows, ones[at], tests, ones[held], seed)
    angles, test_angles = scaling.angles(task.samples[at]), scaling.angles(task.samples[held])
    arrays = {
        "mean": scaling.mean,
        "deviation": scaling.deviation,
        "axes": scaling.axes,
        "low": scaling.low,
        "high": scaling.high,
    }
    convergence = Convergence()
    if isinstance(task.model, Variational):
        kind = "variational"
        arrays |= _variational(task.model, task.feature_map, angles, ones[at], runner, convergence)
    else:
        kind = "kernel"
        arrays |= _kernel(task.model, task.feature_map, angles, ones[at], runner)
    labels = (int(classes[0]), int(classes[1]))
    model = Model(kind, labels, describe(task.feature_map), arrays)
    measured = score(
        _name(task),
        decide(model, angles, runner.options.threads),
        ones[at],
        decide(model, test_angles, runner.options.threads),
        ones[held],
    )
    return Trained(model, measured, baselines, convergence)


def _variational(
    wanted: Variational,
    feature_map: FeatureMap,
    angles: Samples,
    ones: Floats,
    runner: Runner,
    convergence: Convergence,
) -> dict[str, Floats]:
    states = states_of(angles, feature_map, threads=max(1, runner.options.threads))
    n = angles.shape[1]
    steps = wanted.epochs * len(states) * 4
    found = variational.train(
        states,
        ones,
        layers=wanted.layers,
        epochs=wanted.epochs,
        learning_rate=wanted.learning_rate,
        batch_size=wanted.batch_size,
        seed=runner.options.seed,
        stopped=lambda: runner.stopped,
        on_epoch=lambda epoch, loss: convergence.note(steps * epoch // wanted.epochs, loss),
    )
    layers = variational.operations(found.weights.angles)
    whole = Builder(n, 1).add(encode(feature_map, angles[0])).add(layers).measure([0])
    runner.count(whole.circuit("classifier"), 0, found.evaluations)
    readout = np.array([found.weights.scale, found.weights.bias])
    return {"angles": found.weights.angles, "readout": readout}


def _kernel(
    wanted: KernelMachine, feature_map: FeatureMap, angles: Samples, ones: Floats, runner: Runner
) -> dict[str, Floats]:
    gram = kernel(angles, None, feature_map, runner).gram
    vectors, weights, bias, _ = classical.support_vectors(gram, ones, wanted.penalty)
    return {"supports": angles[vectors], "weights": weights, "bias": np.array([bias])}


def decide(model: Model, angles: Samples, threads: int = 1) -> Floats:
    """Scores of encoded samples; above 0 is the greater label. On exact states."""
    feature_map = restore(model.feature_map)
    arrays = model.arrays
    if model.kind == "variational":
        scale, bias = arrays["readout"].tolist()
        states = states_of(angles, feature_map, threads=max(1, threads))
        return variational.scores(states, variational.Weights(arrays["angles"], scale, bias))
    gram = gram_matrix(angles, arrays["supports"], feature_map, threads=max(1, threads))
    return np.asarray(gram @ arrays["weights"] + arrays["bias"][0])


def classify(model: Model, samples: Samples) -> tuple[NDArray[np.int64], Floats]:
    """(labels, scores)."""
    arrays = model.arrays
    scaling = Scaling(*(arrays[name] for name in ("mean", "deviation", "axes", "low", "high")))
    scores = decide(model, scaling.angles(samples))
    low, high = model.labels
    return np.where(scores > 0.0, high, low).astype(np.int64), scores


def check_model(model: Model, path: str) -> None:
    """Whether the arrays fit each other: a model that was made elsewhere must not fail later."""
    arrays = model.arrays
    try:
        restore(model.feature_map)
        d = len(arrays["mean"])
        n = len(arrays["low"])
        fits = (
            arrays["mean"].shape == arrays["deviation"].shape == (d,)
            and arrays["low"].shape == arrays["high"].shape == (n,)
            and arrays["axes"].shape in {(n, d), (0, d)}
            and (len(arrays["axes"]) > 0 or n == d)
            and bool((arrays["deviation"] > 0.0).all())
            and 1 <= n <= QUBITS_MAX
        )
        if model.kind == "variational":
            shape = arrays["angles"].shape
            fits = fits and len(shape) == 3 and shape[1:] == (2, n)
            fits = fits and arrays["readout"].shape == (2,)
        else:
            count = len(arrays["weights"])
            fits = fits and arrays["supports"].shape == (count, n) and arrays["bias"].shape == (1,)
    except (KeyError, ValueError, TypeError, IndexError):
        fits = False
    if not fits:
        raise FieldError(path, expected="a whole model", given="one whose arrays do not fit")


QUBITS_MAX = 20


def describe(feature_map: FeatureMap) -> dict[str, object]:
    return {
        "kind": feature_map.kind.value,
        "layers": feature_map.layers,
        "entanglement": feature_map.entanglement,
        "scale": feature_map.scale,
    }


def restore(described: object) -> FeatureMap:
    """ValueError, KeyError, TypeError for what describe() did not make."""
    assert isinstance(described, dict)
    layers, scale = int(described["layers"]), float(described["scale"])
    entanglement = str(described["entanglement"])
    if not 1 <= layers <= 1000 or entanglement not in ("linear", "ring", "complete"):
        raise ValueError("a feature map")
    if not np.isfinite(scale):
        raise ValueError("a scale")
    return FeatureMap(FeatureMapKind(described["kind"]), layers, entanglement, scale)


def _name(task: Task) -> str:
    what = task.feature_map.kind.value
    if isinstance(task.model, Variational):
        return f"variational quantum circuit ({what}, {task.model.layers} layers)"
    return f"support vector machine, quantum kernel ({what})"
