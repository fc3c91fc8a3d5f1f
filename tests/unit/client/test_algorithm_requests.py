"""Algorithms, as a caller may ask for them."""

from hashlib import sha256
from pathlib import Path
from typing import Any

import ketgate
import numpy as np
import pytest
from ketgate import _algorithm_requests as requests
from ketgate import _learning_requests as learning
from ketgate._learning_result import read_model
from ketgate._tensor import from_tensor, to_tensor
from ketgate._variational_requests import vqe
from ketgate.quantum.v1 import learning_service_pb2 as pb


@pytest.mark.parametrize(
    ("marked", "states", "num_bits"),
    [("0110", [6], 4), (["011", "100"], [3, 4], 3), ([5, 2], [5, 2], 3)],
)
def test_marked_strings_are_numbers_of_as_many_bits(
    marked: Any, states: list[int], num_bits: int
) -> None:
    """One text was read as a list of texts of one bit each, and short texts grew zeros in front."""
    spec = requests.grover(marked).spec
    assert list(spec.marked.states) == states
    assert spec.marked.num_bits == num_bits


@pytest.mark.parametrize(("marked", "num_bits"), [(["10", "101"], 0), (["101"], 5)])
def test_marked_strings_of_other_lengths_are_refused(marked: list[str], num_bits: int) -> None:
    with pytest.raises(ketgate.InvalidArgument, match=r"expected texts of . bits, given '101'"):
        requests.grover(marked, num_bits=num_bits)


CIRCUIT = 'OPENQASM 3.0; include "stdgates.inc"; qubit q; ry(0.3) q;'


@pytest.mark.parametrize(
    "given", [{"epsilon": 0}, {"epsilon": 0.0}, {"epsilon": 0.6}, {"alpha": 0}, {"alpha": 1.0}]
)
def test_an_explicit_zero_is_no_default(given: dict[str, Any]) -> None:
    """The contract reads a 0 as nothing given: epsilon=0 was 0.01."""
    (name,) = given
    with pytest.raises(ValueError, match=rf"^{name}: expected a number .*, given"):
        requests.amplitude_estimation(CIRCUIT, **given)
    assert requests.amplitude_estimation(CIRCUIT, epsilon=1e-3, alpha=0.1).spec.epsilon == 1e-3


def test_an_ansatz_that_there_is_not() -> None:
    with pytest.raises(ketgate.InvalidArgument, match=r"'hardware-efficient', 'ucc' or .*'foo'"):
        vqe({"Z0": 1.0}, ansatz="foo")


def test_targets_may_be_texts() -> None:
    x = np.zeros((4, 2))
    spec = learning.train(x, ["spam", "ham", "ham", "spam"]).spec
    assert from_tensor(spec.labels).tolist() == [1, 0, 0, 1]
    assert list(spec.class_names) == ["ham", "spam"]
    whole = learning.train(x, [3, 5, 5, 3]).spec
    assert from_tensor(whole.labels).tolist() == [3, 5, 5, 3]
    assert not whole.class_names
    for given in (["a", "b", "c", "a"], ["a", 1, "a", 1], [0.5, 1.5, 0.5, 1.5]):
        with pytest.raises(ketgate.InvalidArgument, match=r"^targets: expected"):
            learning.train(x, given)


def test_labels_come_back_as_they_were_given(tmp_path: Path) -> None:
    told = pb.ClassifierModel(version=1, content=b"c", digest=sha256(b"c").hexdigest())
    answer = pb.ClassifyResponse(
        labels=to_tensor(np.array([1, 0, 1])), scores=to_tensor(np.array([0.5, -0.2, 0.1]))
    )
    plain = learning.classify(read_model(told), np.zeros((3, 2)))
    assert learning.classification(plain, answer).labels.tolist() == [1, 0, 1]
    told.class_names.extend(["ham", "spam"])
    model = ketgate.ClassifierModel.load(read_model(told).save(tmp_path / "model"))
    request = learning.classify(model, np.zeros((3, 2)))
    assert learning.classification(request, answer).labels.tolist() == ["spam", "ham", "spam"]
