"""Public keys are read in each of the formats that they are exported in."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from ketgate_server.signing.algorithms import ALGORITHMS
from ketgate_server.signing.formats import base64url, cbor, public_keys
from ketgate_server.signing.formats.export import PublicKeyFormat, export_public_key, formats
from ketgate_server.signing.provider import KeyInvalid

from .pairs import SIGNS, pair

RSA = ALGORITHMS["RSA_PSS_SHA256"]
FALCON = ALGORITHMS["FALCON_512"]
KID = "keys/a/versions/1"


def rsa_key() -> bytes:
    key = rsa.generate_private_key(65537, 2048).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def key(name: str) -> bytes:
    if name == RSA.id:
        return rsa_key()
    return bytes(range(256)) * 3 + bytes(129) if name == FALCON.id else pair(name).public_key


@pytest.mark.parametrize("name", [*SIGNS, RSA.id, FALCON.id])
def test_what_is_exported_is_read(name: str) -> None:
    algorithm, raw = ALGORITHMS[name], key(name)
    other = ALGORITHMS["ED25519" if name == "ECDSA_P384_SHA384" else "ECDSA_P384_SHA384"]
    for form in formats(algorithm):
        content = export_public_key(algorithm, raw, form, KID)
        assert public_keys.read(content, algorithm) == (algorithm, raw), form
        if form is not PublicKeyFormat.RAW:
            assert public_keys.read(content) == (algorithm, raw), form
        with pytest.raises(KeyInvalid):
            public_keys.read(content, other)


def test_raw_keys_may_begin_as_other_formats_do() -> None:
    for first in (b"\x30", b"{", b"\xa3", b"-----BEGIN PUBLIC KEY-----"):
        raw = first.ljust(1312, b"\7")
        assert public_keys.read(raw, ALGORITHMS["ML_DSA_44"])[1] == raw
    with pytest.raises(KeyInvalid, match="897 bytes, given 896"):
        public_keys.read(bytes(896), FALCON)
    with pytest.raises(KeyInvalid, match="no point"):
        public_keys.read(b"\x04" + b"\7" * 64, ALGORITHMS["ECDSA_P256_SHA256"])


def jwk(name: str, **members: Any) -> bytes:
    own = pair(name)
    text = export_public_key(own.algorithm, own.public_key, PublicKeyFormat.JWK)
    changed = json.loads(text) | members
    return json.dumps({k: v for k, v in changed.items() if v is not None}).encode()


def test_a_jwk_of_another_is_read() -> None:
    """As RFC 7517 has it: what says nothing of the key is skipped, and most that says something may be left out."""
    own = pair("ECDSA_P256_SHA256")
    members: dict[str, Any] = {
        "alg": None,
        "use": None,
        "kid": "x",
        "x5t": "y",
        "key_ops": ["verify"],
    }
    content = b" \n" + jwk("ECDSA_P256_SHA256", **members)
    assert public_keys.read(content) == (own.algorithm, own.public_key)
    assert public_keys.read(jwk("ED25519", alg="Ed25519"))[1] == pair("ED25519").public_key


@pytest.mark.parametrize(
    ("name", "members", "why"),
    [
        ("ED25519", {"d": "AAAA"}, "private"),
        ("ML_DSA_44", {"priv": "AAAA"}, "private"),
        ("ML_DSA_44", {"alg": None}, '"alg"'),
        ("ML_DSA_44", {"alg": "ML-DSA-65"}, "1952 bytes"),
        ("ML_DSA_44", {"alg": "EdDSA"}, "no key of"),
        ("ED25519", {"alg": "ES256"}, "not EdDSA"),
        ("ED25519", {"alg": [1]}, "not EdDSA"),
        ("ED25519", {"use": "enc"}, "use"),
        ("ED25519", {"crv": "X25519"}, "no key of"),
        ("ED25519", {"crv": "P-256"}, "no key of"),
        ("ED25519", {"kty": "oct"}, "no key of"),
        ("ED25519", {"kty": 7}, '"kty"'),
        ("ED25519", {"x": "AA=="}, "base64url"),
        ("ED25519", {"x": "é"}, "base64url"),
        ("ECDSA_P256_SHA256", {"y": "AAAA"}, "32 bytes"),
        ("ECDSA_P256_SHA256", {"y": base64url.write(b"\7" * 32)}, "no point"),
    ],
)
def test_what_is_no_jwk_of_a_public_key(name: str, members: dict[str, Any], why: str) -> None:
    with pytest.raises(KeyInvalid, match=why):
        public_keys.read(jwk(name, **members))


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"{}",
        b'{"kty":"OKP","kty":"OKP"}',
        b'{"a":' * 13_000,
        b'{"a":' * 100_000,
        b"{" + b" " * 70_000,
    ],
)
def test_what_is_no_jwk(content: bytes) -> None:
    with pytest.raises(KeyInvalid):
        public_keys.read(content)


def cose(name: str, change: dict[cbor.Key, Any]) -> bytes:
    own = pair(name)
    members = cbor.read(export_public_key(own.algorithm, own.public_key, PublicKeyFormat.COSE, KID))
    assert isinstance(members, dict)
    changed = {**members, **change}
    return cbor.write({k: v for k, v in changed.items() if v is not None})


def test_a_cose_key_of_another_is_read() -> None:
    for name in ("ECDSA_P256_SHA256", "ECDSA_P384_SHA384", "ECDSA_SECP256K1_SHA256"):
        own = pair(name)
        half = len(own.public_key) // 2
        compressed = cose(name, {3: None, -3: bool(own.public_key[-1] & 1)})
        assert len(compressed) < len(cose(name, {3: None})) - half + 5
        assert public_keys.read(compressed) == (own.algorithm, own.public_key)
    assert public_keys.read(cose("ED25519", {3: -19}))[1] == pair("ED25519").public_key


@pytest.mark.parametrize(
    ("name", "change", "why"),
    [
        ("ED25519", {-4: b"private"}, "private"),
        ("ML_DSA_44", {-2: b"private"}, "private"),
        ("ML_DSA_44", {3: None}, "no number at 3"),
        ("ML_DSA_44", {3: -8}, "none of"),
        ("ML_DSA_44", {-1: "text"}, "no bytes at -1"),
        ("ED25519", {3: -7}, "not -8"),
        ("ED25519", {1: 4}, "none of"),
        ("ED25519", {1: b""}, "no number at 1"),
        ("ED25519", {-1: 1}, "none of"),
        ("ECDSA_P256_SHA256", {-3: b""}, "32 bytes"),
        ("ECDSA_P256_SHA256", {-3: 1}, "32 bytes"),
    ],
)
def test_what_is_no_cose_key_of_a_public_key(
    name: str, change: dict[cbor.Key, Any], why: str
) -> None:
    with pytest.raises(KeyInvalid, match=why):
        public_keys.read(cose(name, change))


def test_rsa_numbers_have_bounds() -> None:
    for modulus, exponent, why in (
        (b"\x80" + bytes(126) + b"\1", b"\1\0\1", "2048 to 8192"),
        (b"\xff" * 2000, b"\1\0\1", "at most 8192 bits"),
        (b"\xff" * 256, b"\1", "at least 3"),
    ):
        members = {
            "kty": "RSA",
            "n": base64url.write(modulus),
            "e": base64url.write(exponent),
        }
        with pytest.raises(KeyInvalid, match=why):
            public_keys.read(json.dumps(members).encode())
