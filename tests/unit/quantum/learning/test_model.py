"""Models as bytes, splits, scales and scores."""

import contextlib
import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ketgate_server.errors import FieldError
from ketgate_server.quantum.learning import model as m
from ketgate_server.quantum.learning.preparation import Scaling, split
from ketgate_server.quantum.learning.scoring import area_under_curve, score, wilson


def some() -> m.Model:
    return m.Model(
        "kernel",
        (3, 7),
        {"kind": "zz", "layers": 2, "entanglement": "linear", "scale": 1.0},
        {"mean": np.arange(3.0), "axes": np.empty((0, 3)), "supports": np.ones((2, 3))},
    )


def test_a_model_comes_back_as_it_was() -> None:
    content = m.to_bytes(some())
    back = m.from_bytes(content, "model.content")
    assert (back.kind, back.labels, dict(back.feature_map)) == (
        "kernel",
        (3, 7),
        dict(some().feature_map),
    )
    for name, array in some().arrays.items():
        np.testing.assert_array_equal(back.arrays[name], array)
    assert m.to_bytes(back) == content
    assert len(m.digest(content)) == 64


@given(st.binary(max_size=200))
def test_hostile_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(FieldError, match=r"model\.content"):
        m.from_bytes(content, "model.content")


@given(at=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_damaged_models_are_refused_or_read(at: int, flip: int) -> None:
    content = bytearray(m.to_bytes(some()))
    content[at % len(content)] ^= flip
    with contextlib.suppress(FieldError):  # anything else fails the test
        m.from_bytes(bytes(content), "x")


@pytest.mark.parametrize(
    "change",
    [
        {"arrays": [["mean", [1 << 60]]]},
        {"arrays": [["mean", [-1]]]},
        {"arrays": [["mean", [1, 1, 1, 1]]]},
        {"labels": [1, 1]},
        {"kind": "other"},
        {"arrays": "mean"},
        {"arrays": []},
    ],
)
def test_headers_that_lie_are_refused(change: dict) -> None:
    content = m.to_bytes(some())
    (length,) = struct.unpack("<I", content[4:8])
    header = json.loads(content[8 : 8 + length]) | change
    text = json.dumps(header).encode()
    with pytest.raises(FieldError, match="expected a whole model"):
        m.from_bytes(content[:4] + struct.pack("<I", len(text)) + text + content[8 + length :], "x")


def test_the_split_keeps_the_classes_in_proportion() -> None:
    labels = np.array([0.0] * 70 + [1.0] * 30)
    train, test = split(labels, 0.3, seed=1)
    assert sorted([*train, *test]) == list(range(100))
    assert (labels[test] == 1).sum() == 9
    assert (labels[test] == 0).sum() == 21
    np.testing.assert_array_equal(split(labels, 0.3, seed=1)[1], test)
    assert not np.array_equal(split(labels, 0.3, seed=2)[1], test)


def test_each_part_has_something_of_each_class() -> None:
    train, test = split(np.array([0.0, 0.0, 1.0, 1.0]), 0.01, seed=0)
    assert len(train) == len(test) == 2


def test_scaling_is_learnt_from_what_it_is_given() -> None:
    rng = np.random.default_rng(0)
    samples = rng.normal(size=(50, 4)) * [1, 10, 100, 0] + [0, 1, 2, 3]
    scaling = Scaling.of(samples, components=2)
    angles = scaling.angles(samples)
    assert angles.shape == (50, 2)
    assert angles.min() == 0.0
    assert angles.max() == pytest.approx(np.pi)
    assert scaling.angles(samples * 100).max() <= np.pi
    plain = Scaling.of(samples, components=0)
    assert plain.features(samples).std(axis=0)[:3] == pytest.approx(1.0)


def test_scores() -> None:
    labels = np.array([0.0, 0.0, 1.0, 1.0])
    found = score("x", np.array([-1.0, 1, 1, 1]), labels, np.array([-1.0, -2, 3, -0.5]), labels)
    assert (found.train_accuracy, found.test_accuracy, found.test_auc) == (0.75, 0.75, 1.0)
    assert area_under_curve(np.zeros(4), labels) == 0.5
    assert wilson(0.5, 100) == pytest.approx(0.0961, abs=1e-3)
