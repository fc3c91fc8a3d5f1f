"""CBOR: the examples of RFC 8949, appendix A, and the strictness that COSE's readers rely on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ketgate_server.signing.formats import cbor
from ketgate_server.signing.formats.malformed import Malformed

EXAMPLES: list[tuple[cbor.Value, str]] = [
    (0, "00"),
    (23, "17"),
    (24, "1818"),
    (100, "1864"),
    (1000, "1903e8"),
    (1_000_000, "1a000f4240"),
    (1_000_000_000_000, "1b000000e8d4a51000"),
    (18446744073709551615, "1bffffffffffffffff"),
    (-18446744073709551616, "3bffffffffffffffff"),
    (-1, "20"),
    (-100, "3863"),
    (-1000, "3903e7"),
    (False, "f4"),
    (True, "f5"),
    (None, "f6"),
    (cbor.Tagged(1, 1363896240), "c11a514b67b0"),
    (b"\x01\x02\x03\x04", "4401020304"),
    ("", "60"),
    ("\u6c34", "63e6b0b4"),
    ([1, [2, 3], [4, 5]], "8301820203820405"),
    ({1: 2, 3: 4}, "a201020304"),
    ({"a": 1, "b": [2, 3]}, "a26161016162820203"),
    (list(range(1, 26)), "98190102030405060708090a0b0c0d0e0f101112131415161718181819"),
]


@pytest.mark.parametrize(("value", "encoded"), EXAMPLES)
def test_examples_of_the_standard(value: cbor.Value, encoded: str) -> None:
    assert cbor.write(value).hex() == encoded
    read = cbor.read(bytes.fromhex(encoded))
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("encoded", "number"), [("f93c00", 1.0), ("fa47c35000", 100_000.0), ("fb3ff199999999999a", 1.1)]
)
def test_floats_are_read(encoded: str, number: float) -> None:
    assert cbor.read(bytes.fromhex(encoded)) == number


def test_keys_are_sorted_by_their_bytes() -> None:
    # RFC 8949, 4.2.1.
    keys: list[cbor.Key] = [10, 100, -1, "z", "aa"]
    written = cbor.write(dict.fromkeys(reversed(keys), 0))
    assert list(cbor.read(written)) == keys  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "cut off"),
        ("1801", "shortest"),
        ("190017", "shortest"),
        ("1900ff", "shortest"),
        ("1a0000ffff", "shortest"),
        ("1b00000000ffffffff", "shortest"),
        ("5801", "shortest"),
        ("5f41004100ff", "indefinite"),
        ("9fff", "indefinite"),
        ("bf00ff", "indefinite"),
        ("1c", "indefinite"),
        ("4201", "cut off"),
        ("9b7fffffffffffffff", "announces"),
        ("bb7fffffffffffffff", "announces"),
        ("a201000100", "twice"),
        ("a18000", "key"),
        ("a1f500", "key"),
        ("a1f93c0000", "key"),
        ("61ff", "UTF-8"),
        ("f0", "simple value"),
        ("f818", "simple value"),
        ("0000", "follow"),
        ("81" * 18 + "00", "nested"),
        ("c6" * 18 + "00", "nested"),
        ("9903e8" + "00" * 1000, "more than 1000 values"),
    ],
)
def test_what_is_loose_is_refused(content: str, said: str) -> None:
    with pytest.raises(Malformed, match=said):
        cbor.read(bytes.fromhex(content))


keys = st.integers(-(2**64), 2**64 - 1) | st.text(max_size=9) | st.binary(max_size=9)
values = st.recursive(
    keys | st.none() | st.booleans(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(keys, inner, max_size=4)
        | st.builds(cbor.Tagged, st.integers(0, 2**64 - 1), inner)
    ),
    max_leaves=12,
)


@given(values)
def test_whatever_is_written_comes_back(value: cbor.Value) -> None:
    assert cbor.read(cbor.write(value)) == value


def test_floats_are_not_written() -> None:
    with pytest.raises(TypeError, match="float is not written"):
        cbor.write(1.5)
    with pytest.raises(ValueError, match="64 bits"):
        cbor.write(2**64)
