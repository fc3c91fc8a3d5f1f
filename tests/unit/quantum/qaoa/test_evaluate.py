"""Every way to an expectation gives that of the full state vector, and its gradient that of finite differences."""

import threading
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ketgate_server.quantum.base import Precision, Stopped
from ketgate_server.quantum.qaoa.cone_sum import LightCones
from ketgate_server.quantum.qaoa.cones import TooWide, light_cones
from ketgate_server.quantum.qaoa.evaluate import (
    Evaluator,
    OneLayer,
    StateVector,
    Subspace,
    TooLarge,
    evaluator,
)
from ketgate_server.quantum.qaoa.problem import Angles, Mixer, QaoaProblem
from ketgate_server.quantum.qaoa.stopping import Stopping

from ...native.qaoa_oracle import diagonal, evolve, expectation, random_model


def problem(seed: int, n: int, *, fields: bool, density: float = 0.5) -> QaoaProblem:
    return QaoaProblem(*random_model(seed, n, fields=fields, density=density).arguments)


def random_angles(seed: int, layers: int) -> Angles:
    return np.random.default_rng(seed).normal(size=(2, layers))


def oracle(given_problem: QaoaProblem, angles: Angles) -> float:
    model = random_model(0, given_problem.size, fields=True)
    model.linear, model.row, model.col, model.weight, model.offset = given_problem.terms
    cost = diagonal(model)
    return expectation(cost, evolve(cost, *angles))


def check_gradient(found: Evaluator, angles: Angles, tolerance: float = 1e-7) -> None:
    value, slopes = found.gradient(angles)
    assert value == pytest.approx(found.value(angles), abs=1e-10)
    step = 1e-5
    for at in np.ndindex(*angles.shape):
        ahead, behind = angles.copy(), angles.copy()
        ahead[at] += step
        behind[at] -= step
        numeric = (found.value(ahead) - found.value(behind)) / (2 * step)
        assert slopes[at] == pytest.approx(numeric, abs=tolerance)


@given(seed=st.integers(0, 10**6), n=st.integers(1, 7), fields=st.booleans())
def test_the_closed_form_is_the_state_vectors(seed: int, n: int, fields: bool) -> None:
    dense = problem(seed, n, fields=fields, density=0.8)
    angles = random_angles(seed, 1)
    found = OneLayer(dense)
    assert found.value(angles) == pytest.approx(oracle(dense, angles), abs=1e-11)
    check_gradient(found, angles)


@given(
    seed=st.integers(0, 10**6), n=st.integers(1, 9), layers=st.integers(1, 3), fields=st.booleans()
)
def test_light_cones_add_up_to_the_state_vectors(
    seed: int, n: int, layers: int, fields: bool
) -> None:
    sparse = problem(seed, n, fields=fields, density=0.25)
    angles = random_angles(seed, layers)
    found = LightCones(sparse, layers)
    assert found.value(angles) == pytest.approx(oracle(sparse, angles), abs=1e-11)


def ring(n: int) -> QaoaProblem:
    index = np.arange(n)
    return QaoaProblem(np.zeros(n), index, (index + 1) % n, np.ones(n))


def test_equal_cones_are_computed_once() -> None:
    cones = light_cones(ring(300), 3, 22)
    assert len(cones) == 1
    assert cones[0].factor == 300.0
    assert cones[0].size == 8


def test_a_ring_of_hundreds_reaches_its_known_value() -> None:
    """Of two layers the best share of a ring's couplings is 5/6 (Farhi, Goldstone, Gutmann)."""
    from scipy.optimize import minimize

    found = LightCones(ring(200), 2)

    def both(flat: Angles) -> tuple[float, Angles]:
        value, slopes = found.gradient(flat.reshape(2, 2))
        return value, slopes.ravel()

    best = minimize(both, [0.3, 0.6, -0.6, -0.3], jac=True, method="L-BFGS-B")
    assert (1.0 - best.fun / 200) / 2 == pytest.approx(5 / 6, abs=1e-6)


