"""The kernels of noise against plain NumPy: maps on Pauli vectors, and trajectories."""

import contextlib
import gc
import threading
from typing import Any

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ketgate_native.density import STEP_COLUMNS, Trajectories, pauli_apply, run_trajectories
from ketgate_native.monitor import Monitor, Stopped
from numpy.typing import NDArray

Array = NDArray[np.float64]
ISAS = ["base", "avx2", "avx512"]
X = np.array([[0, 1], [1, 0]], dtype=complex)
H = np.array([[1, 1], [1, -1]], dtype=complex) / np.sqrt(2)
PROJECTORS = np.array([np.diag([1, 0]), np.diag([0, 1])], dtype=complex)


def here(isa: str) -> bool:
    try:
        pauli_apply(np.ones(1), 0, [], [], [], isa=isa)
        pauli_apply(np.ones(4), 1, [1], [0], np.eye(4).reshape(-1), isa=isa)
    except ValueError:
        return False
    return True


def slow_apply(vector: Array, n: int, qubits: tuple[int, ...], matrix: Array) -> Array:
    """One number after the other."""
    out = np.zeros_like(vector)
    for index, value in enumerate(vector):
        column = sum(((index >> (2 * q)) & 3) << (2 * k) for k, q in enumerate(qubits))
        rest = index & ~sum(3 << (2 * q) for q in qubits)
        for row in range(len(matrix)):
            target = rest | sum(((row >> (2 * k)) & 3) << (2 * q) for k, q in enumerate(qubits))
            out[target] += matrix[row, column] * value
    return out


def random_maps(seed: int, n: int, count: int) -> tuple[list[int], list[int], list[Array]]:
    rng = np.random.default_rng(seed)
    sizes, qubits, matrices = [], [], []
    for _ in range(count):
        size = int(rng.integers(1, min(3, n) + 1))
        sizes.append(size)
        qubits += [int(q) for q in rng.permutation(n)[:size]]
        matrix = rng.normal(size=(4**size, 4**size)) / 2**size
        matrices.append(matrix * (rng.random(matrix.shape) < 0.6))
    return sizes, qubits, matrices


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 5))
def test_maps_are_those_of_the_slow_way(seed: int, n: int) -> None:
    sizes, qubits, matrices = random_maps(seed, n, 4)
    vector = np.random.default_rng(seed).normal(size=4**n)
    expected, at = vector.copy(), 0
    for size, matrix in zip(sizes, matrices, strict=True):
        expected = slow_apply(expected, n, tuple(qubits[at : at + size]), matrix)
        at += size
    pauli_apply(vector, n, sizes, qubits, np.concatenate([m.reshape(-1) for m in matrices]))
    np.testing.assert_allclose(vector, expected, atol=1e-12)


