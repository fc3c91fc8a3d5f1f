"""Clouds on loopback, for the adapters and for whole servers."""

import os
import socket
from collections.abc import Iterator

import pytest

from ..quantum_emulators.braket_api import BraketApi
from ..quantum_emulators.http_service import serving


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
