"""What only the library `cryptography` has here: HPKE's vectors, RSA-PSS, RFC 6979, keys that it would take."""

import hashlib
import hmac
from typing import cast

import pytest
from cryptography.hazmat.primitives import hashes, hpke, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from ketgate_server.signing.algorithms import ALGORITHMS, ED25519, HPKE, RSA_PSS
from ketgate_server.signing.provider import (
    Form,
    Input,
    KeyInvalid,
    MacKey,
    Material,
    OperationFailed,
    Options,
    SealingKey,
    SigningKey,
    VerifyingKey,
)
from ketgate_server.signing.providers import cryptography_hpke
from ketgate_server.signing.providers.cryptography_ecdsa import write_pkcs8
from ketgate_server.signing.providers.cryptography_provider import CryptographyProvider

from . import vectors
from .subjects import provider
from .vectors import octets

SUBJECT = provider("cryptography")


@pytest.mark.parametrize("test", vectors.read("hpke_mlkem768_x25519"), ids=["hkdf", "shake"])
def test_hpke_vectors(test: dict[str, object]) -> None:
    """The draft's: keys from their seeds, and its first message opened, with associated data.

    Its suites are others than ours, of which the key and the library's two functions are the parts in common.
    """
    kdf = {1: hpke.KDF.HKDF_SHA256, 17: hpke.KDF.SHAKE256}[cast(int, test["kdf_id"])]
    assert test["aead_id"] == 3
    suite = hpke.Suite(hpke.KEM.MLKEM768_X25519, kdf, hpke.AEAD.CHACHA20_POLY1305)
    seed = Material(HPKE, Form.SEED, octets(str(test["skRm"])))
    key = cryptography_hpke.Hpke().open_private(seed)
    assert key.public_key == octets(str(test["pkRm"])) == SUBJECT.public_key(seed)
    sealed = cast("list[dict[str, str]]", test["encryptions"])[0]
    assert cryptography_hpke._decrypt is not None
    opened = cryptography_hpke._decrypt(
        suite,
        octets(str(test["enc"])) + octets(sealed["ct"]),
        key.held(),
        octets(str(test["info"])),
        octets(sealed["aad"]),
    )
    assert opened == octets(sealed["pt"])


def test_hpke_without_associated_data_is_the_librarys_own() -> None:
    material = SUBJECT.generate(HPKE)
    key = cryptography_hpke.Hpke().open_private(material)
    suite = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
    public = cast(SealingKey, SUBJECT.open_public(HPKE, key.public_key))
    assert suite.decrypt(public.seal(b"m", b"info", b""), key.held(), info=b"info") == b"m"
    sealed = suite.encrypt(b"m", key.held().public_key(), info=b"info")
    assert key.open(sealed, b"info", b"") == b"m"


