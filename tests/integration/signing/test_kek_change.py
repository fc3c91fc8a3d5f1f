"""A server is started with another key-encryption key: its keys sign as before, and the audit stays whole."""

from pathlib import Path
from typing import Any

import ketgate
from ketgate.signing.v1 import (
    algorithm_pb2,
    key_service_pb2,
    key_service_pb2_grpc,
    signing_service_pb2,
    signing_service_pb2_grpc,
)

from ...conftest import ServerProcess, StartServer

TIMEOUT_S = 100.0


def call(server: ServerProcess, service: Any, method: str, request: Any) -> Any:
    with server.channel() as channel:
        stub = service(channel)
        return getattr(stub, method)(request, metadata=server.metadata, timeout=TIMEOUT_S)


def sign(server: ServerProcess) -> bytes:
    request = signing_service_pb2.SignRequest(key="keys/kept", message=b"message")
    reply = call(server, signing_service_pb2_grpc.SigningServiceStub, "Sign", request)
    return bytes(reply.signature.signature)


def verifies(server: ServerProcess, signature: bytes) -> bool:
    request = signing_service_pb2.VerifyRequest(
        key="keys/kept", message=b"message", signature=signature
    )
    reply = call(server, signing_service_pb2_grpc.SigningServiceStub, "Verify", request)
    return bool(reply.verdict.valid)


def test_keys_survive_a_change_of_what_they_are_encrypted_under(
    start_server: StartServer, tmp_path: Path
) -> None:
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("several random words")
    passphrase.chmod(0o600)
    server = start_server()
    asked = key_service_pb2.CreateKeyRequest(
        key_id="kept", algorithm=algorithm_pb2.ALGORITHM_ML_DSA_65
    )
    call(server, key_service_pb2_grpc.KeyServiceStub, "CreateKey", asked)
    before = sign(server)
    assert server.stop() == 0
    given = ["--set", "signing.kek=passphrase", "--set", f"signing.passphrase_file={passphrase}"]
    previous = f"signing.previous_kek_file={server.data_dir / 'keys' / 'kek.key'}"
    changing = start_server(*given, "--set", previous, data_dir=server.data_dir)
    assert verifies(changing, before)
    after = sign(changing)
    with ketgate.connect(ready_file=changing.ready_file) as client:
        client.audit.verify()
        actions = [entry.action for entry in client.audit.entries()]
    assert actions.count("signing.kek.changed") == 1
    assert changing.stop() == 0
    (server.data_dir / "keys" / "kek.key").unlink()
    changed = start_server(*given, data_dir=server.data_dir)
    assert verifies(changed, after)
    assert verifies(changed, sign(changed))
