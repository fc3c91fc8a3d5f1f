"""client.sign, over a server within the test that signs with keys made here, and `ketgate verify`."""

import asyncio
import json
from collections.abc import Iterator
from concurrent import futures
from hashlib import sha256
from pathlib import Path
from typing import Any

import google_crc32c
import grpc
import ketgate
import pytest
from ketgate._cli.app import build
from ketgate._document import CONTEXT
from ketgate.signing.v1 import (
    algorithm_pb2,
    key_pb2,
    key_service_pb2,
    key_service_pb2_grpc,
    signature_pb2,
    signing_service_pb2,
    signing_service_pb2_grpc,
)
from typer.testing import CliRunner

from .document_signer import SIGNERS, public_key, public_pem, sign

LONG = b"x" * (5 << 20)


class Servicer(
    key_service_pb2_grpc.KeyServiceServicer, signing_service_pb2_grpc.SigningServiceServicer
):  # type: ignore[misc]
    """One key with one version."""

    def __init__(self) -> None:
        self.algorithm = "ML_DSA_65"
        self.state = key_pb2.KEY_VERSION_STATE_ENABLED
        self.streamed = False
        self.damage = False
        self.damaged_left = 0
        self.request_ids: list[str] = []

    def ExportPublicKey(self, request: Any, context: Any) -> Any:  # noqa: N802
        if request.name not in ("keys/desk", "keys/desk/versions/1"):
            context.abort(grpc.StatusCode.NOT_FOUND, "none")
        content = public_key(self.algorithm)
        return key_service_pb2.ExportPublicKeyResponse(
            usable=self.state == key_pb2.KEY_VERSION_STATE_ENABLED,
            public_key=content,
            public_key_crc32c=google_crc32c.value(content),
            version=key_pb2.KeyVersion(
                name="keys/desk/versions/1",
                state=self.state,
                algorithm=algorithm_pb2.Algorithm.Value(f"ALGORITHM_{self.algorithm}"),
            ),
        )

    def Sign(self, request: Any, context: Any) -> Any:  # noqa: N802
        assert google_crc32c.value(request.message) == request.message_crc32c
        return signing_service_pb2.SignResponse(signature=self._signature(request, request.message))

    def SignStream(self, requests: Iterator[Any], context: Any) -> Any:  # noqa: N802
        self.streamed = True
        start, *rest = list(requests)
        message = b"".join(one.chunk for one in rest[:-1])
        assert max(len(one.chunk) for one in rest[:-1]) <= 1 << 20
        assert rest[-1].message_crc32c == google_crc32c.value(message)
        return signing_service_pb2.SignStreamResponse(
            signature=self._signature(start.start, message), message_bytes=len(message)
        )

    def _signature(self, request: Any, message: bytes) -> Any:
        assert request.key == "keys/desk/versions/1"
        assert request.request_id
        assert request.options.context == (CONTEXT if self.algorithm.startswith("ML") else b"")
        self.request_ids.append(request.request_id)
        signature = SIGNERS[self.algorithm][1](message + (b"!" if self.damage else b""))
        arrives = signature
        if self.damaged_left:
            self.damaged_left -= 1
            arrives = b"!" + signature[1:]
        return signature_pb2.Signature(
            signature=arrives,
            signature_crc32c=google_crc32c.value(signature),
            content_sha256=sha256(message).digest(),
            algorithm=algorithm_pb2.Algorithm.Value(f"ALGORITHM_{self.algorithm}"),
            key_version="keys/desk/versions/1",
        )


@pytest.fixture
def servicer() -> Servicer:
    return Servicer()


@pytest.fixture
def address(servicer: Servicer) -> Iterator[str]:
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
    key_service_pb2_grpc.add_KeyServiceServicer_to_server(servicer, server)
    signing_service_pb2_grpc.add_SigningServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


@pytest.fixture
def client(address: str) -> Iterator[ketgate.Client]:
    with ketgate.connect(address, insecure=True, retry=ketgate.Retry(1)) as made:
        yield made


@pytest.mark.parametrize("algorithm", ["ML_DSA_65", "ED25519", "ECDSA_SECP256K1_SHA256"])
def test_one_call_signs(client: ketgate.Client, servicer: Servicer, algorithm: str) -> None:
    servicer.algorithm = algorithm
    document = client.sign({"buy": 1}, key="keys/desk", title="order")
    assert document.verify(public_key=public_key(algorithm))
    assert (document.title, document.key_version) == ("order", "keys/desk/versions/1")
    assert not servicer.streamed


def test_what_is_long_goes_in_pieces(client: ketgate.Client, servicer: Servicer) -> None:
    document = client.sign(LONG, key="desk")
    assert servicer.streamed
    assert document.content == LONG
    assert document.verify(public_key=public_key("ML_DSA_65"))


def test_the_asynchronous_client_signs_as_well(address: str, servicer: Servicer) -> None:
    async def sign_both() -> list[ketgate.SignedDocument]:
        async with ketgate.aio.connect(address, insecure=True) as client:
            return [await client.sign(one, key="desk") for one in (b"short", LONG)]

    short, long = asyncio.run(sign_both())
    assert servicer.streamed
    assert short.verify(public_key=public_key("ML_DSA_65"))
    assert long.verify(public_key=public_key("ML_DSA_65"))


def test_the_environment_names_the_key(
    client: ketgate.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ketgate.InvalidArgument, match="KETGATE_SIGNING_KEY"):
        client.sign(b"content")
    monkeypatch.setenv("KETGATE_SIGNING_KEY", "keys/desk")
    assert client.sign(b"content").verify().valid


