"""Documents that a real server signs, checked without it: every algorithm that can be."""

import asyncio
from pathlib import Path
from typing import Any

import ketgate
import numpy as np
import pytest
from ketgate._cli.app import build
from ketgate.signing.v1 import algorithm_pb2, key_service_pb2, key_service_pb2_grpc
from typer.testing import CliRunner

ALGORITHMS = (
    "ML_DSA_44",
    "ML_DSA_65",
    "ML_DSA_87",
    "ED25519",
    "ECDSA_P256_SHA256",
    "ECDSA_P384_SHA384",
    "ECDSA_SECP256K1_SHA256",
    "ML_DSA_44_ED25519",
    "ML_DSA_44_ECDSA_P256",
    "ML_DSA_65_ED25519",
    "ML_DSA_65_ECDSA_P256",
    "ML_DSA_65_ECDSA_P384",
    "ML_DSA_87_ECDSA_P384",
)


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def create(client: ketgate.Client, algorithm: str) -> str:
    stub = key_service_pb2_grpc.KeyServiceStub(client.channel)
    key_id = algorithm.lower().replace("_", "-")
    number = algorithm_pb2.Algorithm.Value(f"ALGORITHM_{algorithm}")
    request = key_service_pb2.CreateKeyRequest(key_id=key_id, algorithm=number)
    name: str = stub.CreateKey(request, metadata=client.metadata(), timeout=200.0).key.name
    return name


def verify(server: Any, *words: object) -> Any:
    arguments = ["verify", *map(str, words)]
    environment = {"KETGATE_READY_FILE": str(server.ready_file)}
    return CliRunner().invoke(build(arguments), arguments, env=environment)


def test_documents_of_every_algorithm(start_server: Any, tmp_path: Path) -> None:
    server = start_server()
    path = tmp_path / "document.json"
    with ketgate.connect(ready_file=server.ready_file) as client:
        for algorithm in ALGORITHMS:
            document = client.sign({"n": algorithm}, key=create(client, algorithm))
            assert document.algorithm == algorithm
            assert document.verify(fingerprint=document.fingerprint)
            document.message.title = "another"
            assert not document.verify().valid
        result = client.optimize.qubo(np.array([[1.0, -2.0], [-2.0, 1.0]]))
        document = client.sign(result, key="keys/ml-dsa-65", title="a solve")
        document.save(path)
        again = ketgate.SignedDocument.load(path).open()
        assert again.objective == result.objective
        long = client.sign(b"z" * (9 << 20), key="keys/ml-dsa-65-ed25519")
        assert long.verify().valid
        for refused in ("keys/none", "keys/ml-dsa-65/versions/7"):
            with pytest.raises(ketgate.NotFound):
                client.sign(b"content", key=refused)
    assert verify(server, path, "--key", "keys/ml-dsa-65").exit_code == 0
    assert verify(server, path, "--key", "keys/ed25519").exit_code == 4
    assert verify(server, path, "--key", "keys/none").exit_code == 4

    version = "keys/ml-dsa-65/versions/1"
    with ketgate.connect(ready_file=server.ready_file) as client:
        client.signing.disable(version)
        disabled = verify(server, path, "--key", "keys/ml-dsa-65")
        client.signing.enable(version)
        client.signing.rotate("ml-dsa-65")
        client.signing.update_key("ml-dsa-65", min_version=2)
        below = verify(server, path, "--key", "keys/ml-dsa-65")
        client.signing.update_key("ml-dsa-65", min_version=1, primary_version=1)
    assert (below.exit_code, "below its key's min_version" in below.output) == (4, True)
    assert (disabled.exit_code, f"valid, but {version} is disabled" in disabled.output) == (4, True)

    async def sign() -> ketgate.SignedDocument:
        async with ketgate.aio.connect(ready_file=server.ready_file) as client:
            return await client.sign(result, key="keys/ml-dsa-65")

    assert asyncio.run(sign()).fingerprint == document.fingerprint
    assert server.stop() == 0
    assert verify(server, path).exit_code == 4
    assert verify(server, path, "--fingerprint", document.fingerprint).exit_code == 0
