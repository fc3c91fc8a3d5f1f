"""Requests for QUBOs, Ising energies and programs mean what the caller wrote, whatever the form."""

import itertools
from typing import Any

import ketgate
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from ketgate import specs
from ketgate._tensor import from_tensor

small = st.integers(-4, 4).map(float)


def qubo_value(message: Any, x: np.ndarray) -> float:
    """The contract's meaning: each unordered pair once, linear terms beside."""
    value = message.offset
    if message.HasField("linear"):
        value += float(from_tensor(message.linear) @ x)
    if message.HasField("quadratic"):
        row, column, weight = (
            from_tensor(getattr(message.quadratic, n)) for n in ("row", "column", "value")
        )
        assert len(set(map(frozenset, zip(row, column, strict=True)))) == len(row), (
            "a pair was sent twice"
        )
        value += float((weight * x[row] * x[column]).sum())
    return float(value)


@given(hnp.arrays(np.float64, st.integers(1, 5).map(lambda n: (n, n)), elements=small))
def test_every_form_of_a_qubo_is_the_same_function(Q: np.ndarray) -> None:
    n = len(Q)
    forms = [Q, Q.tolist(), scipy.sparse.csr_array(Q), scipy.sparse.coo_matrix(Q), pd.DataFrame(Q)]
    forms.append({(i, j): Q[i, j] for i in range(n) for j in range(n)})
    for form in forms:
        message = specs.qubo(form, offset=1.5).qubo
        assert message.num_variables == n
        for bits in itertools.product((0, 1), repeat=n):
            x = np.array(bits)
            assert qubo_value(message, x) == pytest.approx(x @ Q @ x + 1.5)


@given(hnp.arrays(np.float64, 4, elements=small), hnp.arrays(np.float64, (4, 4), elements=small))
def test_every_form_of_an_ising_energy_is_the_same_function(h: np.ndarray, J: np.ndarray) -> None:
    as_mapping = {(i, j): J[i, j] for i in range(4) for j in range(4)}
    for fields, couplings in (
        (h, J),
        (h.tolist(), scipy.sparse.coo_array(J)),
        (dict(enumerate(h)), as_mapping),
    ):
        message = specs.ising(fields, couplings, offset=2).ising
        for signs in itertools.product((-1, 1), repeat=4):
            s = np.array(signs)
            assert qubo_value(message, s) == pytest.approx(h @ s + s @ J @ s + 2)


def test_coo_with_repeated_entries_is_summed() -> None:
    Q = scipy.sparse.coo_array(([1.0, 2.0, 4.0], ([0, 0, 1], [1, 1, 0])), shape=(2, 2))
    assert qubo_value(specs.qubo(Q).qubo, np.array([1, 1])) == 7.0


def test_labels_of_any_kind_are_numbered_as_they_appear() -> None:
    spec = specs.qubo({("x", "x"): -1.0, ("y", "x"): 2.0, (("t", 3), "y"): 1.0}, linear={"y": 0.5})
    assert spec.qubo.num_variables == 3
    assert from_tensor(spec.qubo.linear).tolist() == [0.5, -1.0, 0.0]


def test_positions_of_a_mapping_need_not_be_dense() -> None:
    assert specs.ising({7: 1.0}, {(0, 3): 1.0}).ising.num_spins == 8
    assert specs.ising(None, {(0, 3): 1.0}).ising.num_spins == 4
    assert specs.ising([1.0, 2.0]).ising.num_spins == 2


def test_frame_keeps_its_names_whatever_the_order_of_its_rows() -> None:
    Q = pd.DataFrame([[0.0, 3.0], [-1.0, 0.0]], index=["b", "a"], columns=["a", "b"])
    message = specs.qubo(Q).qubo  # a row b, column a: 0; row b, column b: 3; row a: -1, 0
    assert from_tensor(message.linear).tolist() == [-1.0, 3.0]


def test_binary_program_keeps_its_rows() -> None:
    spec = specs.binary(np.eye(2), [[1.0, 1.0]], lower=1, upper=[1.0], row_names=["one"])
    rows = spec.binary_quadratic.rows
    assert from_tensor(rows.lower).tolist() == [1.0]
    assert from_tensor(rows.upper).tolist() == [1.0]
    assert list(rows.names) == ["one"]


def test_linear_program_with_everything() -> None:
    c = pd.Series([1.0, 2.0], index=["x", "y"])
    A = pd.DataFrame([[1.0, 1.0]], index=["cap"], columns=["x", "y"])
    spec = specs.linear(
        c,
        A,
        upper=4.0,
        bounds=(0, {"x": 3.0, "y": 5.0}),
        integrality=[True, False],
        maximize=True,
        time_limit=1,
    )
    assert list(spec.linear.rows.names) == ["cap"]
    assert from_tensor(spec.linear.upper).tolist() == [3.0, 5.0]
    assert from_tensor(spec.linear.integrality).tolist() == [1, 0]
    assert spec.linear.sense == 2
    assert spec.time_limit.seconds == 1


@pytest.mark.parametrize(
    ("build", "field"),
    [
        (lambda: specs.qubo([[1, 2, 3], [4, 5, 6]]), "Q"),
        (lambda: specs.qubo(np.zeros((2, 2, 2))), "Q"),
        (lambda: specs.qubo([["a", "b"], ["c", "d"]]), "Q"),
        (lambda: specs.qubo({0: 1.0}), "Q"),
        (lambda: specs.qubo(np.eye(2) * 1j), "Q"),
        (lambda: specs.ising(np.ones(2) + 1j), "h"),
        (lambda: specs.qubo({(-1, 0): 1.0}), "Q"),
        (lambda: specs.qubo({(0, 1): "much"}), "Q"),
        (lambda: specs.qubo(np.eye(2), linear=[1, 2, 3]), "Q"),
        (lambda: specs.qubo(np.eye(3), linear=[1, 2]), "linear"),
        (lambda: specs.qubo(np.eye(2), offset="0"), "offset"),
        (lambda: specs.ising(), "h"),
        (lambda: specs.binary(np.eye(2), np.ones((1, 3)), upper=1), "A"),
        (lambda: specs.binary(np.eye(2), np.ones((1, 2))), "lower"),
        (lambda: specs.binary(np.eye(2), upper=1), "A"),
        (lambda: specs.binary(np.eye(2), np.ones((1, 2)), upper=[1, 2]), "upper"),
        (lambda: specs.linear([1.0, 2.0], bounds=3), "bounds"),
        (lambda: specs.linear([[1.0]]), "c"),
        (lambda: specs.linear([1.0, 2.0], bounds=([1.0, 2.0, 3.0], None)), "bounds"),
        (lambda: specs.linear([1.0, 2.0], names=["a", "a"]), "names"),
        (lambda: specs.linear([1.0, 2.0], names="ab"), "names"),
    ],
)
def test_bad_input_names_its_argument(build: Any, field: str) -> None:
    with pytest.raises(ketgate.InvalidArgument) as caught:
        build()
    assert caught.value.field == field
    assert caught.value.reason == "FIELD_INVALID"
    assert field in str(caught.value)