@pytest.mark.parametrize("key", ["keys/", "Desk", "keys/desk/versions/0", "keys/desk/x", "a" * 64])
def test_a_name_that_is_none_is_refused(client: ketgate.Client, key: str) -> None:
    with pytest.raises(ketgate.InvalidArgument) as caught:
        client.sign(b"content", key=key)
    assert caught.value.field == "key"


def test_a_wrong_signature_is_not_handed_out(client: ketgate.Client, servicer: Servicer) -> None:
    servicer.damage = True
    with pytest.raises(ketgate.DataLoss, match="signature"):
        client.sign(b"content", key="desk")


@pytest.mark.parametrize("content", [b"short", LONG])
def test_a_signature_that_was_damaged_is_asked_for_again(
    address: str, servicer: Servicer, content: bytes
) -> None:
    """As by client.signing: of documents it was an error at once, which named no reason."""
    servicer.damaged_left = 1
    with ketgate.connect(address, insecure=True) as client:
        document = client.sign(content, key="desk")
    assert document.verify(public_key=public_key("ML_DSA_65"))
    [first, again] = servicer.request_ids
    assert first == again


def test_a_signature_that_is_damaged_each_time_is_refused(
    client: ketgate.Client, servicer: Servicer
) -> None:
    servicer.damaged_left = 9
    with pytest.raises(ketgate.DataLoss) as caught:
        client.sign(b"content", key="desk")
    assert caught.value.reason == "DIGEST_MISMATCH"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return sign(b"content", title="a title").save(tmp_path / "document.json")


def verify(file: Path, *options: str) -> Any:
    arguments = ["verify", str(file), *options]
    return CliRunner().invoke(build(arguments), arguments)


def test_command_valid_but_not_pinned(file: Path) -> None:
    run = verify(file)
    assert run.exit_code == 4
    assert "valid, but the key is not pinned" in run.output
    assert "a title" in run.output


def test_command_with_a_key(file: Path, tmp_path: Path) -> None:
    pem = tmp_path / "key.pem"
    pem.write_bytes(public_pem("ML_DSA_65"))
    assert verify(file, "--public-key", str(pem)).exit_code == 0
    pem.write_bytes(public_pem("ML_DSA_87"))
    run = verify(file, "--public-key", str(pem))
    assert run.exit_code == 4
    assert "and not by" in run.output
    fingerprint = sha256(public_key("ML_DSA_65")).hexdigest()
    colons = ":".join(fingerprint[i : i + 2] for i in range(0, 64, 2)).upper()
    assert verify(file, "--fingerprint", fingerprint).exit_code == 0
    assert verify(file, "--fingerprint", colons).exit_code == 0


def test_command_pins(file: Path, tmp_path: Path) -> None:
    assert verify(file, "--pin").exit_code == 0
    run = verify(file, "--content", str(tmp_path / "content"), "--json")
    assert run.exit_code == 0
    assert json.loads(run.output)["trusted"] is True
    assert (tmp_path / "content").read_bytes() == b"content"
    assert verify(sign(b"x", "ED25519").save(tmp_path / "other.json")).exit_code == 4


def test_command_does_not_pin_another_key_than_the_one_given(file: Path) -> None:
    assert verify(file, "--pin", "--fingerprint", "0" * 64).exit_code == 4
    assert verify(file).exit_code == 4


def test_command_asks_the_server(
    file: Path, address: str, servicer: Servicer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KETGATE_ADDRESS", address)
    run = verify(file, "--key", "keys/desk", "--insecure")
    assert run.exit_code == 0, run.output
    assert "keys/desk/versions/1 of" in run.output
    servicer.state = key_pb2.KEY_VERSION_STATE_DISABLED
    run = verify(file, "--key", "keys/desk", "--insecure")
    assert (run.exit_code, "is disabled at" in run.output) == (4, True)
    servicer.state, servicer.algorithm = key_pb2.KEY_VERSION_STATE_ENABLED, "ED25519"
    assert verify(file, "--key", "keys/desk", "--insecure").exit_code == 4


def test_command_says_what_is_not_valid(file: Path, tmp_path: Path) -> None:
    told = json.loads(file.read_text())
    told["title"] = "another"
    file.write_text(json.dumps(told))
    run = verify(file, "--pin", "--content", str(tmp_path / "content"))
    assert run.exit_code == 3
    assert "NOT VALID" in run.output
    assert not (tmp_path / "content").exists()
    assert verify(file).exit_code == 3


def test_command_tells_what_is_not_signed_apart(file: Path) -> None:
    """The standard stood beside the algorithm as if it had been checked."""
    told = json.loads(file.read_text())
    told["signature"]["standard"] = "certified by all"
    file.write_text(json.dumps(told))
    [line] = [line for line in verify(file).output.splitlines() if "certified" in line]
    assert line.startswith("says ")


def test_command_says_where_it_cannot_write(file: Path, tmp_path: Path) -> None:
    """The content: it was a traceback."""
    run = verify(file, "--pin", "--content", str(tmp_path / "missing" / "content"))
    assert run.exit_code == 1
    assert isinstance(run.exception, ketgate.InvalidArgument | SystemExit)
    assert "--content" in f"{run.output}{run.exception}"


def test_command_shows_nothing_that_a_terminal_obeys(file: Path) -> None:
    told = json.loads(file.read_text())
    told["signature"]["keyVersion"] = "keys/\x1b[2J"
    file.write_text(json.dumps(told))
    run = verify(file)
    assert run.exit_code == 4
    assert "\x1b" not in run.output