def test_cones_of_unlike_weights_stay_apart() -> None:
    chain = QaoaProblem(np.zeros(3), np.array([0, 1]), np.array([1, 2]), np.array([1.0, 2.0]))
    assert len(light_cones(chain, 1, 22)) == 2


def test_a_cone_that_is_too_wide_is_refused_with_its_size() -> None:
    with pytest.raises(TooWide, match="12 can be simulated"):
        light_cones(problem(1, 40, fields=False), 3, 12)


def test_light_cones_gradient_and_threads() -> None:
    sparse = problem(5, 8, fields=True, density=0.3)
    angles = random_angles(1, 2)
    check_gradient(LightCones(sparse, 2), angles)
    one, two = LightCones(sparse, 2), LightCones(sparse, 2, threads=2)
    assert one.value(angles) == two.value(angles)


def test_light_cones_without_room_to_keep_states(monkeypatch: pytest.MonkeyPatch) -> None:
    sparse, angles = problem(5, 8, fields=True, density=0.3), random_angles(1, 2)
    kept = LightCones(sparse, 2).gradient(angles)
    monkeypatch.setattr("ketgate_server.quantum.qaoa.cone_sum.CONES_KEPT_BYTES", 0)
    made = LightCones(sparse, 2).gradient(angles)
    assert made[0] == kept[0]
    assert made[1].tobytes() == kept[1].tobytes()


def tilted(seed: int, n: int) -> QaoaProblem:
    tilts = np.random.default_rng(seed).uniform(0.1, 3.0, n)
    return QaoaProblem(*random_model(seed, n, fields=True).arguments, tilts=tilts)


def warm_oracle(warm: QaoaProblem, angles: Angles) -> float:
    """Egger's circuit gate by gate: RY(t) from |0>; then phases and RY(-t), RZ(2 beta), RY(t)."""
    assert warm.tilts is not None
    model = random_model(0, warm.size, fields=True)
    model.linear, model.row, model.col, model.weight, model.offset = warm.terms
    cost, state = diagonal(model), np.ones(1, dtype=np.complex128)
    for t in warm.tilts:
        state = np.kron([np.cos(t / 2), np.sin(t / 2)], state)
    for gamma, beta in angles.T:
        state = state * np.exp(-1j * gamma * cost)
        for q, t in enumerate(warm.tilts):
            turn = np.array([[np.cos(t / 2), -np.sin(t / 2)], [np.sin(t / 2), np.cos(t / 2)]])
            mixer = turn @ np.diag([np.exp(-1j * beta), np.exp(1j * beta)]) @ turn.T
            view = state.reshape(-1, 2, 1 << q)
            state = np.einsum("ab,xbz->xaz", mixer, view).reshape(-1)
    return expectation(cost, state)


@given(seed=st.integers(0, 10**6), n=st.integers(1, 6), layers=st.integers(1, 3))
def test_a_warm_start_is_its_circuit(seed: int, n: int, layers: int) -> None:
    warm, angles = tilted(seed, n), 3.0 * random_angles(seed, layers)
    assert StateVector(warm).value(angles) == pytest.approx(warm_oracle(warm, angles), abs=1e-11)


def test_a_warm_starts_gradient() -> None:
    check_gradient(StateVector(tilted(3, 9)), random_angles(3, 3))


def test_an_even_tilt_is_the_x_mixer() -> None:
    cold = problem(4, 6, fields=True)
    warm = QaoaProblem(*cold.terms, tilts=np.full(6, np.pi / 2))
    angles = random_angles(4, 2)
    assert StateVector(warm).value(angles) == pytest.approx(
        StateVector(cold).value(angles), abs=1e-12
    )