@pytest.mark.parametrize("isa", ISAS)
def test_maps_give_the_same_bytes_everywhere(isa: str) -> None:
    if not here(isa):
        pytest.skip(f"this CPU has no {isa}")
    n = 9  # large enough to be shared between threads
    sizes, qubits, matrices = random_maps(5, n, 6)
    flat = np.concatenate([m.reshape(-1) for m in matrices])
    start = np.random.default_rng(1).normal(size=4**n)
    results = []
    for threads, choice in ((1, None), (2, isa)):
        vector = start.copy()
        pauli_apply(vector, n, sizes, qubits, flat, threads=threads, isa=choice)
        results.append(vector.tobytes())
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.ones(5), 1, [1], [0], np.eye(4).ravel()), r"vector: expected 4\^1 numbers, given 5"),
        ((np.ones(4), 1, [2], [0, 1], np.eye(16).ravel()), r"sizes\[0\]: expected 1 to 1 qubits"),
        ((np.ones(16), 2, [1], [2], np.eye(4).ravel()), r"qubits\[0\]: expected one in \[0, 2\)"),
        ((np.ones(16), 2, [2], [1, 1], np.eye(16).ravel()), "given 1 twice"),
        ((np.ones(16), 2, [2], [1], np.eye(16).ravel()), "qubits: expected the sum of sizes"),
        ((np.ones(16), 2, [1], [1], np.ones(5)), "matrices: expected 16 entries"),
    ],
)
def test_bad_maps_are_refused(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pauli_apply(*arguments)


class Steps:
    """Writes programs of the kernel."""

    def __init__(self) -> None:
        self.rows: list[list[int]] = []
        self.flips: list[tuple[float, float]] = []
        self.numbers: list[int] = []
        self.matrices: list[Any] = []
        self.effects: list[Any] = []
        self.weights: list[float] = []

    def channel(self, qubits: list[int], kraus: Any, weights: Any = None, **more: int) -> "Steps":
        operators = np.asarray(kraus, dtype=complex)
        row = [0] * STEP_COLUMNS
        row[1], row[3], row[5] = len(qubits), len(self.numbers), len(operators)
        row[6] = sum(m.size for m in self.matrices)
        row[7] = sum(m.size for m in self.effects)
        row[8], row[9], row[10] = len(self.weights), int(weights is not None), more.get("bit", -1)
        self.numbers += qubits
        self.matrices.append(operators)
        self.effects.append(operators.conj().transpose(0, 2, 1) @ operators)
        self.weights += list(weights) if weights is not None else [0.0]
        self.rows.append(row)
        self.flips.append((0.0, 0.0))
        return self

    def run(self, n: int, **options: Any) -> Trajectories:
        return run_trajectories(
            n,
            self.rows,
            self.flips,
            self.numbers,
            np.concatenate([m.reshape(-1) for m in self.matrices]),
            np.concatenate([m.reshape(-1) for m in self.effects]),
            self.weights,
            **options,
        )


def damped(n: int, gamma: float) -> Steps:
    """Superpositions that fall, entangle and are measured amid it."""
    fall = np.array([[[1, 0], [0, np.sqrt(1 - gamma)]], [[0, np.sqrt(gamma)], [0, 0]]])
    cx = np.array([[1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0], [0, 1, 0, 0]])
    steps = Steps()
    for q in range(n):
        steps.channel([q], [H], [1.0]).channel([q], fall).channel([q], [np.eye(2), X], [0.9, 0.1])
    for q in range(n - 1):
        steps.channel([q, q + 1], [cx], [1.0]).channel([q + 1], fall)
    return steps.channel([0], PROJECTORS, bit=0).channel([0], [H], [1.0]).channel([0], fall)


def test_trajectories_follow_the_channel() -> None:
    shots, gamma = 40_000, 0.3
    steps = Steps().channel([0], [X], [1.0])
    fall = np.array([[[1, 0], [0, np.sqrt(1 - gamma)]], [[0, np.sqrt(gamma)], [0, 0]]])
    done = steps.channel([0], fall).run(1, shots=shots, seed=3, samples=1)
    ones = done.sampled.sum()
    assert abs(ones - shots * (1 - gamma)) < 5 * np.sqrt(shots * gamma * (1 - gamma))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("copies_max", [0, 1, 64])
def test_the_same_seed_gives_the_same_bytes(isa: str, threads: int, copies_max: int) -> None:
    if not here(isa):
        pytest.skip(f"this CPU has no {isa}")
    steps = damped(4, 0.2)
    strings = {"terms": [0, 2], "coefficients": [1.0, 0.5], "x": [3, 0], "z": [0, 5]}
    common: dict[str, Any] = {"shots": 300, "seed": 11, "samples": 2, "num_bits": 1, **strings}
    first = steps.run(4, **common)
    again = steps.run(4, **common, isa=isa, threads=threads, copies_max=copies_max)
    for one, other in zip(first, again, strict=True):
        assert one.tobytes() == other.tobytes()
    assert steps.run(4, **(common | {"seed": 12})).sampled.tobytes() != first.sampled.tobytes()


def test_shots_do_not_depend_on_how_many_they_are() -> None:
    steps = damped(3, 0.2)
    few = steps.run(3, shots=50, seed=4, samples=1, num_bits=1)
    many = steps.run(3, shots=200, seed=4, samples=1, num_bits=1)
    assert (many.sampled[:50] == few.sampled).all()
    assert (many.memory[:50] == few.memory).all()


def test_expectations_are_normalised() -> None:
    done = damped(3, 0.4).run(
        3, shots=100, seed=1, num_bits=1, terms=[0, 1], coefficients=[1.0], x=[0], z=[0]
    )
    np.testing.assert_allclose(done.values, 1.0, rtol=1e-12)


@pytest.mark.parametrize(
    ("column", "value"), [(1, 9), (3, 99), (5, 0), (6, 1000), (8, 77), (10, 3), (0, 7), (2, 1)]
)
def test_a_program_that_leaves_its_arrays_is_refused(column: int, value: int) -> None:
    steps = damped(2, 0.2)
    steps.rows[1][column] = value
    with pytest.raises(ValueError, match=r"steps\[1\]: expected a step whose qubits"):
        steps.run(2, shots=1, seed=0, num_bits=1)


@settings(max_examples=300, deadline=None)
@given(
    row=st.integers(0, 4),
    column=st.integers(0, STEP_COLUMNS - 1),
    value=st.one_of(st.integers(-5, 40), st.integers(-(2**63), 2**63 - 1)),
)
def test_no_table_of_steps_does_harm(row: int, column: int, value: int) -> None:
    steps = damped(2, 0.2)
    steps.rows[row][column] = value
    with contextlib.suppress(ValueError):
        steps.run(2, shots=2, seed=0, num_bits=1, samples=1)


def test_a_jump_back_is_refused() -> None:
    steps = Steps().channel([0], [H], [1.0])
    row = [0] * STEP_COLUMNS
    row[0] = 2
    steps.rows.append(row)
    steps.flips.append((0.0, 0.0))
    with pytest.raises(ValueError, match=r"steps\[1\]"):
        steps.run(1, shots=1, seed=0)


def test_a_cancel_from_another_thread_stops_trajectories() -> None:
    monitor = Monitor(0)
    started, outcome = threading.Event(), []
    steps = damped(10, 0.2)
    for _ in range(300):
        steps.channel([3], [H], [1.0]).channel([3], [np.eye(2), X], [0.5, 0.5])

    def work() -> None:
        started.set()
        try:
            steps.run(10, shots=2**20, seed=0, num_bits=1, monitor=monitor)
        except Stopped:
            outcome.append("stopped")

    worker = threading.Thread(target=work)
    worker.start()
    assert started.wait(30.0)
    monitor.cancel()
    worker.join(60.0)
    assert outcome == ["stopped"]


def test_a_cancelled_monitor_stops_maps() -> None:
    monitor = Monitor(0)
    monitor.cancel()
    with pytest.raises(Stopped):
        pauli_apply(np.ones(4), 1, [1], [0], np.eye(4).reshape(-1), monitor=monitor)


def test_a_thousand_runs_leave_memory_as_it_was() -> None:
    steps = damped(3, 0.2)
    sizes, qubits, matrices = random_maps(2, 3, 3)
    flat = np.concatenate([m.reshape(-1) for m in matrices])

    def once(seed: int) -> None:
        steps.run(3, shots=20, seed=seed, samples=1, num_bits=1, copies_max=2)
        pauli_apply(np.ones(64), 3, sizes, qubits, flat)

    for seed in range(200):
        once(seed)
    gc.collect()
    before = psutil.Process().memory_info().rss
    for seed in range(1000):
        once(seed)
    gc.collect()
    assert psutil.Process().memory_info().rss - before < 4 * 2**20
