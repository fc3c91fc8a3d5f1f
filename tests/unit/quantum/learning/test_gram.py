"""States of feature maps are those of their circuits, and Gram matrices their overlaps."""

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ketgate_native.feature import states
from ketgate_native.monitor import Monitor
from ketgate_native.monitor import Stopped as NativeStopped
from ketgate_server.quantum.base import Stopped
from ketgate_server.quantum.circuit import Circuit
from ketgate_server.quantum.learning.encoding import FeatureMap, FeatureMapKind, encode
from ketgate_server.quantum.learning.gram import gram_matrix, states_of

from ..oracle import state_vector

ISAS = ["base", "avx2", "avx512"]


def random_samples(seed: int, m: int, d: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-4, 4, (m, d))


def of_circuits(samples: np.ndarray, feature_map: FeatureMap) -> np.ndarray:
    return np.array(
        [
            state_vector(Circuit(samples.shape[1], 0, tuple(encode(feature_map, sample))))
            for sample in samples
        ]
    )


@given(
    seed=st.integers(0, 10**6),
    d=st.integers(1, 5),
    kind=st.sampled_from(list(FeatureMapKind)),
    layers=st.integers(1, 3),
    entanglement=st.sampled_from(["linear", "ring", "complete"]),
    scale=st.sampled_from([1.0, 0.3, -2.0]),
)
def test_states_are_those_of_the_circuits(
    seed: int, d: int, kind: FeatureMapKind, layers: int, entanglement: str, scale: float
) -> None:
    feature_map = FeatureMap(kind, layers, entanglement, scale)
    samples = random_samples(seed, 2, d)
    expected = of_circuits(samples, feature_map)
    np.testing.assert_allclose(states_of(samples, feature_map), expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kind", list(FeatureMapKind))
@pytest.mark.parametrize("d", [1, 2, 3, 4, 6])
def test_every_instruction_set(isa: str, kind: FeatureMapKind, d: int) -> None:
    feature_map = FeatureMap(kind, 2, "ring")
    samples = random_samples(d, 3, d)
    try:
        parts = states(samples, feature_map.pairs(d), kind=kind.value, layers=2, isa=isa)
    except ValueError:
        pytest.skip(f"this CPU lacks {isa}")
    np.testing.assert_allclose(
        parts[:, 0] + 1j * parts[:, 1], of_circuits(samples, feature_map), atol=1e-12, rtol=0
    )


def plain_zz(samples: np.ndarray, d: int) -> np.ndarray:
    """Two layers of ZZ along a chain by array operations on the whole batch."""
    signs = 1.0 - 2.0 * ((np.arange(1 << d)[:, None] >> np.arange(d)) & 1)
    angle = samples @ signs.T
    for i in range(d - 1):
        angle += np.outer(samples[:, i] * samples[:, i + 1], signs[:, i] * signs[:, i + 1])
    phase = np.exp(-1j * angle)
    walsh = np.ones((1, 1))
    for _ in range(d):
        walsh = np.kron(walsh, [[1, 1], [1, -1]])
    return np.asarray((2.0 ** (-d / 2) * phase) @ walsh * 2.0 ** (-d / 2) * phase)


@pytest.mark.parametrize("m", [1, 5, 70, 300])
@pytest.mark.parametrize("threads", [1, 2])
def test_gram_matrices(m: int, threads: int) -> None:
    """Within a block and over several, with and without others."""
    samples, others = random_samples(m, m, 7), random_samples(m + 1, 130, 7)
    own, other = plain_zz(samples, 7), plain_zz(others, 7)
    gram = gram_matrix(samples, None, FeatureMap(), threads=threads)
    np.testing.assert_allclose(gram, np.abs(own @ own.conj().T) ** 2, atol=1e-12, rtol=0)
    assert (gram == gram.T).all()
    assert (np.diag(gram) == 1.0).all()
    across = gram_matrix(samples, others, FeatureMap(), threads=threads)
    np.testing.assert_allclose(across, np.abs(own @ other.conj().T) ** 2, atol=1e-12, rtol=0)


def test_many_states_are_made_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = random_samples(1, 21, 4)
    whole = gram_matrix(samples, None, FeatureMap())
    monkeypatch.setattr("ketgate_server.quantum.learning.gram.AMPLITUDES_AT_ONCE", 64)
    np.testing.assert_array_equal(gram_matrix(samples, None, FeatureMap()), whole)


def test_threads_change_no_state() -> None:
    samples = random_samples(2, 50, 6)
    one, three = (
        states(samples, [(0, 1)], kind="data-reuploading", layers=3, threads=t) for t in (1, 3)
    )
    assert one.tobytes() == three.tobytes()


def test_a_stop_is_heard() -> None:
    samples = random_samples(3, 200, 5)
    with pytest.raises(Stopped):
        gram_matrix(samples, None, FeatureMap(), stopped=lambda: True)
    looks = iter([False, True, True, True])
    with pytest.raises(Stopped):
        gram_matrix(samples, None, FeatureMap(), stopped=lambda: next(looks))
    monitor = Monitor(0)
    monitor.cancel()
    with pytest.raises(NativeStopped):
        states(samples, [], kind="zz", layers=1, monitor=monitor)


def test_memory_stays_flat() -> None:
    samples, process = random_samples(4, 16, 6), psutil.Process()
    for _ in range(100):
        gram_matrix(samples, None, FeatureMap())
    before = process.memory_info().rss
    for _ in range(1000):
        gram_matrix(samples, None, FeatureMap())
    assert process.memory_info().rss - before < 2 << 20


@pytest.mark.parametrize(
    ("samples", "options", "name"),
    [
        ([1.0], {}, "samples"),
        ([[]], {}, "samples"),
        ([[np.nan]], {}, "samples"),
        (np.zeros((1, 25)), {}, "samples"),
        ([[1.0]], {"kind": "xx"}, "kind"),
        ([[1.0]], {"pairs": [(0, 1)]}, "pairs"),
        ([[1.0, 2.0]], {"pairs": [(1, 1)]}, "pairs"),
        ([[1.0]], {"layers": 0}, "layers"),
        ([[1.0]], {"threads": 0}, "threads"),
        ([[1.0]], {"isa": "mmx"}, "isa"),
    ],
)
def test_bad_arguments_are_named(samples: object, options: dict[str, object], name: str) -> None:
    given_options = {"pairs": [], "kind": "zz", "layers": 1} | options
    with pytest.raises(ValueError, match=f"^{name}: "):
        states(samples, given_options.pop("pairs"), **given_options)  # type: ignore[arg-type]
