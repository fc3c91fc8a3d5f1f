"""The fake server and clients to it."""

from collections.abc import Iterator

import ketgate
import pytest

from .fake_server import FakeServer


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    server = FakeServer()
    yield server
    server.stop()


@pytest.fixture
def client(fake: FakeServer) -> Iterator[ketgate.Client]:
    with ketgate.connect(
        fake.address, insecure=True, token="kg_secret", retry=ketgate.Retry(1)
    ) as made:
        yield made
