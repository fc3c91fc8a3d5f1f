"""QAOA as a circuit: start states, mixers and observables."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ketgate_server.quantum.algorithms import qaoa_circuit
from ketgate_server.quantum.algorithms.dicke import dicke
from ketgate_server.quantum.algorithms.matrices import apply, dense
from ketgate_server.quantum.algorithms.vqe import times
from ketgate_server.quantum.circuit import Gate
from ketgate_server.quantum.qaoa.problem import Mixer
from ketgate_server.type.quadratic import Alphabet, QuadraticFunction
from ketgate_server.type.sparse import Sparse


def draw(n: int, seed: int, alphabet: Alphabet) -> QuadraticFunction:
    rng = np.random.default_rng(seed)
    row, column = np.triu_indices(n, 1 if alphabet is Alphabet.SPIN else 0)
    return QuadraticFunction(
        alphabet,
        rng.normal(size=n),
        Sparse(row, column, rng.normal(size=len(row))),
        float(rng.normal()),
    )


def values_of(function: QuadraticFunction, state: int) -> np.ndarray:
    bits = np.array([(state >> q) & 1 for q in range(function.size)])
    if function.alphabet is Alphabet.SPIN:
        return (1 - 2 * bits).astype(np.int8)
    return bits.astype(np.uint8)


def zero(n: int) -> np.ndarray:
    state = np.zeros(1 << n, dtype=complex)
    state[0] = 1.0
    return state


@given(n=st.integers(1, 7), data=st.data())
def test_dicke_states(n: int, data: st.DataObject) -> None:
    ones = data.draw(st.integers(0, n))
    weight = np.bitwise_count(np.arange(1 << n)) == ones
    np.testing.assert_allclose(
        apply(dicke(n, ones), zero(n)), weight / np.sqrt(weight.sum()), atol=1e-9
    )


@pytest.mark.parametrize("alphabet", list(Alphabet))
def test_the_observable_is_the_energy(alphabet: Alphabet) -> None:
    function = draw(4, 3, alphabet)
    diagonal = times(qaoa_circuit.hamiltonian(function), np.ones(16, dtype=complex)).real
    wanted = [function(values_of(function, state)) for state in range(16)]
    np.testing.assert_allclose(diagonal, wanted, atol=1e-12)


@pytest.mark.parametrize("alphabet", list(Alphabet))
def test_a_layer_is_the_exponential_of_the_energy_then_of_x(alphabet: Alphabet) -> None:
    function = draw(3, 5, alphabet)
    constant = qaoa_circuit.spin_terms(function)[0]
    energies = np.array([function(values_of(function, state)) for state in range(8)]) - constant
    gamma, beta = 0.31, 0.77
    circuit = qaoa_circuit.circuit(function, 1).bind({"gamma_0": gamma, "beta_0": beta})
    rotation = np.array([[np.cos(beta), -1j * np.sin(beta)], [-1j * np.sin(beta), np.cos(beta)]])
    mixer = np.kron(np.kron(rotation, rotation), rotation)
    wanted = mixer @ (np.exp(-1j * gamma * energies) * np.full(8, 8**-0.5))
    np.testing.assert_allclose(apply(circuit.operations, zero(3)), wanted, atol=1e-12)


@pytest.mark.parametrize("mixer", [Mixer.XY_RING, Mixer.XY_COMPLETE])
@pytest.mark.parametrize("n", [2, 3, 5])
def test_xy_mixers_keep_the_number_of_ones(mixer: Mixer, n: int) -> None:
    function = draw(n, 1, Alphabet.BINARY)
    circuit = qaoa_circuit.circuit(function, 2, mixer, hamming_weight=1)
    values = dict(zip(circuit.parameters, [0.3, -0.4, 0.9, 0.2], strict=True))
    state = apply(circuit.bind(values).operations, zero(n))
    outside = np.bitwise_count(np.arange(1 << n)) != 1
    assert np.abs(state[outside]).max() < 1e-12
    assert np.abs(state[~outside]).min() > 1e-6


def test_an_xy_pair_is_the_exponential() -> None:
    import scipy.linalg

    x, y = np.array([[0, 1], [1, 0]]), np.array([[0, -1j], [1j, 0]])
    both = (np.kron(x, x) + np.kron(y, y)) / 2
    made = dense([Gate("xx_plus_yy", (0, 1), (2 * 0.37, 0.0))], 2)
    np.testing.assert_allclose(made, scipy.linalg.expm(-0.37j * both), atol=1e-12)


def test_a_warm_start_of_a_half_is_the_standard_one() -> None:
    function = draw(3, 2, Alphabet.BINARY)
    values = {"gamma_0": 0.4, "beta_0": 0.6}
    warm = qaoa_circuit.circuit(function, 1, warm_start=np.full(3, 0.5)).bind(values)
    plain = qaoa_circuit.circuit(function, 1).bind(values)
    np.testing.assert_allclose(
        apply(warm.operations, zero(3)), apply(plain.operations, zero(3)), atol=1e-12
    )


def test_a_warm_start_begins_at_the_relaxed_values() -> None:
    function = draw(2, 2, Alphabet.BINARY)
    relaxed = np.array([0.3, 0.99])
    values = {"gamma_0": 0.0, "beta_0": 0.7}  # its own mixer leaves it as it is
    state = apply(
        qaoa_circuit.circuit(function, 1, warm_start=relaxed).bind(values).operations, zero(2)
    )
    ones = [
        float((np.abs(state[[i for i in range(4) if i >> q & 1]]) ** 2).sum()) for q in range(2)
    ]
    assert ones == pytest.approx([0.3, 0.75])