@pytest.mark.parametrize("mixer", [Mixer.XY_RING, Mixer.XY_COMPLETE])
@pytest.mark.parametrize(("n", "ones"), [(2, 1), (5, 2), (6, 3), (5, 0), (5, 5)])
def test_xy_mixers_keep_the_number_of_ones(mixer: Mixer, n: int, ones: int) -> None:
    model = random_model(n, n, fields=True).arguments
    found = Subspace(QaoaProblem(*model, mixer=mixer, hamming_weight=ones))
    angles = random_angles(n, 2)
    found.value(angles, keep=True)
    assert {int(x).bit_count() for x in found.state.states()} == {ones}
    assert np.abs(found.state.amplitudes() ** 2).sum() == pytest.approx(1.0, abs=1e-12)
    check_gradient(found, angles)


@pytest.mark.parametrize(
    ("make", "method"),
    [
        (lambda: evaluator(problem(1, 9, fields=True), 1), "closed-form"),
        (lambda: evaluator(problem(1, 9, fields=True), 2), "state-vector"),
        (lambda: evaluator(problem(1, 9, fields=False), 2), "state-vector-z2"),
        (lambda: evaluator(ring(100), 2), "light-cones"),
        (lambda: evaluator(tilted(1, 5), 1), "state-vector"),
        (
            lambda: evaluator(
                QaoaProblem(*ring(6).terms, mixer=Mixer.XY_RING, hamming_weight=2), 1
            ),
            "subspace",
        ),
    ],
)
def test_the_fastest_way_is_chosen(make: Callable[[], Evaluator], method: str) -> None:
    assert make().method == method


def test_what_fits_no_way_is_refused_with_its_bytes() -> None:
    with pytest.raises(TooLarge, match="light cone has") as refused:
        evaluator(problem(1, 30, fields=False), 3, memory_bytes_max=1 << 20)
    assert refused.value.needed == 2 * 16 << 29


def test_single_precision() -> None:
    even = problem(2, 12, fields=False)
    angles = random_angles(2, 3)
    single = evaluator(even, 3, precision=Precision.SINGLE).gradient(angles)
    double = evaluator(even, 3).gradient(angles)
    assert single[0] == pytest.approx(double[0], abs=1e-4)
    np.testing.assert_allclose(single[1], double[1], atol=1e-3)


class StoppedTask:
    """A caller who has gone."""

    stopped = True

    def on_stop(self, callback: Callable[[], None]) -> None:
        callback()

    def remaining_s(self) -> float:
        return 0.0


@pytest.mark.parametrize(
    "make",
    [
        lambda task: evaluator(problem(1, 9, fields=True), 1, task=task),
        lambda task: evaluator(problem(1, 9, fields=True), 2, task=task),
        lambda task: evaluator(tilted(1, 9), 2, task=task),
        lambda task: LightCones(ring(40), 2, stopping=Stopping(task)),
        lambda task: Subspace(
            QaoaProblem(*ring(6).terms, mixer=Mixer.XY_RING, hamming_weight=2),
            stopping=Stopping(task),
        ),
    ],
)
def test_a_stopped_task_stops_every_way(make: Callable[[StoppedTask], Evaluator]) -> None:
    found = make(StoppedTask())
    angles = random_angles(1, 1 if found.method == "closed-form" else 2)
    with pytest.raises(Stopped):
        found.value(angles)
    with pytest.raises(Stopped):
        found.gradient(angles)


def test_a_stop_from_another_thread_is_heard() -> None:
    stopping = Stopping(None)
    found = StateVector(problem(1, 18, fields=True), stopping=stopping)
    heard: list[bool] = []
    begun = threading.Event()

    def run() -> None:
        begun.set()
        try:
            found.value(np.zeros((2, 5000)))
        except Stopped:
            heard.append(True)

    thread = threading.Thread(target=run)
    thread.start()
    assert begun.wait(30.0)
    stopping.monitor.cancel()
    thread.join(30.0)
    assert heard == [True]
