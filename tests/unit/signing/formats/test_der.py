"""DER: what is written is read back, and bytes that have a shorter or another reading are refused."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ketgate_server.signing.formats import der
from ketgate_server.signing.formats.malformed import Malformed


@pytest.mark.parametrize(
    ("number", "encoded"),
    [
        (0, "020100"),
        (127, "02017f"),
        (128, "02020080"),
        (256, "02020100"),
        (-128, "020180"),
        (-129, "0202ff7f"),
    ],
)
def test_integers(number: int, encoded: str) -> None:
    # Examples of X.690, 8.3, as Kaliski's guide to BER has them.
    assert der.integer(number).hex() == encoded
    assert der.Reader(bytes.fromhex(encoded)).integer() == number


@pytest.mark.parametrize(
    ("dotted", "encoded"),
    [
        ("1.2.840.113549", "06062a864886f70d"),
        ("1.3.101.112", "06032b6570"),
        ("2.16.840.1.101.3.4.3.18", "0609608648016503040312"),
        ("2.999.3", "0603883703"),
    ],
)
def test_object_identifiers(dotted: str, encoded: str) -> None:
    assert der.oid(dotted).hex() == encoded
    assert der.Reader(bytes.fromhex(encoded)).oid() == dotted


@given(st.integers(-(2**600), 2**600))
def test_any_integer_comes_back(number: int) -> None:
    assert der.Reader(der.integer(number)).integer() == number


@given(st.binary(max_size=70_000), st.integers(0, 300))
def test_any_content_comes_back(content: bytes, size: int) -> None:
    content = content[:size] if size < 200 else content
    reader = der.Reader(der.octets(content) + der.boolean(True))
    assert reader.read(der.OCTET_STRING) == content
    assert reader.read(der.BOOLEAN) == b"\xff"
    reader.end("it")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "it ends"),
        ("30", "cut off"),
        ("3080", "indefinite"),
        ("30850100000000", "too large"),
        ("3003020100", ""),
        ("308103020100", "shortest"),
        ("30820003020100", "shortest"),
        ("30820080" + "00" * 128, "shortest"),
        ("3004020100", "4 bytes were announced, 3 are there"),
        ("3103020100", "expected SEQUENCE, given SET"),
    ],
)
def test_lengths_and_tags_are_strict(content: str, said: str) -> None:
    reader = der.Reader(bytes.fromhex(content))
    if not said:
        assert reader.read(der.SEQUENCE).hex() == "020100"
        return
    with pytest.raises(Malformed, match=said):
        reader.read(der.SEQUENCE)


@pytest.mark.parametrize("content", ["0200", "02020001", "0202ff80"])
def test_integers_have_one_encoding(content: str) -> None:
    with pytest.raises(Malformed, match="an INTEGER"):
        der.Reader(bytes.fromhex(content)).integer()


@pytest.mark.parametrize("content", ["0600", "06022a80", "06032a8001", "0641" + "01" * 65])
def test_object_identifiers_have_one_encoding(content: str) -> None:
    with pytest.raises(Malformed, match="an OBJECT IDENTIFIER"):
        der.Reader(bytes.fromhex(content)).oid()


def test_bit_strings_are_of_whole_bytes() -> None:
    assert der.Reader(der.bits(b"ab")).bits() == b"ab"
    for content in ("0300", "03020780"):
        with pytest.raises(Malformed, match="whole bytes"):
            der.Reader(bytes.fromhex(content)).bits()


def test_what_follows_is_refused() -> None:
    with pytest.raises(Malformed, match="a thing: 2 bytes follow"):
        der.Reader(b"\x05\x00").end("a thing")


def test_times_change_their_form_in_2050() -> None:
    assert der.time(datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)) == b"\x17\x0d491231235959Z"
    assert der.time(datetime(2050, 1, 1, tzinfo=UTC)) == b"\x18\x0f20500101000000Z"


def test_elements_of_a_set_are_sorted() -> None:
    assert der.set_of(der.integer(2), der.integer(1)) == der.set_of(der.integer(1), der.integer(2))
