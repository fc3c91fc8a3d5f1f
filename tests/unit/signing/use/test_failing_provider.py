"""A library or a token that fails is told as what it is, and not as a fault of the server."""

from typing import Any

import pytest
from ketgate.signing.v1 import signing_service_pb2 as pb
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.signing.provider import OperationFailed
from ketgate_server.signing.providers.cryptography_provider import CryptographyProvider

from .conftest import Desk


class Failing(CryptographyProvider):
    """Fails in the operation of this name: of opening a key, or of an open one."""

    fails = ""

    def open_private(self, material: Any) -> Any:
        if self.fails == "open_private":
            raise OperationFailed("the token is lost")
        return self._failing(super().open_private(material))

    def open_public(self, algorithm: Any, public_key: bytes) -> Any:
        return self._failing(super().open_public(algorithm, public_key))

    def _failing(self, key: Any) -> Any:
        def fail(*_: object) -> None:
            raise OperationFailed("the token is lost")

        if hasattr(key, self.fails):
            setattr(key, self.fails, fail)
        return key


@pytest.mark.parametrize(
    ("algorithm", "method", "fails", "fields"),
    [
        ("ED25519", "sign", "open_private", {"key": "keys/a", "message": b"m"}),
        ("ED25519", "sign", "sign", {"key": "keys/a", "message": b"m"}),
        ("ML_KEM_768", "encapsulate", "encapsulate", {"key": "keys/a"}),
        ("ML_KEM_768", "decapsulate", "open_private", {"ciphertext": bytes(1088)}),
        ("ML_KEM_768", "decapsulate", "decapsulate", {"ciphertext": bytes(1088)}),
        ("HPKE_MLKEM768_X25519", "seal", "seal", {"plaintext": b"p"}),
        ("HPKE_MLKEM768_X25519", "open", "open", {"ciphertext": bytes(1200)}),
        ("HMAC_SHA256", "compute_mac", "compute", {"message": b"m"}),
        ("HMAC_SHA256", "verify_mac", "compute", {"message": b"m", "mac": bytes(32)}),
    ],
)
def test_it_is_told(store, call, algorithm, method, fails, fields):
    provider = Failing()
    desk = Desk(store, provider)
    desk.create("a", algorithm)
    provider.fails = fails
    name = "".join(part.title() for part in method.split("_")) + "Request"
    request = getattr(pb, name)(**({"key": "keys/a"} | fields))
    with pytest.raises(KetgateError) as caught:
        getattr(desk.service, method)(call, request)
    assert caught.value.reason is Reason.PROVIDER_FAILED
    assert "the token is lost" in caught.value.message
    assert desk.entries("Sign") == []
