"""Readers of foreign bytes raise what they say they raise, whatever the bytes are.

tests/fuzz/fuzz_formats.py does more of it.
"""

# ruff: noqa: PT017 - any bytes may be refused, and then the refusal is looked at

from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ketgate_server.errors import FieldError
from ketgate_server.signing.algorithms import ALGORITHMS
from ketgate_server.signing.certificates import create_signing_request
from ketgate_server.signing.formats import (
    cbor,
    cose_key,
    jwk,
    jws,
    names,
    pkcs8,
    public_keys,
    requests,
    sign1,
    spki,
)
from ketgate_server.signing.formats.malformed import Malformed
from ketgate_server.signing.provider import KeyInvalid

from tests.unit.signing.formats.pairs import pair

ED25519 = ALGORITHMS["ED25519"]


def samples() -> dict[str, tuple[Callable[[bytes], object], bytes]]:
    own = pair("ED25519")
    signature = bytes(64)
    return {
        "spki": (spki.read, spki.write(ED25519, own.public_key)),
        "pkcs8": (partial(pkcs8.read_private, algorithm=ED25519), pkcs8.write(own.material)),
        "ecdsa": (
            partial(pkcs8.read, algorithm=ALGORITHMS["ECDSA_P256_SHA256"]),
            pair("ECDSA_P256_SHA256").material.content,
        ),
        "request": (requests.read, create_signing_request(own.signer(), "CN=a", ["a.example"])),
        "jws": (
            partial(jws.parse, algorithm=ED25519),
            jws.assemble(ED25519, b"payload", "kid", signature),
        ),
        "cose": (
            partial(sign1.parse, algorithm=ED25519),
            sign1.assemble(ED25519, b"payload", "kid", signature),
        ),
        "jwk": (public_keys.read, jwk.write(ED25519, own.public_key, "kid")),
        "cose_key": (public_keys.read, cose_key.write(ED25519, own.public_key, "kid")),
        "cbor": (cbor.read, cbor.write([{1: b"a"}, "b", None])),
    }


SAMPLES = samples()


@pytest.mark.parametrize("name", SAMPLES)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
@given(content=st.binary(max_size=300), at=st.integers(0, 500), size=st.integers(0, 20))
def test_any_bytes_and_any_change_of_right_ones(
    name: str, content: bytes, at: int, size: int
) -> None:
    read, right = SAMPLES[name]
    at %= len(right) + 1
    for wrong in (content, right[:at] + content[:size] + right[at + size :], right[:at]):
        try:
            read(wrong)
        except (Malformed, KeyInvalid) as error:
            assert len(str(error)) < 500


@pytest.mark.parametrize("name", SAMPLES)
def test_every_byte_of_right_ones_may_change(name: str) -> None:
    read, right = SAMPLES[name]
    read(right)
    for at in range(len(right)):
        for value in (0, 0x7F, 0x80, 0xFF, right[at] ^ 1):
            try:
                read(right[:at] + bytes((value,)) + right[at + 1 :])
            except (Malformed, KeyInvalid) as error:
                assert len(str(error)) < 500


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=80) | st.from_regex(r"(CN|O|1\.2\.[0-9]{1,3})=[#+,\\a-f0-9\"]{0,20}"))
def test_any_text_is_a_name_or_is_refused(text: str) -> None:
    try:
        written = names.distinguished(text, "subject")
    except FieldError as error:
        assert error.field == "subject"
        return
    names.read_distinguished(names.der.Reader(written))


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=80) | st.from_regex(r"[a-z]{0,8}(://)?[a-z0-9@.:\[\]%*-]{0,30}"))
def test_any_text_is_an_alternative_name_or_is_refused(text: str) -> None:
    try:
        written = names.alternatives([text], "names")
    except FieldError as error:
        assert error.field == "names[0]"
        return
    (read,) = names.read_alternatives(written)
    assert names.alternatives([read], "names") == written
