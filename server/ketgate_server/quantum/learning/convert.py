"""KernelSpec and ClassifierSpec to plans, and their answers to messages."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeVar

import numpy as np
from ketgate.quantum.v1 import learning_service_pb2 as pb
from numpy.typing import NDArray

from ketgate_server.errors import FieldError, LimitError
from ketgate_server.limits import Limit
from ketgate_server.parts import require_part
from ketgate_server.quantum.algorithms.ansatz import ENTANGLEMENTS
from ketgate_server.quantum.algorithms.convert_answer import write_convergence, write_resources
from ketgate_server.quantum.algorithms.convert_execution import (
    check_operations,
    read_execution,
    read_layers,
)
from ketgate_server.quantum.algorithms.plan import Plan
from ketgate_server.quantum.algorithms.runner import Runner
from ketgate_server.quantum.learning import classifier, model, training
from ketgate_server.quantum.learning.classifier import KernelMachine, Task, Trained, Variational
from ketgate_server.quantum.learning.encoding import FeatureMap, FeatureMapKind, overlap
from ketgate_server.quantum.learning.kernel import Kernel, kernel
from ketgate_server.quantum.learning.scoring import Score
from ketgate_server.type.tensors import (
    INT8,
    INT32,
    INT64,
    UINT8,
    read_float64,
    read_tensor,
    write_tensor,
)

SAMPLES_MAX = 100_000
ANGLE_MAX = 1e6
TEST_SHARE_DEFAULT = 0.3
LAYERS_DEFAULT = 2
PER_CLASS_MIN = 2
CLASS_NAME_CHARACTERS_MAX = 128
KINDS = {
    pb.FEATURE_MAP_KIND_UNSPECIFIED: FeatureMapKind.ZZ,
    pb.FEATURE_MAP_KIND_ZZ: FeatureMapKind.ZZ,
    pb.FEATURE_MAP_KIND_IQP: FeatureMapKind.IQP,
    pb.FEATURE_MAP_KIND_DATA_REUPLOADING: FeatureMapKind.DATA_REUPLOADING,
}

Limits = Mapping[str, Limit]
N = TypeVar("N", int, float)


def read_kernel(spec: pb.KernelSpec, limits: Limits, threads_max: int) -> Plan:
    execution = read_execution(spec.execution, limits, threads_max, "spec.execution")
    samples = _read_samples(spec, "samples", None)
    others = _read_samples(spec, "others", samples.shape[1]) if spec.HasField("others") else None
    feature_map = _read_feature_map(spec.feature_map, samples.shape[1], limits)
    _check_memory(samples, others, limits)
    circuit = overlap(feature_map, samples[0], samples[0])
    pairs = len(samples) * (len(samples) - 1) // 2 if others is None else samples.size * len(others)

    def perform(runner: Runner) -> Kernel:
        return kernel(samples, others, feature_map, runner)

    def write(found: Kernel, runner: Runner) -> pb.KernelResult:
        return pb.KernelResult(
            gram=write_tensor(found.gram),
            resources=write_resources(runner, limits),
            states=found.states,
        )

    sampled = bool(execution.options.shots or execution.options.noise)
    return Plan(execution.work(circuit), perform, write, repetitions=pairs if sampled else 1)


def read_classifier(spec: pb.ClassifierSpec, limits: Limits, threads_max: int) -> Plan:
    require_part("learning")
    execution = read_execution(spec.execution, limits, threads_max, "spec.execution")
    samples = _read_samples(spec, "samples", None)
    labels = _read_labels(spec, len(samples))
    class_names = _read_class_names(spec)
    share = spec.test_share if spec.HasField("test_share") else TEST_SHARE_DEFAULT
    if not 0.0 < share < 1.0:
        raise FieldError("spec.test_share", expected="above 0 and below 1", given=share)
    d = samples.shape[1]
    if not 0 <= spec.components <= min(samples.shape):
        raise FieldError(
            "spec.components", expected=f"0 to {min(samples.shape)}", given=spec.components
        )
    n = spec.components or d
    feature_map = _read_feature_map(spec.feature_map, n, limits)
    task = Task(samples, labels, share, feature_map, spec.components, _read_model(spec, n, limits))
    _check_memory(np.empty((len(samples), n)), None, limits)
    if isinstance(task.model, Variational) and (
        execution.options.shots or execution.options.noise or execution.device
    ):
        raise FieldError(
            "spec.execution",
            expected="neither shots nor noise with a variational model",
            given="shots or noise",
            hint="it is trained by adjoint gradients of exact states; a kernel model takes both",
        )
    circuit = overlap(feature_map, np.zeros(n), np.zeros(n))

    def perform(runner: Runner) -> Trained:
        return training.train(task, runner)

    def write(found: Trained, runner: Runner) -> pb.ClassifierResult:
        content = model.to_bytes(found.model)
        if len(content) > model.BYTES_MAX:
            raise FieldError(
                "spec.samples", expected="fewer: the model would be over 16 MiB", given=len(content)
            )
        return pb.ClassifierResult(
            model=pb.ClassifierModel(
                version=model.VERSION,
                content=content,
                digest=model.digest(content),
                class_names=class_names,
            ),
            score=_write_score(found.score),
            baselines=[_write_score(one) for one in found.baselines],
            convergence=write_convergence(found.convergence),
            resources=write_resources(runner, limits),
        )

    return Plan(execution.work(circuit), perform, write)


def classify(request: pb.ClassifyRequest) -> pb.ClassifyResponse:
    content = request.model.content
    if request.model.version not in (0, model.VERSION):
        raise FieldError("model.version", expected=f"{model.VERSION}", given=request.model.version)
    if request.model.digest and request.model.digest != model.digest(content):
        raise FieldError(
            "model.digest", expected="the SHA-256 of content", given=request.model.digest
        )
    read = model.from_bytes(content, "model.content")
    classifier.check_model(read, "model.content")
    d = len(read.arrays["mean"])
    samples = _read_samples(request, "samples", d, path="samples")
    labels, scores = classifier.classify(read, samples)
    return pb.ClassifyResponse(labels=write_tensor(labels), scores=write_tensor(scores))


def _read_samples(
    message: pb.KernelSpec | pb.ClassifierSpec | pb.ClassifyRequest,
    name: str,
    features: int | None,
    path: str = "",
) -> NDArray[np.float64]:
    path = path or f"spec.{name}"
    if not message.HasField(name):
        raise FieldError(path, expected="samples, shape (m, d)", given="nothing")
    found = read_float64(getattr(message, name), path, shape=("m", features or "d"))
    m, d = found.shape
    if not (1 <= m <= SAMPLES_MAX and d >= 1):
        raise FieldError(
            path, expected=f"1 to {SAMPLES_MAX} samples of at least 1 feature", given=f"{m} x {d}"
        )
    return found


def _read_labels(spec: pb.ClassifierSpec, count: int) -> NDArray[np.int64]:
    types = (INT64, INT32, INT8, UINT8)
    if not spec.HasField("labels"):
        raise FieldError("spec.labels", expected="a label for each sample", given="nothing")
    labels = read_tensor(spec.labels, "spec.labels", shape=(count,), dtypes=types).astype(np.int64)
    values, counts = np.unique(labels, return_counts=True)
    if len(values) != 2:
        raise FieldError("spec.labels", expected="two different values", given=len(values))
    if counts.min() < PER_CLASS_MIN:
        raise FieldError(
            "spec.labels",
            expected=f"at least {PER_CLASS_MIN} samples of each class",
            given=int(counts.min()),
        )
    return labels


def _read_class_names(spec: pb.ClassifierSpec) -> list[str]:
    names = list(spec.class_names)
    if names and (len(names) != 2 or names[0] == names[1]):
        raise FieldError("spec.class_names", expected="none, or two that differ", given=names)
    for name in names:
        if len(name) > CLASS_NAME_CHARACTERS_MAX:
            raise FieldError(
                "spec.class_names",
                expected=f"at most {CLASS_NAME_CHARACTERS_MAX} characters each",
                given=len(name),
            )
    return names


def _read_feature_map(given: pb.FeatureMap, n: int, limits: Limits) -> FeatureMap:
    path = "spec.feature_map"
    if given.kind not in KINDS:
        raise FieldError(f"{path}.kind", expected="a kind of the contract", given=given.kind)
    layers = read_layers(given.layers or LAYERS_DEFAULT, limits, f"{path}.layers")
    entanglement = given.entanglement or ENTANGLEMENTS[0]
    if entanglement not in ENTANGLEMENTS:
        raise FieldError(
            f"{path}.entanglement", expected=" or ".join(ENTANGLEMENTS), given=given.entanglement
        )
    scale = given.scale if given.HasField("scale") else 1.0
    if not (math.isfinite(scale) and abs(scale) <= ANGLE_MAX):
        raise FieldError(f"{path}.scale", expected="a finite number", given=scale)
    allowed = limits["quantum.state_qubits_max"].value
    if n > allowed:
        raise LimitError("quantum.state_qubits_max", allowed=allowed, given=n, field="spec.samples")
    found = FeatureMap(KINDS[given.kind], layers, entanglement, scale)
    check_operations(2 * found.operations_count(n), limits, f"{path}.layers")
    return found


def _read_model(spec: pb.ClassifierSpec, n: int, limits: Limits) -> Variational | KernelMachine:
    match spec.WhichOneof("model"):
        case "variational":
            given = spec.variational
            layers = read_layers(given.layers or LAYERS_DEFAULT, limits, "spec.variational.layers")
            check_operations(layers * 3 * n, limits, "spec.variational.layers")
            return Variational(
                layers,
                _ranged(given.epochs or 50, 1, 100_000, "spec.variational.epochs"),
                _ranged(given.learning_rate or 0.05, 1e-6, 10.0, "spec.variational.learning_rate"),
                _ranged(given.batch_size or 32, 1, SAMPLES_MAX, "spec.variational.batch_size"),
            )
        case "kernel":
            return KernelMachine(
                _ranged(spec.kernel.penalty or 1.0, 1e-9, 1e9, "spec.kernel.penalty")
            )
    raise FieldError("spec.model", expected="variational or kernel", given="none of them")


def _ranged(value: N, least: N, most: N, path: str) -> N:
    if not least <= value <= most:
        raise FieldError(path, expected=f"{least:g} to {most:g}", given=value)
    return value


def _check_memory(
    samples: NDArray[np.float64], others: NDArray[np.float64] | None, limits: Limits
) -> None:
    """Of the states and the Gram matrix."""
    m, n = samples.shape
    k = m if others is None else len(others)
    size = 16 * ((m + (0 if others is None else k)) << n) + 16 * m * k
    allowed = limits["quantum.memory_bytes_max"].value
    if size > allowed:
        raise LimitError(
            "quantum.memory_bytes_max", allowed=allowed, given=size, field="spec.samples"
        )


def _write_score(found: Score) -> pb.ClassifierScore:
    return pb.ClassifierScore(
        model=found.model,
        train_accuracy=found.train_accuracy,
        test_accuracy=found.test_accuracy,
        test_auc=found.test_auc,
        test_accuracy_error=found.test_accuracy_error,
    )
