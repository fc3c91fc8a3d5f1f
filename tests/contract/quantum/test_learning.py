"""LearningService: kernels, classifiers on a real medical data set, and their models."""

import grpc
import numpy as np
import pytest
from ketgate.quantum.v1 import learning_service_pb2 as pb
from ketgate.quantum.v1 import learning_service_pb2_grpc as services
from ketgate.type.v1 import tensor_pb2
from ketgate_server.quantum.algorithms.matrices import apply
from ketgate_server.quantum.learning.encoding import FeatureMap, encode

from .conftest import refused

pytest.importorskip(
    "sklearn", reason="scikit-learn is not installed: pip install 'ketgate-server[learning]'"
)

TIMEOUT_S = 200.0


def tensor(array: np.ndarray) -> tensor_pb2.Tensor:
    number = {"float64": 1, "int64": 3}[array.dtype.name]
    return tensor_pb2.Tensor(dtype=number, shape=array.shape, data=array.tobytes())


def array(message: tensor_pb2.Tensor) -> np.ndarray:
    dtype = {1: "<f8", 3: "<i8"}[message.dtype]
    return np.frombuffer(message.data, dtype).reshape(tuple(message.shape))


@pytest.fixture
def learning(channel: grpc.Channel) -> services.LearningServiceStub:
    return services.LearningServiceStub(channel)


@pytest.fixture(scope="module")
def cancer() -> tuple[np.ndarray, np.ndarray]:
    """Breast cancer Wisconsin (diagnostic), which ships with scikit-learn: 150 of its samples."""
    from sklearn.datasets import load_breast_cancer

    samples, labels = load_breast_cancer(return_X_y=True)
    chosen = np.random.default_rng(0).permutation(len(samples))[:150]
    return samples[chosen], labels[chosen].astype(np.int64)


@pytest.mark.parametrize("shots", [0, 4000])
def test_a_kernel_is_the_overlap_of_states(learning, metadata, shots: int) -> None:
    samples = np.random.default_rng(1).uniform(0, 1, (4, 3))
    spec = pb.KernelSpec(samples=tensor(samples), execution={"seed": 3, "shots": shots})
    request = pb.ComputeKernelRequest(spec=spec)
    result = learning.ComputeKernel(request, metadata=metadata, timeout=TIMEOUT_S).result
    start = np.zeros(8, dtype=complex)
    start[0] = 1.0
    states = np.stack([apply(encode(FeatureMap(), x), start) for x in samples])
    wanted = np.abs(states.conj() @ states.T) ** 2
    tolerance = 5 * 0.5 / np.sqrt(shots) if shots else 1e-12
    np.testing.assert_allclose(array(result.gram), wanted, atol=tolerance)
    assert result.states == (0 if shots else 4)
    assert result.evidence.backend == "native"


@pytest.mark.parametrize("kind", ["variational", "kernel"])
def test_tumours_are_classified_beside_classical_models(learning, metadata, cancer, kind) -> None:
    samples, labels = cancer
    spec = pb.ClassifierSpec(
        samples=tensor(samples),
        labels=tensor(labels),
        components=4,
        class_names=["malignant", "benign"],
        execution={"seed": 2, "time_limit": {"seconds": 60}},
    )
    if kind == "variational":
        spec.variational.CopyFrom(pb.VariationalModel(layers=2, epochs=30))
        spec.feature_map.kind = pb.FEATURE_MAP_KIND_DATA_REUPLOADING
    else:
        spec.kernel.CopyFrom(pb.KernelModel(penalty=10.0))
    spec.feature_map.layers = 1
    request = pb.TrainClassifierRequest(spec=spec)
    result = learning.TrainClassifier(request, metadata=metadata, timeout=TIMEOUT_S).result
    assert list(result.model.class_names) == ["malignant", "benign"]
    assert result.score.test_accuracy > 0.7
    assert 0.5 < result.score.test_auc <= 1.0
    assert 0.0 < result.score.test_accuracy_error < 0.2
    assert len(result.baselines) == 3
    assert result.baselines[0].test_accuracy >= result.baselines[-1].test_accuracy
    assert result.baselines[0].test_accuracy > 0.85
    classify = pb.ClassifyRequest(model=result.model, samples=tensor(samples))
    found = learning.Classify(classify, metadata=metadata, timeout=TIMEOUT_S)
    right = float((array(found.labels) == labels).mean())
    share = 0.7 * result.score.train_accuracy + 0.3 * result.score.test_accuracy
    assert right == pytest.approx(share, abs=0.02)
    np.testing.assert_array_equal(array(found.labels) == 1, array(found.scores) > 0)


BAD = [
    ({}, "spec.samples"),
    ({"samples": np.zeros((4, 2))}, "spec.labels"),
    ({"samples": np.zeros((4, 2)), "labels": np.array([0, 1, 2, 0])}, "spec.labels"),
    ({"samples": np.zeros((4, 2)), "labels": np.array([0, 1, 1, 1])}, "spec.labels"),
    ({"samples": np.zeros((4, 2)), "labels": np.array([0, 1, 1])}, "spec.labels"),
    ({"samples": np.zeros((4, 2)), "labels": np.array([0, 1, 1, 0])}, "spec.model"),
    ({"samples": np.zeros((4, 2)), "labels": np.array([0, 1, 1, 0]), "components": 3}, "spec.components"),
    ({"samples": np.zeros((4, 2)), "labels": np.array([0, 1, 1, 0]), "test_share": 1.5}, "spec.test_share"),
    ({"samples": np.full((4, 2), np.nan)}, "spec.samples"),
    (
        {"samples": np.zeros((4, 2)), "labels": np.array([0, 1, 1, 0]), "class_names": ["a", "a"]},
        "spec.class_names",
    ),
    (
        {"samples": np.zeros((4, 2)), "labels": np.array([0, 1, 1, 0]), "class_names": ["a", "b" * 129]},
        "spec.class_names",
    ),
    (
        {"samples": np.zeros((4, 2)), "labels": np.array([0, 1, 1, 0]), "variational": {}, "execution": {"shots": 5}},
        "spec.execution",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "path"), BAD)
def test_bad_specs_are_refused_by_path(learning, metadata, spec, path: str) -> None:
    given = {k: tensor(v) if isinstance(v, np.ndarray) else v for k, v in spec.items()}
    request = pb.TrainClassifierRequest(spec=given)
    found = refused(learning.TrainClassifier, request, metadata=metadata, timeout=200)
    assert found.code is grpc.StatusCode.INVALID_ARGUMENT
    assert found.fields == [path]


@pytest.mark.parametrize(
    "content", [b"", b"KGC1", b"\x80\x04cos\nsystem\n", b"KGC1\xff\xff\xff\xff"]
)
def test_hostile_models_are_refused(learning, metadata, content: bytes) -> None:
    request = pb.ClassifyRequest(
        model=pb.ClassifierModel(version=1, content=content), samples=tensor(np.zeros((1, 2)))
    )
    found = refused(learning.Classify, request, metadata=metadata, timeout=200)
    assert found.code is grpc.StatusCode.INVALID_ARGUMENT
    assert found.fields == ["model.content"]


def test_a_model_with_another_digest_is_refused(learning, metadata) -> None:
    model = pb.ClassifierModel(version=1, content=b"KGC1", digest="0" * 64)
    request = pb.ClassifyRequest(model=model, samples=tensor(np.zeros((1, 2))))
    found = refused(learning.Classify, request, metadata=metadata, timeout=200)
    assert found.fields == ["model.digest"]
