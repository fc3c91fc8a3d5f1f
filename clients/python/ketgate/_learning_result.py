"""What came of quantum machine learning, always beside classical models on the same split."""

import hashlib
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ketgate._algorithm_result import AlgorithmResult
from ketgate._errors import DataLoss, InvalidArgument
from ketgate._tensor import from_tensor
from ketgate.quantum.v1 import learning_service_pb2 as pb


class KernelResult(AlgorithmResult):
    """What came of a kernel."""

    def __init__(self, message: Any, spec: Any) -> None:
        super().__init__(message, spec)
        self.gram: NDArray[np.float64] = from_tensor(message.gram)
        """|<phi(x)|phi(y)>|^2, shape (m, k)."""
        self.states: int = message.states
        """States that were prepared."""

    def _figures(self) -> dict[str, Any]:
        return {"shape": list(self.gram.shape), "states": self.states}


@dataclass(frozen=True)
class Score:
    """How well a model does."""

    model: str
    train_accuracy: float
    test_accuracy: float
    test_auc: float
    """Area under the receiver operating characteristic on the test part."""
    test_accuracy_error: float
    """Half width of the 95 % interval of test_accuracy."""

    def __str__(self) -> str:
        return (
            f"{self.model}: {self.test_accuracy:.1%} +- {self.test_accuracy_error:.1%} right on the test "
            f"part, AUC {self.test_auc:.3f}"
        )


@dataclass(frozen=True)
class ClassifierModel:
    """A trained classifier: everything that client.learning.classify needs."""

    version: int
    content: bytes
    digest: str
    """SHA-256 of content, hexadecimal."""
    class_names: tuple[str, ...] = ()
    """Of the lesser label and of the greater, where it was trained with texts."""

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it to a file. Returns its path."""
        target = Path(path)
        target.write_bytes(self.message().SerializeToString())
        return target

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "ClassifierModel":
        """What save wrote. Raises InvalidArgument, and DataLoss where it came to harm."""
        from google.protobuf.message import DecodeError

        try:
            model = read_model(pb.ClassifierModel.FromString(Path(path).read_bytes()))
        except (OSError, DecodeError) as error:
            raise InvalidArgument(f"model: {path} holds no model: {error}", field="model") from None
        if hashlib.sha256(model.content).hexdigest() != model.digest:
            raise DataLoss(f"{path}: the model has another SHA-256 than it was trained with")
        return model

    def message(self) -> pb.ClassifierModel:
        return pb.ClassifierModel(
            version=self.version,
            content=self.content,
            digest=self.digest,
            class_names=self.class_names,
        )

    def __repr__(self) -> str:
        return f"ClassifierModel({len(self.content)} bytes, {self.digest[:12]}…)"


class ClassifierResult(AlgorithmResult):
    """What came of a training."""

    quantity = "loss"

    def __init__(self, message: Any, spec: Any) -> None:
        super().__init__(message, spec)
        self.model = read_model(message.model)
        self.score = _score(message.score)
        self.baselines = [_score(told) for told in message.baselines]
        """Classical models on the same split, the best first."""

    def to_pandas(self) -> Any:
        """A DataFrame of the scores: the quantum model's first, then the classical ones'."""
        import pandas

        return pandas.DataFrame([asdict(s) for s in (self.score, *self.baselines)]).set_index(
            "model"
        )

    def _figures(self) -> dict[str, Any]:
        return {
            "score": asdict(self.score),
            "baselines": [asdict(score) for score in self.baselines],
            "model": self.model.digest,
        }

    def _headline(self) -> str:
        return "\n  classical: ".join(map(str, (self.score, *self.baselines)))


@dataclass(frozen=True)
class Classification:
    """What a model says of samples."""

    labels: NDArray[Any]
    """Shape (m,); whole numbers, or texts where the model was trained with those."""
    scores: NDArray[np.float64]
    """Of the greater label, shape (m,): above 0 it is the answer."""


def read_model(told: pb.ClassifierModel) -> ClassifierModel:
    return ClassifierModel(told.version, told.content, told.digest, tuple(told.class_names))


def _score(told: pb.ClassifierScore) -> Score:
    return Score(
        told.model,
        told.train_accuracy,
        told.test_accuracy,
        told.test_auc,
        told.test_accuracy_error,
    )
