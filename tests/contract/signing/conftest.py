"""Callers of one server, each with a token of its own."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from ketgate.signing.v1 import (
    key_service_pb2_grpc,
    signing_service_pb2_grpc,
)
from ketgate_server.tokens import TokenStore

TIMEOUT_S = 200.0


class Caller:
    """Who calls: any method of keys and of their uses, by its name."""

    def __init__(self, channel: grpc.Channel, name: str, secret: str) -> None:
        self.name = name
        self._metadata = (("authorization", f"Bearer {secret}"),)
        self._stubs = (
            key_service_pb2_grpc.KeyServiceStub(channel),
            signing_service_pb2_grpc.SigningServiceStub(channel),
        )

    def __call__(self, method: str, request: Any) -> Any:
        stub = next(stub for stub in self._stubs if hasattr(stub, method))
        return getattr(stub, method)(request, metadata=self._metadata, timeout=TIMEOUT_S)


NewCaller = Callable[..., Caller]


@pytest.fixture
def new_caller(server: Any, channel: grpc.Channel) -> Iterator[NewCaller]:
    """Makes callers: roles, and another tenant where that matters."""
    tokens = TokenStore.open(server.data_dir)
    made: list[str] = []

    def make(*roles: str, tenant: str = "default") -> Caller:
        name = f"t-{uuid.uuid4().hex[:8]}"
        secret, _ = tokens.create(name, roles=roles or ("signing.user",), tenant=tenant)
        made.append(name)
        return Caller(channel, name, secret)

    yield make
    for name in made:
        tokens.revoke(name)
    tokens.close()


@pytest.fixture
def key_id() -> str:
    """Of a key that no other test has."""
    return f"k-{uuid.uuid4().hex[:8]}"
