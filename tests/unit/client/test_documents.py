"""Signed documents: what is signed, that any change of it is found, and that no bytes do harm."""

import base64
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import google_crc32c
import ketgate
import numpy as np
import pandas as pd
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from ketgate._document import PREFIX, SignedDocument, signed_bytes
from ketgate._document_content import content_of
from ketgate._errors import InvalidArgument
from ketgate._events import Outcome
from ketgate._portfolio_result import decode_any
from ketgate._verification import verifies, verify_signature
from ketgate.optimization.v1 import optimization_service_pb2, result_pb2
from ketgate.signing.v1 import signature_pb2

from .document_signer import SIGNERS, TIME, public_key, public_pem, sign


@pytest.fixture(scope="module")
def document() -> SignedDocument:
    return sign({"buy": 100, "symbol": "ACME"}, title="order 7")


def a_result() -> Any:
    spec = optimization_service_pb2.SolveSpec()
    spec.portfolio.names.extend(["ACME", "INIT"])
    message = result_pb2.SolveResult(objective=1.5, status=1)
    values = message.solutions.add(objective=1.5).values
    values.shape.append(2)
    values.dtype = 1
    values.data = np.array([0.25, 0.75], "<f8").tobytes()
    return decode_any(Outcome(message, spec, [], []))


@pytest.mark.parametrize("name", SIGNERS)
def test_a_signed_document_holds_under_its_key_only(name: str) -> None:
    signed = sign(b"content", name)
    assert signed.algorithm == name
    assert signed.verify(public_key=public_key(name))
    assert signed.verify(public_key=public_pem(name))
    assert signed.verify(fingerprint=sha256(public_key(name)).hexdigest())
    other = next(n for n in SIGNERS if n != name)
    verdict = signed.verify(public_key=public_key(other))
    assert (verdict.valid, verdict.trusted, bool(verdict)) == (True, False, False)


def test_without_a_key_nothing_is_trusted(document: SignedDocument) -> None:
    verdict = document.verify()
    assert verdict.valid
    assert not verdict.trusted
    assert not verdict
    assert document.fingerprint in verdict.detail


def test_key_and_fingerprint_must_both_be_its(document: SignedDocument) -> None:
    assert not document.verify(public_key=public_key("ML_DSA_65"), fingerprint="0" * 64)


def test_what_is_signed_is_the_format_of_the_contract(document: SignedDocument) -> None:
    """The prefix, then the message's bytes by hand: field numbers and order are the contract's."""
    content = b'{"buy":100,"symbol":"ACME"}'
    stamp = b"\x08" + _varint(int(TIME.timestamp())) + b"\x10" + _varint(890_000_000)
    expected = b"ketgate signed document v1\x00"
    for number, value in (
        (1, b"ketgate.signed-document.v1"),
        (2, b"application/json"),
        (3, content),
        (4, b"order 7"),
        (5, stamp),
    ):
        expected += bytes([number << 3 | 2, len(value)]) + value
    assert signed_bytes(document.message) == expected
    assert verify_signature(
        "ML_DSA_65",
        document.public_key,
        document.message.signature.signature,
        expected,
        b"ketgate.signed-document.v1",
    )


def _varint(value: int) -> bytes:
    written = bytearray()
    while value > 127:
        written.append(value & 127 | 128)
        value >>= 7
    return bytes([*written, value])


def test_saved_and_loaded(document: SignedDocument, tmp_path: Path) -> None:
    path = document.save(tmp_path / "order.json")
    again = SignedDocument.load(path)
    assert again.message == document.message
    assert again.title == "order 7"
    assert again.time == TIME
    assert again.open() == {"buy": 100, "symbol": "ACME"}
    assert [p.name for p in tmp_path.iterdir()] == ["order.json"]


def test_the_file_is_the_messages_json(document: SignedDocument) -> None:
    """Other languages read it with their protobuf library."""
    told = json.loads(document.to_json())
    assert told["format"] == "ketgate.signed-document.v1"
    assert told["contentType"] == "application/json"
    assert base64.b64decode(told["publicKey"]) == public_key("ML_DSA_65")
    assert told["signature"]["algorithm"] == "ALGORITHM_ML_DSA_65"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("content", b"{}"),
        ("content_type", "text/plain"),
        ("title", "order 8"),
        ("format", "ketgate.signed-document.v2"),
    ],
)
def test_a_change_of_a_field_is_found(document: SignedDocument, field: str, value: Any) -> None:
    changed = signature_pb2.SignedDocument()
    changed.CopyFrom(document.message)
    setattr(changed, field, value)
    assert not SignedDocument(changed).verify().valid
    # Nor when the digest is made to fit.
    changed.signature.content_sha256 = sha256(signed_bytes(changed)).digest()
    assert "not one of the key" in SignedDocument(changed).verify().detail


