"""Signatures verified without a server, as the server would."""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from ketgate._verification import verify_signature
from ketgate_server.signing.algorithms import SECP256K1
from ketgate_server.signing.provider import Options
from ketgate_server.signing.providers.cryptography_provider import CryptographyProvider
from ketgate_server.signing.providers.cryptography_secp256k1 import N

ALGORITHM = "ECDSA_SECP256K1_SHA256"


@pytest.fixture
def made() -> tuple[bytes, bytes]:
    """(SubjectPublicKeyInfo, a signature over b"m")."""
    provider = CryptographyProvider()
    key = provider.open_private(provider.generate(SECP256K1))
    assert hasattr(key, "sign")
    point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), key.public_key)
    spki = point.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return spki, key.sign(b"m", Options())


def test_there_is_one_signature_on_secp256k1(made: tuple[bytes, bytes]) -> None:
    """With the other s, which anybody can make of the one, it was taken for another valid signature."""
    spki, signature = made
    assert verify_signature(ALGORITHM, spki, signature, b"m")
    assert not verify_signature(ALGORITHM, spki, signature, hashlib.sha256(b"m").digest())
    r, s = signature[:32], int.from_bytes(signature[32:64])
    other = r + (N - s).to_bytes(32) + bytes([signature[64] ^ 1])
    assert not verify_signature(ALGORITHM, spki, other, b"m")
    assert not verify_signature(ALGORITHM, spki, r + bytes(32) + b"\0", b"m")
    assert not verify_signature(ALGORITHM, spki, signature[:64], b"m")
