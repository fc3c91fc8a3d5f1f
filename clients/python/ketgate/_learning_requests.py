"""Requests of quantum machine learning, from NumPy and pandas."""

from collections.abc import Iterable
from typing import Any, Literal, Unpack, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ketgate._algorithm_requests import AlgorithmOptions, fill_algorithm
from ketgate._errors import InvalidArgument
from ketgate._learning_result import (
    Classification,
    ClassifierModel,
    ClassifierResult,
    KernelResult,
)
from ketgate._options import number, one_of
from ketgate._tensor import float_array, from_tensor, to_tensor
from ketgate._work import Work, method, work
from ketgate.quantum.v1 import learning_service_pb2 as pb

CLASSIFY = method("Learning", "Classify", work=True)
CLASSIFY_S = 120.0

_KINDS = {
    "zz": pb.FEATURE_MAP_KIND_ZZ,
    "iqp": pb.FEATURE_MAP_KIND_IQP,
    "data-reuploading": pb.FEATURE_MAP_KIND_DATA_REUPLOADING,
}


class FeatureOptions(AlgorithmOptions, total=False):
    """How samples become states; features are angles in radians.

    feature_map: "zz" (default), "iqp" or "data-reuploading".
    layers: repetitions; default 2.
    entanglement: pairs that interact: "linear" (default), "ring" or "complete".
    scale: factor on every feature; default 1.
    """

    feature_map: Literal["zz", "iqp", "data-reuploading"]
    layers: int
    entanglement: Literal["linear", "ring", "complete"]
    scale: float | None


def kernel(
    samples: ArrayLike, others: ArrayLike | None = None, **options: Unpack[FeatureOptions]
) -> Work[KernelResult]:
    """The Gram matrix of a fidelity kernel: samples, shape (m, d), against others, shape (k, d), or
    themselves. One qubit a feature.

    >>> sklearn.svm.SVC(kernel="precomputed").fit(client.learning.kernel(x).gram, y)
    """
    spec = pb.KernelSpec(samples=to_tensor(float_array(samples, "samples", ndim=2)))
    if others is not None:
        spec.others.CopyFrom(to_tensor(float_array(others, "others", ndim=2)))
    _fill_features(spec, options)
    fill_algorithm(spec, options, FeatureOptions)
    return work("kernel", spec)


class TrainingOptions(FeatureOptions, total=False):
    """Of a training.

    test_share: held back for the test; default 0.3.
    components: reduce to so many principal components first; default: as given.
    trainable_layers, epochs, learning_rate, batch_size: of model="variational"; default 2, 50, 0.05
        and 32.
    penalty: C of model="kernel"; default 1.
    """

    test_share: float | None
    components: int
    trainable_layers: int
    epochs: int
    learning_rate: float
    batch_size: int
    penalty: float


_VARIATIONAL: tuple[tuple[str, str, type], ...] = (
    ("trainable_layers", "layers", int),
    ("epochs", "epochs", int),
    ("learning_rate", "learning_rate", float),
    ("batch_size", "batch_size", int),
)


def train(
    samples: ArrayLike,
    targets: ArrayLike,
    model: Literal["variational", "kernel"] = "variational",
    **options: Unpack[TrainingOptions],
) -> Work[ClassifierResult]:
    """Train a classifier of two classes, beside classical models on the same split.

    samples: shape (m, d). targets: m whole numbers or texts of two values; labels come back as they
    were given. model: "variational" (rotations
    and entanglers after the feature map), or "kernel" (a support vector machine on a quantum
    kernel).

    >>> trained = client.learning.train(x, y, epochs=30)
    >>> client.learning.classify(trained.model, new).labels
    """
    labels, class_names = _targets(targets)
    spec = pb.ClassifierSpec(
        samples=to_tensor(float_array(samples, "samples", ndim=2)),
        labels=to_tensor(labels),
        class_names=class_names,
        components=number(options.get("components", 0), "components", int),
    )
    share = options.get("test_share")
    if share is not None:
        spec.test_share = number(share, "test_share", float)
    _fill_features(spec, options)
    chosen = one_of(model, {"variational": "variational", "kernel": "kernel"}, "model")
    getattr(spec, chosen).SetInParent()
    for name, field, kind in _VARIATIONAL if chosen == "variational" else ():
        if name in options:
            setattr(spec.variational, field, number(options[name], name, kind))  # type: ignore[literal-required]
    if chosen == "kernel" and "penalty" in options:
        spec.kernel.penalty = number(options["penalty"], "penalty", float)
    fill_algorithm(spec, options, TrainingOptions)
    return work("classifier", spec)


def classify(model: Any, samples: ArrayLike) -> pb.ClassifyRequest:
    """model: a ClassifierModel, or the result of a training."""
    model = getattr(model, "model", model)
    if not isinstance(model, ClassifierModel):
        raise InvalidArgument(
            f"model: expected a ClassifierModel or a ClassifierResult, given {type(model).__name__}",
            field="model",
        )
    array = float_array(samples, "samples", ndim=2)
    return pb.ClassifyRequest(model=model.message(), samples=to_tensor(array))


def classification(request: pb.ClassifyRequest, answer: pb.ClassifyResponse) -> Classification:
    """With the labels that the model was trained with."""
    labels: NDArray[Any] = from_tensor(answer.labels)
    if request.model.class_names:
        labels = np.array(request.model.class_names, dtype=object)[labels]
    return Classification(labels, from_tensor(answer.scores))


def _fill_features(spec: Any, options: FeatureOptions) -> None:
    feature_map = spec.feature_map
    feature_map.kind = one_of(options.get("feature_map", "zz"), _KINDS, "feature_map")
    feature_map.layers = number(options.get("layers", 0), "layers", int)
    feature_map.entanglement = options.get("entanglement", "")
    scale = options.get("scale")
    if scale is not None:
        feature_map.scale = number(scale, "scale", float)


def _targets(targets: ArrayLike) -> tuple[NDArray[np.int64], list[str]]:
    """Labels, and of texts their names: 0 is the one that sorts first."""
    array = np.asarray(targets)
    given = list(cast(Iterable[Any], targets)) if array.ndim == 1 else []
    texts = bool(given) and all(isinstance(one, str) for one in given)
    if array.ndim != 1 or not (texts or array.dtype.kind in "iub"):
        raise InvalidArgument(
            "targets: expected whole numbers or texts of shape (m,), given "
            f"{array.dtype} of shape {array.shape}",
            field="targets",
        )
    if not texts:
        return array.astype(np.int64), []
    names = sorted(set(map(str, given)))
    if len(names) != 2:
        raise InvalidArgument(
            f"targets: expected two classes, given {len(names)}: {', '.join(names)[:100]}",
            field="targets",
        )
    return np.array([names.index(one) for one in given], dtype=np.int64), names