def test_a_change_of_the_time_is_found(document: SignedDocument) -> None:
    changed = signature_pb2.SignedDocument()
    changed.CopyFrom(document.message)
    changed.time.nanos += 1
    assert not SignedDocument(changed).verify().valid
    changed.ClearField("time")
    assert not SignedDocument(changed).verify().valid


def test_another_algorithm_is_not_taken_for_the_keys(document: SignedDocument) -> None:
    """Of one key, no signature counts as one of another algorithm."""
    for name in SIGNERS:
        changed = signature_pb2.SignedDocument()
        changed.CopyFrom(document.message)
        changed.signature.algorithm = sign(b"", name).message.signature.algorithm
        assert SignedDocument(changed).verify().valid == (name == "ML_DSA_65")


def test_another_context_does_not_hold() -> None:
    """A signature that the key made over the same bytes for another use is none of a document."""
    signed = sign(b"content")
    key = SIGNERS["ML_DSA_65"][0]
    signature = key.sign(signed_bytes(signed.message))
    assert not verify_signature(
        "ML_DSA_65", signed.public_key, signature, signed_bytes(signed.message), b"x"
    )
    signed.message.signature.signature = signature
    assert not signed.verify().valid


@given(data=st.data())
def test_no_change_of_a_files_bytes_is_taken_for_what_was_signed(
    document: SignedDocument, data: st.DataObject
) -> None:
    """A changed file is refused, or not valid, or says the same things: what is signed and by whom."""
    text = bytearray(document.to_json().encode())
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, len(text) - 1))
        kind = data.draw(st.sampled_from(["change", "drop", "insert"]))
        byte = data.draw(st.integers(0, 255))
        if kind == "change":
            text[position] = byte
        elif kind == "drop":
            del text[position]
        else:
            text.insert(position, byte)
    try:
        read = SignedDocument.from_json(bytes(text))
        valid = bool(read.verify(public_key=public_key("ML_DSA_65")))
    except InvalidArgument:
        return
    if valid:
        assert signed_bytes(read.message) == signed_bytes(document.message)
        assert read.public_key == document.public_key


@given(content=st.one_of(st.binary(max_size=300), st.text(max_size=300)))
def test_any_bytes_are_a_document_or_a_clear_error(content: bytes | str) -> None:
    with pytest.raises(InvalidArgument, match="document"):
        SignedDocument.from_json(content)


@given(
    signature=st.binary(max_size=5000),
    key=st.one_of(st.binary(max_size=200), st.sampled_from([public_key(n) for n in SIGNERS])),
    number=st.integers(0, 90),
)
def test_any_signature_and_key_get_an_answer(signature: bytes, key: bytes, number: int) -> None:
    signed = sign(b"content")
    signed.message.signature.signature = signature
    signed.message.public_key = key
    signed.message.signature.algorithm = number  # type: ignore[assignment]
    signed.message.signature.signature_crc32c = 0
    if verifies(signed.algorithm):
        assert not signed.verify().valid
    else:
        signed.message.signature.signature_crc32c = google_crc32c.value(signature)
        with pytest.raises(InvalidArgument, match="not verified without a server"):
            signed.verify()


@given(
    name=st.sampled_from(
        ["ML_DSA_44_ED25519", "ML_DSA_65_ECDSA_P384", "ECDSA_SECP256K1_SHA256", "ML-DSA-87"]
    ),
    key=st.binary(max_size=3000),
    signature=st.binary(max_size=5000),
)
def test_bytes_that_are_no_key_verify_nothing(name: str, key: bytes, signature: bytes) -> None:
    assert verify_signature(name, key, signature, b"message") is False


def test_nested_json_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="document"):
        SignedDocument.from_json("[" * 100_000)


