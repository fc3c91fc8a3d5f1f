"""The command as a user types it; and clouds on loopback, for the adapters and for whole servers."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ketgate._cli.app import build
from typer.testing import CliRunner

from ..quantum_emulators.braket_api import BraketApi
from ..quantum_emulators.http_service import serving


@pytest.fixture
def told(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a command in an empty folder; its output. status: what it must exit with."""
    for name in [name for name in os.environ if name.startswith("KETGATE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("KETGATE_READY_FILE", str(server.ready_file))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()

    def run(*arguments: object, status: int = 0, piped: bytes | None = None) -> str:
        given = [str(argument) for argument in arguments]
        found = runner.invoke(build(given), given, input=piped)
        said = found.output + str(found.exception or "")
        assert found.exit_code == status, said
        return said if status else found.output

    return run


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    """The URL of an S3."""
    server = pytest.importorskip("moto.server", reason="moto is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    running = server.ThreadedMotoServer("127.0.0.1", port, verbose=False)
    running.start()
    yield f"http://127.0.0.1:{port}"
    running.stop()


@pytest.fixture
def braket_api(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[BraketApi]:
    """The emulator of Amazon Braket; the environment points the SDK at it."""
    import boto3

    service = BraketApi()
    with serving(service) as url:
        for name, value in {
            "AWS_ENDPOINT_URL_BRAKET": url,
            "AWS_ENDPOINT_URL_S3": s3_server,
            "AWS_ENDPOINT_URL_STS": s3_server,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }.items():
            monkeypatch.setenv(name, value)
        boto3.client("s3").create_bucket(Bucket="results")
        yield service
