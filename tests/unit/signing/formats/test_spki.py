"""Public keys: as `cryptography` writes them, as RFC 9881 and 9935 have them, and nothing else."""

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)
from ketgate_server.errors import FieldError
from ketgate_server.signing.algorithms import ALGORITHMS, RSA_PSS, Purpose
from ketgate_server.signing.formats import der, pem, spki
from ketgate_server.signing.formats.export import PublicKeyFormat, export_public_key, formats
from ketgate_server.signing.provider import KeyInvalid

from tests.unit.signing.formats.pairs import PROVIDER, SIGNS, VECTORS, pair

KNOWN = [
    name
    for name, can in PROVIDER.abilities().items()
    if can.generate and ALGORITHMS[name].oid and "COMPOSITE" not in ALGORITHMS[name].family.name
]
RSA = rsa.generate_private_key(65537, 2048).public_key()
RSA_DER = RSA.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize("name", KNOWN)
def test_as_cryptography_has_them(name: str) -> None:
    own = pair(name)
    written = spki.write(own.algorithm, own.public_key)
    key = load_der_public_key(written)
    assert key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == written
    text = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert export_public_key(own.algorithm, own.public_key, PublicKeyFormat.SPKI_PEM) == text
    for content in (written, text, b"a key\n" + text + b"and no more\n"):
        assert spki.read(content, own.algorithm) == (own.algorithm, own.public_key)
        assert spki.read(content) == (own.algorithm, own.public_key)


@pytest.mark.parametrize(
    "name", ["ML-DSA-44", "ML-DSA-65", "ML-DSA-87", "ML-KEM-512", "ML-KEM-768"]
)
def test_examples_of_the_standards(name: str) -> None:
    content = (VECTORS / f"{name}.pub").read_bytes()
    algorithm = ALGORITHMS[name.replace("-", "_")]
    found, raw = spki.read(content)
    assert found == algorithm
    lines = b"".join(content.split(b"\n")[1:-2])
    assert spki.write(algorithm, raw) == base64.b64decode(lines)
    assert export_public_key(algorithm, raw, PublicKeyFormat.SPKI_PEM) == content


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
def test_every_algorithm_says_which_formats_it_has(name: str) -> None:
    algorithm = ALGORITHMS[name]
    there = formats(algorithm)
    assert (PublicKeyFormat.SPKI_DER in there) == bool(algorithm.oid)
    assert bool(there) == (algorithm.purpose is not Purpose.MAC)
    raw = RSA_DER if algorithm == RSA_PSS else bytes(algorithm.public_key_bytes)
    for chosen in PublicKeyFormat:
        if chosen in there:
            assert export_public_key(algorithm, raw, chosen, "keys/a/versions/1")
        else:
            with pytest.raises(FieldError, match=f"format: .*key of {algorithm}.*given {chosen}"):
                export_public_key(algorithm, raw, chosen)


def test_a_fingerprint_is_of_what_everybody_sees() -> None:
    own = pair("ML_DSA_44")
    expected = hashlib.sha256(spki.write(own.algorithm, own.public_key)).hexdigest()
    assert spki.fingerprint(own.algorithm, own.public_key) == expected
    falcon = ALGORITHMS["FALCON_512"]
    assert spki.fingerprint(falcon, b"a" * 897) == hashlib.sha256(b"a" * 897).hexdigest()
    assert spki.fingerprint(ALGORITHMS["HMAC_SHA256"], b"") == ""


def test_rsa_stays_as_it_came() -> None:
    assert spki.read(RSA_DER) == (RSA_PSS, RSA_DER)
    assert spki.write(RSA_PSS, RSA_DER) == RSA_DER
    modulus, exponent = spki.rsa_numbers(RSA_DER)
    assert int.from_bytes(modulus) == RSA.public_numbers().n
    assert int.from_bytes(exponent) == 65537
    outer = der.Reader(RSA_DER).enter()
    outer.read(der.SEQUENCE)
    bits = der.bits(outer.bits())
    for parameters in (b"", *spki.PSS_PARAMETERS):
        special = der.sequence(der.sequence(der.oid(spki.RSASSA_PSS), parameters), bits)
        assert spki.read(special) == (RSA_PSS, special)
    other = der.sequence(der.sequence(der.oid(spki.RSASSA_PSS), der.sequence()), bits)
    with pytest.raises(KeyInvalid, match="other parameters"):
        spki.read(other)


