"""Probabilities, samples, collapses and Pauli strings of the state-vector kernel."""

import gc
import threading
from typing import Any

import numpy as np
import psutil
import pytest
from ketgate_native.monitor import Monitor, Stopped
from ketgate_native.statevector import Precision, Program, StateVector

from .statevector_oracle import pauli, random_gates, random_strings, unitary

TOLERANCE = {"double": 1e-12, "single": 1e-5}


def state_of(seed: int, n: int, precision: Precision = "double", **options: Any) -> StateVector:
    state = StateVector(n, precision=precision, **options)
    state.apply(Program(n, random_gates(seed, n, 5 * n), precision=precision, **options))
    return state


@pytest.mark.parametrize("precision", TOLERANCE)
@pytest.mark.parametrize("n", [1, 3, 6, 13])
def test_probabilities_of_some_qubits(precision: Precision, n: int) -> None:
    state = state_of(n, n, precision)
    weights = np.abs(state.amplitudes()) ** 2
    for qubits in ([], [0], [n - 1], list(range(n)), list(range(n))[::-2]):
        expected = np.zeros(2 ** len(qubits))
        for index, weight in enumerate(weights):
            expected[sum(((index >> q) & 1) << k for k, q in enumerate(qubits))] += weight
        found = state.probabilities(qubits)
        np.testing.assert_allclose(found, expected, atol=TOLERANCE[precision])


def test_draws_have_the_distribution() -> None:
    state = state_of(2, 5)
    weights, shots = state.probabilities(range(5)), 200_000
    counts = np.bincount(state.sample(shots, 7).astype(np.int64), minlength=32)
    errors = np.sqrt(np.maximum(weights * (1 - weights) / shots, 1e-12))
    assert (np.abs(counts / shots - weights) < 5 * errors).all()
    assert not counts[weights < 1e-14].any()


def test_a_draw_depends_on_seed_and_place_alone() -> None:
    state = state_of(3, 17)
    whole = state.sample(5000, 11)
    assert (state.sample(5000, 11, threads=2) == whole).all()
    assert (state.sample(50, 11) == whole[:50]).all()
    assert (state.sample(5000, 12) != whole).any()
    some = state.sample(5000, 11, qubits=[16, 2])
    assert (some == ((whole >> np.uint64(16)) & 1 | ((whole >> np.uint64(2)) & 1) << 1)).all()


@pytest.mark.parametrize("place", [0, 1, 2**12 - 1])
def test_a_sure_result_is_always_drawn(place: int) -> None:
    state = StateVector(12)
    amplitudes = np.zeros(2**12, dtype=complex)
    amplitudes[place] = 1.0
    state.set_amplitudes(amplitudes)
    assert (state.sample(1000, 1) == place).all()


@pytest.mark.parametrize("precision", TOLERANCE)
def test_a_collapse_keeps_what_was_measured(precision: Precision) -> None:
    state = state_of(4, 13, precision)
    before, places = state.amplitudes(), np.arange(2**13)
    expected = np.where((((places >> 12) & 1) == 1) & ((places & 1) == 0), before, 0)
    p = state.collapse([12, 0], 0b01)
    assert p == pytest.approx(np.linalg.norm(expected) ** 2, rel=1e-5)
    np.testing.assert_allclose(state.amplitudes(), expected / np.sqrt(p), atol=TOLERANCE[precision])
    with pytest.raises(ValueError, match="whose probability is 0"):
        state.collapse([0], 1)


@pytest.mark.parametrize("precision", TOLERANCE)
@pytest.mark.parametrize("n", [1, 2, 4, 7])
def test_expectations_of_strings(precision: Precision, n: int) -> None:
    state = state_of(n + 20, n, precision)
    psi = state.amplitudes()
    _, x, z = random_strings(n, n, 40)
    expected = [
        np.vdot(psi, pauli(n, int(a), int(b)) @ psi).real for a, b in zip(x, z, strict=True)
    ]
    np.testing.assert_allclose(state.expectations(x, z), expected, atol=TOLERANCE[precision])