def test_without_the_librarys_function_there_is_no_hpke(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything else stays: the function is not part of the library's public face."""
    monkeypatch.setattr(cryptography_hpke, "_encrypt", None)
    assert HPKE.id not in CryptographyProvider().abilities()
    assert ED25519.id in CryptographyProvider().abilities()


def test_hpke_refuses_points_of_small_order() -> None:
    public = SUBJECT.public_key(SUBJECT.generate(HPKE))
    for point in (bytes(32), bytes([1]) + bytes(31)):
        with pytest.raises(KeyInvalid, match="small order"):
            SUBJECT.open_public(HPKE, public[:1184] + point)


@pytest.mark.parametrize(
    "test",
    vectors.read("hashmldsa_noble"),
    ids=lambda test: f"{test['algorithm']}-{test['prehash']}",
)
def test_hashmldsa_of_another_implementation(test: dict[str, str]) -> None:
    algorithm = ALGORITHMS[test["algorithm"]]
    seed = Material(algorithm, Form.SEED, bytes(range(32)))
    assert SUBJECT.public_key(seed) == octets(test["publicKey"])
    key = cast(VerifyingKey, SUBJECT.open_public(algorithm, octets(test["publicKey"])))
    message, signature = octets(test["message"]), octets(test["signature"])
    options = Options(context=octets(test["context"]), prehash=test["prehash"])
    assert key.verify(signature, message, options)
    for other in algorithm.prehashes:
        assert key.verify(signature, message, Options(context=options.context, prehash=other)) is (
            other == test["prehash"]
        )


def rsa_public(bits: int) -> tuple[rsa.RSAPrivateKey, bytes]:
    key = rsa.generate_private_key(65537, bits)
    return key, key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def test_rsa_pss() -> None:
    key, public = rsa_public(2048)
    verifier = cast(VerifyingKey, SUBJECT.open_public(RSA_PSS, public))

    def sign(salt: int, mask: hashes.HashAlgorithm, hashed: hashes.HashAlgorithm) -> bytes:
        return key.sign(b"m", padding.PSS(padding.MGF1(mask), salt), hashed)

    signature = sign(32, hashes.SHA256(), hashes.SHA256())
    assert verifier.verify(signature, b"m", Options())
    assert verifier.verify_many([signature, b""], [b"m"] * 2, [Options()] * 2, 2, bool) == [
        True,
        False,
    ]
    assert not verifier.verify(signature, b"n", Options())
    for wrong in (
        b"",
        signature[:-1],
        signature + b"\x00",
        b"\xff" * 256,
        sign(20, hashes.SHA256(), hashes.SHA256()),
        sign(32, hashes.SHA384(), hashes.SHA256()),
        sign(32, hashes.SHA384(), hashes.SHA384()),
        key.sign(b"m", padding.PKCS1v15(), hashes.SHA256()),
    ):
        assert not verifier.verify(wrong, b"m", Options())


def test_rsa_keys_of_other_sizes_and_kinds_are_refused() -> None:
    _, short = rsa_public(1024)
    with pytest.raises(KeyInvalid, match="2048 to 8192 bits, given 1024"):
        SUBJECT.open_public(RSA_PSS, short)
    numbers = rsa.RSAPublicNumbers(2**32 + 1, (1 << 2047) + 9)
    slow = numbers.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    with pytest.raises(KeyInvalid, match="exponent"):
        SUBJECT.open_public(RSA_PSS, slow)
    curve = ec.generate_private_key(ec.SECP256R1()).public_key()
    for wrong in (
        b"",
        b"0" * 300,
        curve.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
    ):
        with pytest.raises(KeyInvalid):
            SUBJECT.open_public(RSA_PSS, wrong)
    with pytest.raises(OperationFailed):
        SUBJECT.generate(RSA_PSS)
    with pytest.raises(KeyInvalid):
        SUBJECT.open_private(Material(RSA_PSS, Form.PKCS8, b""))


def test_ecdsa_without_randomness_is_rfc_6979() -> None:
    """Its section A.2.5, P-256 with SHA-256, "sample"; as a digest too."""
    secret = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
    algorithm = ALGORITHMS["ECDSA_P256_SHA256"]
    content = write_pkcs8(ec.derive_private_key(secret, ec.SECP256R1()))
    key = cast(SigningKey, SUBJECT.open_private(Material(algorithm, Form.PKCS8, content)))
    expected = (
        "3046022100efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
        "022100f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
    )
    assert key.sign(b"sample", Options(deterministic=True)).hex() == expected
    digest = hashlib.sha256(b"sample").digest()
    by_digest = Options(Input.DIGEST, deterministic=True)
    assert key.sign(digest, by_digest).hex() == expected


def test_a_private_key_of_another_curve_is_refused() -> None:
    for id_, curve in (
        ("ECDSA_P256_SHA256", ec.SECP384R1()),
        ("ECDSA_P384_SHA384", ec.SECP256R1()),
        ("ECDSA_SECP256K1_SHA256", ec.SECP256R1()),
    ):
        content = write_pkcs8(ec.generate_private_key(curve))
        with pytest.raises(KeyInvalid, match="another kind"):
            SUBJECT.open_private(Material(ALGORITHMS[id_], Form.PKCS8, content))
    other = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with pytest.raises(KeyInvalid, match="another kind"):
        SUBJECT.open_private(Material(ALGORITHMS["ECDSA_P256_SHA256"], Form.PKCS8, other))


P25519 = 2**255 - 19


@pytest.mark.parametrize(
    "encoding",
    [
        bytes(31) + b"\x80",  # y = 0 with the sign set: of order 4
        b"\x01" + bytes(31),  # the neutral element
        b"\x01" + bytes(30) + b"\x80",  # the same, in an encoding that is none
        (P25519 - 1).to_bytes(32, "little"),  # order 2
        P25519.to_bytes(32, "little"),  # y = p
        (P25519 + 1).to_bytes(32, "little"),
        b"\x02" + bytes(31),  # not on the curve
        bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
        bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    ],
)
def test_ed25519_points_that_are_no_keys_are_refused(encoding: bytes) -> None:
    with pytest.raises(KeyInvalid):
        SUBJECT.open_public(ED25519, encoding)


def test_hmac_is_the_standard_librarys() -> None:
    for id_, name in (
        ("HMAC_SHA256", "sha256"),
        ("HMAC_SHA384", "sha384"),
        ("HMAC_SHA512", "sha512"),
    ):
        material = SUBJECT.generate(ALGORITHMS[id_])
        key = cast(MacKey, SUBJECT.open_private(material))
        assert key.compute(b"m") == hmac.digest(material.content, b"m", name)
        with pytest.raises(KeyInvalid, match="no public keys"):
            SUBJECT.open_public(ALGORITHMS[id_], b"")
