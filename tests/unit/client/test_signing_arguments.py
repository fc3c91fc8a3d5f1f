"""What callers of client.signing give by mistake is refused here, by the name of the argument, and is never signed."""

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import ketgate
import pytest
from ketgate._document_signing import key_name
from ketgate.signing.v1 import signature_pb2, signing_service_pb2

from .fake_server import FakeServer, answering, failing

KEY = "keys/desk"


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda s: s.sign(KEY, Path("order.pdf")), "message"),
        (lambda s: s.verify(b"x", b"y", public_key=Path("desk.pem")), "public_key"),
        (lambda s: s.seal(Path("order.pdf"), key=KEY), "plaintext"),
        (lambda s: s.mac(KEY, Path("order.pdf")), "message"),
        (lambda s: s.sign_many(KEY, [b"x", Path("order.pdf")]), "messages[1]"),
        (lambda s: s.import_public_key("desk", "ED25519", Path("desk.pem")), "public_key"),
    ],
)
def test_a_path_is_not_taken_for_what_is_in_the_file(
    client: ketgate.Client, call: Callable[[Any], Any], field: str
) -> None:
    # bytes(Path("order.pdf")) is the name: signed, it would look like a signature of the file
    with pytest.raises(ketgate.InvalidArgument, match=r"given the path .*\n.*read_bytes") as caught:
        call(client.signing)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda s: s.sign(KEY, "\ud800"), "message"),
        (lambda s: s.sign("\ud800", b"x"), "key"),
        (lambda s: s.sign(KEY, b"x", prehash=5), "prehash"),
        (lambda s: s.sign(KEY, b"x", deterministic="yes"), "deterministic"),
        (lambda s: s.sign(KEY, b"x", format=["jws"]), "format"),
        (lambda s: s.sign_many(KEY, None), "messages"),
        (lambda s: s.sign_many(KEY, {"message": ["a", "b"]}), "messages"),
        (lambda s: s.sign_many(KEY, {b"a", b"b"}), "messages"),
        (lambda s: s.verify_many([5], [b"x"], key=KEY), "signatures[0]"),
        (lambda s: s.verify_many([10**12], [b"x"], key=KEY), "signatures[0]"),
        (lambda s: s.verify_many(5, [b"x"], key=KEY), "signatures"),
        (
            lambda s: s.certificate_request(KEY, "CN=desk", "desk"),
            "subject_alternative_names",
        ),
    ],
)
def test_what_is_of_the_wrong_kind_is_named(
    client: ketgate.Client, call: Callable[[Any], Any], field: str
) -> None:
    with pytest.raises(ketgate.InvalidArgument, match=r"expected .* given ") as caught:
        call(client.signing)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "call", [lambda s, p: s.sign_file(KEY, p), lambda s, p: s.verify_file(b"x", p, key=KEY)]
)
def test_a_pipe_is_not_taken_for_a_file(
    client: ketgate.Client, tmp_path: Path, call: Callable[[Any, Path], Any]
) -> None:
    """Its beginning was read to see whether it can be, and the signature was one of the rest."""
    os.mkfifo(tmp_path / "pipe")
    ends = os.open(tmp_path / "pipe", os.O_RDWR)
    os.write(ends, b"content")
    with pytest.raises(
        ketgate.InvalidArgument, match=r"path: expected a file, given .*pipe"
    ) as caught:
        call(client.signing, tmp_path / "pipe")
    assert caught.value.field == "path"
    assert os.read(ends, 100) == b"content"
    os.close(ends)


def test_a_stream_is_sent_once(fake: FakeServer, tmp_path: Path) -> None:
    """What was read of it is gone: tried again, the signature would be one of the rest."""
    (tmp_path / "file").write_bytes(b"content")
    client = ketgate.connect(fake.address, insecure=True, retry=ketgate.Retry(3, 0.001))
    for source, calls in ((tmp_path / "file", 3), (io.BytesIO(b"content"), 1)):
        fake.behave(failing(grpc.StatusCode.RESOURCE_EXHAUSTED, "SERVER_BUSY", retry_after_s=0.01))
        with pytest.raises(ketgate.ServerBusy):
            client.signing.sign_file(KEY, source)
        assert len(fake.calls) == calls
        fake.behave(failing(grpc.StatusCode.INVALID_ARGUMENT, "CHECKSUM_MISMATCH"))
        with pytest.raises(ketgate.InvalidArgument):
            client.signing.verify_file(b"x", source, key=KEY)
        assert len(fake.calls) == calls
    client.close()


@pytest.mark.parametrize(
    ("source", "expected"), [(io.StringIO("x"), "given one of text"), (5, "given int")]
)
def test_a_stream_is_one_of_bytes(client: ketgate.Client, source: Any, expected: str) -> None:
    with pytest.raises(ketgate.InvalidArgument, match=f"path: expected .*{expected}"):
        client.signing.sign_file(KEY, source)


def test_what_was_not_signed_does_not_hold_and_the_rest_is_verified(
    fake: FakeServer, client: ketgate.Client
) -> None:
    sent: list[Any] = []

    def verify(content: bytes, context: Any) -> Any:
        sent.append(signing_service_pb2.VerifyBatchRequest.FromString(content))
        results = [
            signature_pb2.VerifyItemResult(
                verdict=signature_pb2.Verdict(valid=bool(item.signature))
            )
            for item in sent[-1].items
        ]
        yield from answering(signing_service_pb2.VerifyBatchResponse(results=results))(
            content, context
        )

    fake.behave(verify)
    signed = [b"signature", ketgate.ItemError("POLICY_DENIED", "items[1].context: no")]
    found = client.signing.verify_many(signed, ["a", "b"], key=KEY)
    assert [bool(one) for one in found] == [True, False]
    assert [item.signature for item in sent[-1].items] == [b"signature", b""]


def test_a_missing_context_of_pandas_is_none(fake: FakeServer, client: ketgate.Client) -> None:
    pandas = pytest.importorskip("pandas")
    sent: list[Any] = []

    def sign(content: bytes, _: Any) -> Any:
        sent.append(signing_service_pb2.SignBatchRequest.FromString(content))
        error = signature_pb2.SignItemResult(error=signature_pb2.ItemError(reason="X"))
        yield signing_service_pb2.SignBatchResponse(results=[error] * 2)

    fake.behave(sign)
    contexts = pandas.array(["fx", None], dtype="string")  # missing: pandas.NA
    client.signing.sign_many(KEY, pandas.DataFrame({"message": ["a", "b"], "context": contexts}))
    assert [item.HasField("context") for item in sent[-1].items] == [True, False]


class _Key:
    name = "keys/desk/versions/3"


@pytest.mark.parametrize("given", ["desk", "keys/desk"])
def test_a_document_is_signed_by_a_name(given: str) -> None:
    assert key_name(given) == KEY


def test_a_document_is_signed_by_a_key_as_it_came() -> None:
    assert key_name(_Key()) == "keys/desk/versions/3"  # type: ignore[arg-type]
    with pytest.raises(ketgate.InvalidArgument, match="given int") as caught:
        key_name(5)  # type: ignore[arg-type]
    assert caught.value.field == "key"
