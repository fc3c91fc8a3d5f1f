"""Private keys on their way to a server and back: the client's side against the server's."""

import sys

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, mldsa, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from ketgate._errors import InvalidArgument, PartNotInstalled
from ketgate._wrapping import WRAPPING_ALGORITHMS, Receiver, private_key_bytes, wrap
from ketgate_server.signing.keys import wrapping as server
from ketgate_server.signing.keys.wrapping import Wrapping

KEY = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
DER = KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize("algorithm", WRAPPING_ALGORITHMS)
def test_the_server_opens_what_the_client_wraps(algorithm: str) -> None:
    pair = server.generate(Wrapping(algorithm))
    blob = wrap(algorithm, pair.public_key, DER)
    assert server.unwrap(Wrapping(algorithm), pair.private, blob, "f") == DER


@pytest.mark.parametrize("algorithm", WRAPPING_ALGORITHMS)
def test_the_client_opens_what_the_server_wraps(algorithm: str) -> None:
    receiver = Receiver(algorithm)
    blob = server.wrap(Wrapping(algorithm), receiver.public_key, DER, "f")
    assert receiver.unwrap(blob) == DER
    for hostile in (b"", blob[:-1], blob[:-1] + bytes([blob[-1] ^ 1]), bytes(len(blob))):
        with pytest.raises(InvalidArgument) as caught:
            receiver.unwrap(hostile)
        assert caught.value.field == "wrapped_key"


def test_a_key_is_given_in_any_form() -> None:
    pem = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    locked = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"pass"))
    locked_der = KEY.private_bytes(
        Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(b"pass")
    )
    for given in (KEY, DER, bytearray(DER), pem, pem.decode()):
        assert private_key_bytes(given) == DER
    assert private_key_bytes(locked, b"pass") == DER
    assert private_key_bytes(locked_der, b"pass") == DER
    assert private_key_bytes(bytes(32)) == bytes(32)


@pytest.mark.parametrize(
    ("key", "password"), [(b"-----BEGIN PRIVATE KEY-----\nAA", None), (b"x", b"pass"), (7, None)]
)
def test_what_is_no_key_is_refused(key: object, password: bytes | None) -> None:
    with pytest.raises(InvalidArgument) as caught:
        private_key_bytes(key, password)
    assert caught.value.field == "key"


def test_arguments_are_named() -> None:
    small = rsa.generate_private_key(65_537, 2_048).public_key()
    weak = small.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    other = mldsa.MLDSA44PrivateKey.generate().public_key()
    wrong = other.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    for algorithm, public_key, content, field in (
        ("AES", wrong, DER, "algorithm"),
        (WRAPPING_ALGORITHMS[0], wrong, DER, "public_key"),
        (WRAPPING_ALGORITHMS[1], weak, DER, "public_key"),
        (WRAPPING_ALGORITHMS[1], b"", DER, "public_key"),
        (WRAPPING_ALGORITHMS[0], wrong, b"", "content"),
    ):
        with pytest.raises(InvalidArgument) as caught:
            wrap(algorithm, public_key, content)
        assert caught.value.field == field


def test_without_cryptography_the_way_to_have_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric.mlkem", None)
    monkeypatch.delattr("cryptography.hazmat.primitives.asymmetric.mlkem")
    with pytest.raises(PartNotInstalled) as caught:
        Receiver()
    assert "ketgate[crypto]" in str(caught.value)