def rsa_key(modulus: int, exponent: int) -> bytes:
    bits = der.bits(der.sequence(der.integer(modulus), der.integer(exponent)))
    name = der.sequence(der.oid(spki.RSA_ENCRYPTION), der.element(der.NULL, b""))
    return der.sequence(name, bits)


@pytest.mark.parametrize(
    ("modulus", "exponent", "said"),
    [
        (2**2047 + 1, 2, "odd"),
        (2**2047 + 1, 1, "odd"),
        (2**2047 + 1, -3, "odd"),
        (2**2048 - 2, 3, "odd"),
        (2**2046 + 1, 3, "2048 to 8192 bits, given 2047"),
        (2**8192 + 1, 3, "2048 to 8192 bits, given 8193"),
        (-(2**2047) - 1, 3, "2048 to 8192 bits"),
        (2**2047 + 1, 2**32 + 1, "32 bits"),
    ],
)
def test_rsa_numbers_that_are_no_key(modulus: int, exponent: int, said: str) -> None:
    with pytest.raises(KeyInvalid, match=said):
        spki.read(rsa_key(modulus, exponent))


@pytest.mark.parametrize("name", ["ECDSA_P256_SHA256", "ECDSA_SECP256K1_SHA256"])
def test_points_are_on_their_curve_and_come_back_uncompressed(name: str) -> None:
    own = pair(name)
    curve = spki.CURVES[name][1]
    key = ec.EllipticCurvePublicKey.from_encoded_point(curve, own.public_key)
    short = key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    start = spki.identifier(own.algorithm)
    assert spki.read(der.sequence(start, der.bits(short))) == (own.algorithm, own.public_key)
    moved = own.public_key[:-1] + bytes((own.public_key[-1] ^ 1,))
    for point in (moved, b"", b"\0", own.public_key[:-1], b"\x06" + own.public_key[1:]):
        with pytest.raises(KeyInvalid, match="no point on the curve"):
            spki.read(der.sequence(start, der.bits(point)))


@pytest.mark.parametrize("name", SIGNS)
def test_what_is_no_key_is_refused(name: str) -> None:
    own = pair(name)
    content = spki.write(own.algorithm, own.public_key)
    other = pair("ED25519" if name != "ED25519" else "ML_DSA_44").algorithm
    with pytest.raises(KeyInvalid, match=f"expected a public key of {other}, given one of"):
        spki.read(content, other)
    for wrong in (content[:-1], content + b"\0", b"", content[1:], content.hex().encode()):
        with pytest.raises(KeyInvalid, match="SubjectPublicKeyInfo"):
            spki.read(wrong)
    with pytest.raises(KeyInvalid, match=r"has \d+ bytes, given \d+"):
        spki.write(own.algorithm, own.public_key + b"\0")


def test_unknown_algorithms_are_named() -> None:
    def key(*identifier: bytes) -> bytes:
        return der.sequence(der.sequence(*identifier), der.bits(b"key"))

    with pytest.raises(KeyInvalid, match=r"the algorithm 1\.3\.101\.113 are not supported"):
        spki.read(key(der.oid("1.3.101.113")))
    with pytest.raises(KeyInvalid, match=r"the curve 1\.3\.132\.0\.35 are not supported"):
        spki.read(key(der.oid(spki.EC_PUBLIC_KEY), der.oid("1.3.132.0.35")))
    # RFC 9881: the parameters MUST be absent.
    null = der.element(der.NULL, b"")
    with pytest.raises(KeyInvalid, match="bytes follow"):
        spki.read(key(der.oid(ALGORITHMS["ML_DSA_65"].oid), null))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----", "another was given"),
        (b"-----BEGIN PUBLIC KEY-----\nMAA=\n", "has no end"),
        (b"-----BEGIN PUBLIC KEY-----\nM*A=\n-----END PUBLIC KEY-----", "not base64"),
        (b"-----BEGIN PUBLIC KEY-----\nMAA\n-----END PUBLIC KEY-----", "not base64"),
        (2 * pem.write(pem.PUBLIC_KEY, RSA_DER).encode(), "neither DER nor PEM with one block"),
        (b"x" * (1 << 20 | 1), "at most"),
        (b"no key", "neither DER nor PEM"),
    ],
    ids=["certificate", "cut", "star", "no-padding", "two", "long", "text"],
)
def test_pem_that_is_none(content: bytes, said: str) -> None:
    with pytest.raises(KeyInvalid, match=said):
        spki.read(content)
