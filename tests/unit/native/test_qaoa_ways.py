"""The closed form at one layer, and XY mixers among states of a given number of ones."""

from typing import Any

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ketgate_native.monitor import Monitor, Stopped
from ketgate_native.qaoa_p1 import ClosedForm
from ketgate_native.qaoa_xy import XyQaoa, num_states

from .qaoa_oracle import Floats, diagonal, evolve, expectation, random_model


@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 8),
    fields=st.booleans(),
    density=st.sampled_from([0.3, 1.0]),
)
def test_the_closed_form(seed: int, n: int, fields: bool, density: float) -> None:
    model = random_model(seed, n, fields=fields, density=density)
    gamma, beta = np.random.default_rng(seed).normal(size=2)
    form, cost = ClosedForm(*model.arguments), diagonal(model)
    found, terms = form.value(gamma, beta), form.terms(gamma)
    state = evolve(cost, np.array([gamma]), np.array([beta]))
    assert found.expectation == pytest.approx(expectation(cost, state), abs=1e-11)
    s2, s4 = np.sin(2 * beta), np.sin(4 * beta)
    of_terms = model.offset + terms.single * s2 + terms.mixed * s4 + terms.pair * s2**2
    assert found.expectation == pytest.approx(of_terms, abs=1e-12)
    step = 1e-6
    for slope, g, b in ((found.by_gamma, step, 0.0), (found.by_beta, 0.0, step)):
        ahead, behind = form.value(gamma + g, beta + b), form.value(gamma - g, beta - b)
        numeric = (ahead.expectation - behind.expectation) / (2 * step)
        assert slope == pytest.approx(numeric, abs=1e-6 * n * n)


def test_repeated_couplings_are_summed() -> None:
    once = ClosedForm([0.1, 0.2], [0], [1], [0.7]).value(0.3, 0.4)
    twice = ClosedForm([0.1, 0.2], [0, 1], [1, 0], [0.3, 0.4]).value(0.3, 0.4)
    assert twice.expectation == pytest.approx(once.expectation, abs=1e-15)


def test_thousands_of_spins_are_the_sum_of_their_parts() -> None:
    """A thousand copies of one model, apart from each other."""
    model, copies, n = random_model(1, 6, fields=True), 1000, 6
    shift = np.repeat(np.arange(copies) * n, len(model.row))
    many = ClosedForm(
        np.tile(model.linear, copies),
        np.tile(model.row, copies) + shift,
        np.tile(model.col, copies) + shift,
        np.tile(model.weight, copies),
    ).value(0.4, -0.3)
    one = ClosedForm(*model.arguments[:4]).value(0.4, -0.3)
    assert many.expectation == pytest.approx(copies * one.expectation, rel=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], [], [], []), "linear: "),
        (([np.inf], [], [], []), r"linear\[0\]: "),
        (([0.0], [0], [1], [1.0]), r"col\[0\]: "),
        (([0.0, 0.0], [1], [1], [1.0]), r"col\[0\]: "),
        (([0.0, 0.0], [0], [1], []), "row, col, weight: "),
        (([0.0], [], [], [], np.nan), "offset: "),
    ],
)
def test_bad_models_of_the_closed_form_are_named(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        ClosedForm(*arguments)


def values_of(cost: Floats) -> Any:
    return lambda states: cost[states.astype(np.int64)]


@given(seed=st.integers(0, 10**6), n=st.integers(1, 6), layers=st.integers(1, 2))
def test_xy_mixers(seed: int, n: int, layers: int) -> None:
    """Against full states, gate by gate."""
    rng = np.random.default_rng(seed)
    ones, cost = int(rng.integers(0, n + 1)), rng.normal(size=1 << n)
    pairs = [tuple(rng.permutation(n)[:2].tolist()) for _ in range(5)] if n > 1 else []
    found = XyQaoa(n, ones, pairs, values_of(cost))
    gammas, betas = rng.normal(size=layers), rng.normal(size=layers)
    index = np.arange(1 << n)
    allowed = np.array([x for x in index if int(x).bit_count() == ones])
    state = np.zeros(1 << n, dtype=np.complex128)
    state[allowed] = len(allowed) ** -0.5
    for gamma, beta in zip(gammas, betas, strict=True):
        state *= np.exp(-1j * gamma * cost)
        for i, j in pairs:
            unlike = ((index >> i) ^ (index >> j)) & 1 == 1
            turned = state[index ^ (1 << i) ^ (1 << j)]
            state = np.where(unlike, np.cos(beta) * state - 1j * np.sin(beta) * turned, state)
    value = found.expectation(gammas, betas, keep=True)
    assert (found.states() == allowed).all()
    assert found.size == num_states(n, ones)
    np.testing.assert_allclose(found.amplitudes(), state[allowed], atol=1e-12, rtol=0)
    assert value == pytest.approx(np.abs(state) ** 2 @ cost, abs=1e-12)


def test_xy_gradients() -> None:
    rng = np.random.default_rng(5)
    pairs = [(0, 1), (2, 3), (1, 2), (4, 0), (3, 4)]
    found = XyQaoa(5, 2, pairs, values_of(rng.normal(size=32)))
    gammas, betas = rng.normal(size=3), rng.normal(size=3)
    slopes = found.gradient(gammas, betas)
    assert slopes.expectation == pytest.approx(found.expectation(gammas, betas), abs=1e-13)
    for told, at in ((slopes.gammas, gammas), (slopes.betas, betas)):
        for k in range(3):
            kept = at[k]
            at[k] = kept + 1e-5
            ahead = found.expectation(gammas, betas)
            at[k] = kept - 1e-5
            behind = found.expectation(gammas, betas)
            at[k] = kept
            assert told[k] == pytest.approx((ahead - behind) / 2e-5, abs=1e-8)


@pytest.mark.parametrize("run", ["expectation", "gradient"])
def test_a_cancelled_run_raises(run: str) -> None:
    found = XyQaoa(6, 3, [(0, 1)], values_of(np.zeros(64)))
    monitor = Monitor(0)
    monitor.cancel()
    with pytest.raises(Stopped):
        getattr(found, run)([0.1], [0.1], monitor=monitor)
    form = ClosedForm([1.0], [], [], [])
    with pytest.raises(Stopped):
        form.value(0.1, 0.1, monitor=monitor)


def test_memory_stays_flat() -> None:
    process, model = psutil.Process(), random_model(1, 8, fields=True)

    def once() -> None:
        XyQaoa(8, 4, [(0, 1), (2, 3)], values_of(np.zeros(256))).gradient([0.1], [0.2])
        ClosedForm(*model.arguments).value(0.1, 0.2)

    for _ in range(100):
        once()
    before = process.memory_info().rss
    for _ in range(1000):
        once()
    assert process.memory_info().rss - before < 2 << 20


def test_bad_subspaces_are_named() -> None:
    for arguments, message in (
        ((0, 0, []), "num_qubits: "),
        ((3, 4, []), "ones: "),
        ((3, 1, [(0, 3)]), "pairs: "),
        ((3, 1, [(1, 1)]), "pairs: "),
    ):
        with pytest.raises(ValueError, match=f"^{message}"):
            XyQaoa(*arguments, values_of(np.zeros(8)))
    with pytest.raises(ValueError, match=r"^cost: "):
        XyQaoa(3, 1, [], lambda _: np.zeros(2))
    found = XyQaoa(3, 1, [], values_of(np.zeros(8)))
    with pytest.raises(ValueError, match=r"^betas: "):
        found.expectation([0.1], [0.1, 0.2])
    with pytest.raises(ValueError, match=r"^state: "):
        found.amplitudes()