def test_expectations_above_one_chunk() -> None:
    """On qubits 0, 5 and 11 to 13, so that pairs lie in one chunk of memory, and in two."""
    n = 14
    state = state_of(5, n)
    psi, places = state.amplitudes(), np.arange(2**n)
    for x in (0, 0b1, 0b101000, 0b11100000000000, 0b10100000100001):
        zs = [0, x, 0b1, 0b10000000000000, 0b11111111111111]
        found = state.expectations([x] * len(zs), zs, threads=2)
        for value, z in zip(found, zs, strict=True):
            signs = 1 - 2 * (np.bitwise_count(places & z) & 1).astype(float)
            phase = 1j ** (x & z).bit_count()
            assert value == pytest.approx(
                np.vdot(psi[places ^ x], phase * signs * psi).real, abs=1e-12
            )


def test_sums_are_the_same_whatever_the_threads() -> None:
    state = state_of(6, 17)
    _, x, z = random_strings(1, 17, 20)
    one, two = (state.expectations(x, z, threads=threads) for threads in (1, 2))
    assert one.tobytes() == two.tobytes()
    one, two = (state.probabilities([3, 16, 0], threads=threads) for threads in (1, 2))
    assert one.tobytes() == two.tobytes()


def test_masks_beyond_the_qubits_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"z\[1\]: expected Paulis on 2 qubits, given the mask 0x4"
    ):
        StateVector(2).expectations([0, 0], [1, 4])
    with pytest.raises(ValueError, match="x, z: expected equal lengths, given 1, 2"):
        StateVector(2).expectations([0], [1, 1])
    with pytest.raises(ValueError, match="qubits: expected distinct ones below 2"):
        StateVector(2).probabilities([1, 1])


def long_program(n: int) -> Program:
    rng = np.random.default_rng(1)
    gates = [((q,), unitary(rng, 1), 0, 0, None) for _ in range(200) for q in range(n)]
    return Program(n, gates, fuse=False)  # type: ignore[arg-type]


def test_a_stopped_monitor_stops_everything() -> None:
    state, monitor = state_of(7, 16), Monitor(0)
    monitor.cancel()
    for call in (
        lambda: state.sample(10, 1, monitor=monitor),
        lambda: state.probabilities([1], monitor=monitor),
        lambda: state.expectations([1], [1], monitor=monitor),
        lambda: state.collapse([1], 0, monitor=monitor),
        lambda: state.apply(long_program(16), monitor=monitor),
    ):
        with pytest.raises(Stopped):
            call()
    state.reset()
    np.testing.assert_allclose(state.probabilities([0]), [1.0, 0.0])


def test_a_cancel_from_another_thread_ends_a_program() -> None:
    state, monitor, program = StateVector(18), Monitor(0), long_program(18)
    started = threading.Event()

    def cancel() -> None:
        started.wait()
        monitor.cancel()

    canceller = threading.Thread(target=cancel)
    canceller.start()

    def run_for_ever() -> None:
        while True:  # a program may be over before the cancel comes; then another runs
            started.set()
            state.apply(program, threads=2, monitor=monitor)

    with pytest.raises(Stopped):
        run_for_ever()
    canceller.join(30.0)


def test_a_thousand_runs_leave_memory_as_it_was() -> None:
    gates = random_gates(1, 10, 30)
    _, x, z = random_strings(2, 10, 10)

    def once() -> None:
        state = StateVector(10)
        state.apply(Program(10, gates))
        state.expectations(x, z)
        state.copy().sample(100, 1)
        with pytest.raises(ValueError, match="gates"):
            Program(2, gates)

    for _ in range(100):
        once()
    gc.collect()
    before = psutil.Process().memory_info().rss
    for _ in range(1000):
        once()
    gc.collect()
    assert psutil.Process().memory_info().rss - before < 4 * 2**20
