"""Arrays of the wire: what is read, and what is refused with which path."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ketgate.type.v1 import tensor_pb2 as t
from ketgate_server.errors import FieldError, LimitError
from ketgate_server.type.sparse import read_sparse
from ketgate_server.type.tensors import (
    COMPLEX128,
    INT32,
    INT64,
    UINT8,
    read_float64,
    read_tensor,
    write_tensor,
)


def integers(*values: int) -> t.Tensor:
    return t.Tensor(integers=t.Int64Array(values=values))


def doubles(*values: float) -> t.Tensor:
    return t.Tensor(doubles=t.DoubleArray(values=values))


@given(
    dtype=st.sampled_from(["f8", "f4", "i8", "i4", "i1", "u1", "c16", "c8"]),
    shape=st.lists(st.integers(0, 4), min_size=1, max_size=3),
    seed=st.integers(0, 1000),
)
def test_what_is_written_is_read(dtype: str, shape: list[int], seed: int) -> None:
    array = np.random.default_rng(seed).integers(0, 100, shape).astype(dtype)
    every = set(t.DataType.values()) - {t.DATA_TYPE_UNSPECIFIED}
    back = read_tensor(write_tensor(array), "x", shape=(None,) * len(shape), dtypes=every)
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


def test_lists_imply_type_and_shape() -> None:
    assert read_tensor(doubles(1.0, 2.0), "x", shape=("n",)).tolist() == [1.0, 2.0]
    assert read_tensor(integers(0, 1), "x", shape=(2,), dtypes={UINT8}).dtype == np.uint8
    assert read_float64(integers(1, 2), "x", shape=(2,)).dtype == np.float64


def test_a_scalar_stands_for_many() -> None:
    assert read_float64(doubles(2.5), "x", shape=(3,), broadcast_scalar=True).tolist() == [2.5] * 3
    scalar = t.Tensor(dtype=1, data=np.float64(2.5).tobytes())
    assert read_float64(scalar, "x", shape=(3,), broadcast_scalar=True).tolist() == [2.5] * 3


@pytest.mark.parametrize(
    ("given_tensor", "field"),
    [
        (t.Tensor(), "x"),
        (t.Tensor(dtype=99, data=b"12345678"), "x.dtype"),
        (t.Tensor(data=b"12345678"), "x.dtype"),
        (t.Tensor(dtype=1, data=b"1234567"), "x.data"),
        (t.Tensor(dtype=1, shape=[2], data=b"12345678"), "x.shape"),
        (t.Tensor(dtype=1, shape=[-1], data=b"12345678"), "x.shape"),
        (t.Tensor(dtype=1, shape=[1 << 62, 1 << 62], data=bytes(16)), "x.shape"),
        (t.Tensor(dtype=1, shape=[1] * 100, data=bytes(8)), "x.shape"),
        (t.Tensor(dtype=1, shape=[3], data=bytes(24)), "x"),
        (t.Tensor(dtype=4, doubles=t.DoubleArray(values=[1, 2])), "x.dtype"),
        (doubles(1.0, float("nan")), "x"),
        (doubles(1.0, float("inf")), "x"),
        (integers(2**53 + 1, 0), "x"),
    ],
)
def test_what_cannot_be_read_is_refused_by_path(given_tensor: t.Tensor, field: str) -> None:
    with pytest.raises(FieldError) as refusal:
        read_float64(given_tensor, "x", shape=(2,))
    assert refusal.value.field == field


def test_letters_stand_for_equal_extents() -> None:
    read_tensor(write_tensor(np.eye(3)), "x", shape=("n", "n"))
    with pytest.raises(FieldError, match=r"expected shape \(n, n\), given shape \(2, 3\)"):
        read_tensor(write_tensor(np.ones((2, 3))), "x", shape=("n", "n"))


def test_integers_must_fit_the_type_asked_for() -> None:
    with pytest.raises(FieldError, match="0 to 255"):
        read_tensor(integers(256), "x", dtypes={UINT8})
    with pytest.raises(FieldError, match="INT64 or INT32"):
        read_tensor(doubles(1.0), "x", dtypes={INT64, INT32})


def sparse(row: t.Tensor, column: t.Tensor, value: t.Tensor) -> t.SparseMatrix:
    return t.SparseMatrix(row=row, column=column, value=value)


@pytest.mark.parametrize(
    ("matrix", "field"),
    [
        (sparse(integers(0, 2), integers(0, 1), doubles(1, 1)), "m.row"),
        (sparse(integers(0, 1), integers(0, -1), doubles(1, 1)), "m.column"),
        (sparse(integers(0, 1), integers(0), doubles(1, 1)), "m.column"),
        (sparse(integers(0, 1), integers(0, 1), doubles(1)), "m.value"),
        (sparse(integers(0, 1), integers(1, 0), doubles(1, 2)), "m"),
        (sparse(integers(1, 0, 1), integers(1, 1, 1), doubles(1, 2, 3)), "m"),
        (t.SparseMatrix(row=integers(0)), "m.column"),
    ],
)
def test_bad_entries_are_refused(matrix: t.SparseMatrix, field: str) -> None:
    with pytest.raises(FieldError) as refusal:
        read_sparse(
            matrix, "m", rows=2, columns=2, entries_max=9, entries_limit="some", symmetric=True
        )
    assert refusal.value.field == field


def test_a_position_given_twice_names_both_entries() -> None:
    matrix = sparse(integers(5, 0, 3), integers(2, 1, 3), doubles(1, 2, 3))
    read_sparse(matrix, "m", rows=6, columns=6, entries_max=9, entries_limit="some")
    matrix.column.integers.values[:] = [1, 1, 3]
    matrix.row.integers.values[:] = [0, 0, 3]
    with pytest.raises(FieldError, match=r"\(0, 1\) at entries 0 and 1"):
        read_sparse(matrix, "m", rows=6, columns=6, entries_max=9, entries_limit="some")


def test_the_diagonal_and_the_limit() -> None:
    matrix = sparse(integers(0, 1), integers(1, 1), doubles(1, 2))
    with pytest.raises(FieldError, match="empty diagonal"):
        read_sparse(
            matrix, "m", rows=2, columns=2, entries_max=9, entries_limit="some", diagonal=False
        )
    with pytest.raises(LimitError, match="some = 1"):
        read_sparse(matrix, "m", rows=2, columns=2, entries_max=1, entries_limit="some")


def test_an_absent_matrix_is_empty() -> None:
    assert (
        read_sparse(
            t.SparseMatrix(), "m", rows=2, columns=2, entries_max=0, entries_limit="s"
        ).entries
        == 0
    )


def test_complex_numbers_are_taken_only_where_a_field_says_so() -> None:
    amplitudes = write_tensor(np.array([1.0, 1.0j]))
    assert read_tensor(amplitudes, "x", dtypes={COMPLEX128}).tolist() == [1.0, 1.0j]
    with pytest.raises(FieldError, match=r"x\.dtype: expected .*, given COMPLEX128"):
        read_float64(amplitudes, "x")
    with pytest.raises(FieldError, match="expected finite numbers"):
        read_tensor(write_tensor(np.array([np.inf * 1j])), "x", dtypes={COMPLEX128})