def test_a_result_is_signed_with_its_names() -> None:
    signed = sign(a_result())
    assert signed.content_type == "ketgate.signing.v1.ResultRecord"
    again = SignedDocument.from_json(signed.to_json()).open()
    assert isinstance(again, ketgate.PortfolioResult)
    assert list(again.spec.portfolio.names) == ["ACME", "INIT"]
    assert list(again.weights) == [0.25, 0.75]
    assert again.objective == 1.5


def test_messages_files_tables_and_bytes(tmp_path: Path) -> None:
    message = result_pb2.SolveResult(objective=2.0)
    assert sign(message).content_type == "ketgate.optimization.v1.SolveResult"
    assert sign(message).open() == message
    file = tmp_path / "report.txt"
    file.write_text("fine")
    assert content_of(file) == ("text/plain", b"fine", "report.txt")
    assert sign(file, title="q3").title == "q3"
    table = pd.DataFrame({"buy": [1]}, index=["ACME"])
    assert content_of(table) == ("text/csv", b",buy\nACME,1\n", "")
    assert sign(b"\x00").open() == b"\x00"


def test_the_order_of_a_dict_does_not_matter() -> None:
    assert content_of({"b": 1, "a": [2.5]}) == content_of({"a": [2.5], "b": 1})


@pytest.mark.parametrize("thing", ["a text", 3, None, {"x": float("nan")}, {1: {2}}, object()])
def test_what_cannot_be_signed_is_refused(thing: Any) -> None:
    with pytest.raises(InvalidArgument) as caught:
        content_of(thing)
    assert caught.value.field == "content"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="cannot be read"):
        content_of(tmp_path / "none")


def test_a_type_that_is_not_known_is_bytes(document: SignedDocument) -> None:
    for kind in ("ketgate.optimization.v1.Nothing", "ketgate.os.path.system", "x/y", "os.v1.a.b"):
        changed = signature_pb2.SignedDocument(content_type=kind, content=b"\xff")
        assert SignedDocument(changed).open() == b"\xff"
    changed = signature_pb2.SignedDocument(
        content_type="ketgate.optimization.v1.SolveResult", content=b"\xff"
    )
    with pytest.raises(InvalidArgument, match=r"are no ketgate\.optimization\.v1\.SolveResult"):
        SignedDocument(changed).open()


def test_the_prefix_is_no_other_uses() -> None:
    from ketgate._tree_head import SIGNING_CONTEXT

    assert not PREFIX.startswith(SIGNING_CONTEXT)
    assert not SIGNING_CONTEXT.startswith(PREFIX)


def test_composites_need_both_parts() -> None:
    """Made here out of its parts, by the draft's construction."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    first, other = SIGNERS["ML_DSA_65"][0], SIGNERS["ECDSA_P384_SHA384"][0]
    label, context, message = b"COMPSIG-MLDSA65-ECDSA-P384-SHA512", b"use", b"message"
    import hashlib

    inner = b"CompositeAlgorithmSignatures2025" + label + b"\x03use"
    inner += hashlib.sha512(message).digest()
    parts = [first.sign(inner, label), other.sign(inner, ec.ECDSA(hashes.SHA384()))]
    raw = first.public_key().public_bytes_raw() + other.public_key().public_bytes(
        Encoding.X962, PublicFormat.UncompressedPoint
    )
    identifier = bytes.fromhex("300a06082b060105050706") + bytes([46])
    bits = b"\x03\x82" + (len(raw) + 1).to_bytes(2) + b"\x00" + raw
    body = identifier + bits
    key = b"\x30\x82" + len(body).to_bytes(2) + body
    name = "ML_DSA_65_ECDSA_P384"
    assert verify_signature(name, key, b"".join(parts), message, context)
    assert not verify_signature(name, key, b"".join(parts), message, b"uses")
    assert not verify_signature(name, key, b"".join(parts), b"messages", context)
    for i in (0, len(parts[0]), len(parts[0]) + 20):
        broken = bytearray(b"".join(parts))
        broken[i] ^= 1
        assert not verify_signature(name, key, bytes(broken), message, context)
    assert not verify_signature("ML_DSA_65_ECDSA_P256", key, b"".join(parts), message, context)
    assert not verify_signature(name, key, parts[0], message, context)
    assert not verify_signature(name, key + b"\0", b"".join(parts), message, context)
