"""Private keys: one form for each algorithm, whatever they come in, and two parts that must be one key."""

import gzip
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from ketgate_server.signing.algorithms import ALGORITHMS, Algorithm, Family
from ketgate_server.signing.formats import der, ml_kem, pem, pkcs8, spki
from ketgate_server.signing.provider import Form, KeyInvalid, Material
from ketgate_server.signing.providers import mldsa_expand

from tests.unit.signing.formats.pairs import PROVIDER, VECTORS, pair

HAS_PKCS8 = [
    name
    for name, can in PROVIDER.abilities().items()
    if can.generate and pkcs8.exists(ALGORITHMS[name])
]
SEED = bytes(range(32))
ACVP = Path(__file__).parents[3] / "vectors" / "signing"


def both(algorithm: Algorithm, seed: bytes, expanded: bytes) -> bytes:
    """PKCS #8 of a seed and an expanded key."""
    inner = der.sequence(der.octets(seed), der.octets(expanded))
    return der.sequence(der.integer(0), spki.identifier(algorithm), der.octets(inner))


def expand(algorithm: Algorithm, seed: bytes) -> bytes:
    if algorithm.family is Family.ML_KEM:
        return ml_kem.expand(algorithm, seed)
    return bytes(mldsa_expand.expand(mldsa_expand.PARAMETERS[algorithm.id], seed)[1])


@pytest.mark.parametrize("name", HAS_PKCS8)
def test_what_is_written_is_read_back(name: str) -> None:
    own = pair(name)
    written = pkcs8.write(own.material)
    assert pkcs8.read(written, own.algorithm) == own.material
    text = pem.write(pem.PRIVATE_KEY, written).encode()
    assert pkcs8.read(text, own.algorithm) == own.material
    assert pkcs8.read_private(written, own.algorithm) == own.material
    assert pkcs8.write_private(own.material) == written


@pytest.mark.parametrize("name", [n for n in HAS_PKCS8 if n == "ED25519" or "_" not in n[7:]])
def test_as_cryptography_has_them(name: str) -> None:
    own = pair(name)
    written = pkcs8.write(own.material)
    key = load_der_private_key(written, None)
    assert key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()) == written


@pytest.mark.parametrize(
    "name", ["ML-DSA-44", "ML-DSA-65", "ML-DSA-87", "ML-KEM-512", "ML-KEM-768"]
)
def test_examples_of_the_standards(name: str) -> None:
    algorithm = ALGORITHMS[name.replace("-", "_")]
    content = (VECTORS / f"{name}-seed.priv").read_bytes()
    seed = bytes(range(algorithm.private_bytes))
    material = pkcs8.read(content, algorithm)
    assert material == Material(algorithm, Form.SEED, seed)
    assert pem.write(pem.PRIVATE_KEY, pkcs8.write(material)).encode() == content
    _, public = spki.read((VECTORS / f"{name}.pub").read_bytes())
    if algorithm.family is Family.ML_KEM:
        expanded = expand(algorithm, seed)
        assert expanded[-32 - 32 - len(public) : -64] == public
    else:
        parameters = mldsa_expand.PARAMETERS[algorithm.id]
        assert mldsa_expand.public_key(parameters, expand(algorithm, seed)) == public


@pytest.mark.parametrize("name", [n for n in ALGORITHMS if ALGORITHMS[n].family in pkcs8._SEEDED])
def test_a_seed_and_an_expanded_key_must_be_of_one_key(name: str) -> None:
    algorithm = ALGORITHMS[name]
    seed = bytes(range(algorithm.private_bytes))
    right = expand(algorithm, seed)
    assert pkcs8.read(both(algorithm, seed, right), algorithm).content == seed
    # Wherever it is in the key.
    for at in range(0, len(right), 397):
        wrong = right[:at] + bytes((right[at] ^ 1,)) + right[at + 1 :]
        with pytest.raises(KeyInvalid, match="are of different keys"):
            pkcs8.read(both(algorithm, seed, wrong), algorithm)
    for seed_bytes, expanded in ((seed[:-1], right), (seed, right[:-1]), (seed, b""), (b"", right)):
        with pytest.raises(KeyInvalid, match=r"has \d+ bytes, given \d+"):
            pkcs8.read(both(algorithm, seed_bytes, expanded), algorithm)


@pytest.mark.parametrize("name", ["ML_DSA_44", "ML_KEM_512"])
def test_an_expanded_key_without_its_seed_stays_expanded(name: str) -> None:
    algorithm = ALGORITHMS[name]
    expanded = expand(algorithm, bytes(algorithm.private_bytes))
    material = Material(algorithm, Form.EXPANDED, expanded)
    assert pkcs8.read(pkcs8.write(material), algorithm) == material
    start = der.sequence(der.integer(0), spki.identifier(algorithm), der.octets(b"\x04\x00"))
    with pytest.raises(KeyInvalid, match=r"expanded private key of .* bytes, given 0"):
        pkcs8.read(start, algorithm)


@pytest.mark.parametrize("name", ["ML_DSA_65", "ML_KEM_768", "ED25519", "HPKE_MLKEM768_X25519"])
def test_seeds_come_raw_too(name: str) -> None:
    algorithm = ALGORITHMS[name]
    raw = bytes(algorithm.private_bytes)
    assert pkcs8.read_private(raw, algorithm) == Material(algorithm, Form.SEED, raw)


@pytest.mark.parametrize("name", ["HMAC_SHA384", "FALCON_512", "SLH_DSA_SHA2_128S"])
def test_raw_keys(name: str) -> None:
    algorithm = ALGORITHMS[name]
    raw = b"0" * algorithm.private_bytes  # begins as a SEQUENCE does
    material = Material(algorithm, Form.RAW, raw)
    assert pkcs8.read_private(raw, algorithm) == material
    if pkcs8.exists(algorithm):
        assert pkcs8.read(pkcs8.write(material), algorithm) == material
    else:
        assert pkcs8.write_private(material) == raw
        with pytest.raises(KeyInvalid, match=r"has \d+ bytes, given 3"):
            pkcs8.read_private(b"raw", algorithm)
        with pytest.raises(KeyInvalid, match="have no PKCS #8"):
            pkcs8.write(material)


def test_ecdsa_keys_are_kept_in_one_encoding() -> None:
    algorithm = ALGORITHMS["ECDSA_P256_SHA256"]
    material = pair(algorithm.id).material
    # Without the public key, which is optional in RFC 5915.
    key = load_der_private_key(material.content, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    scalar = key.private_numbers().private_value.to_bytes(32)
    inner = der.sequence(der.integer(1), der.octets(scalar))
    short = der.sequence(der.integer(0), spki.identifier(algorithm), der.octets(inner))
    assert pkcs8.read(short, algorithm) == material


def test_refusals_name_what_is_wrong_and_show_no_key() -> None:
    algorithm = ALGORITHMS["ECDSA_P256_SHA256"]
    content = pair(algorithm.id).material.content
    key = load_der_private_key(content, None)
    locked = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(b"a"))
    other = ed448.Ed448PrivateKey.generate().private_bytes(
        Encoding.DER, PrivateFormat.PKCS8, NoEncryption()
    )
    inner = der.sequence(der.integer(1), der.octets(b"\xff" * 32))
    large = der.sequence(der.integer(0), spki.identifier(algorithm), der.octets(inner))
    version = der.sequence(der.integer(2), der.Reader(content).enter().read(der.INTEGER))
    cases = [
        (locked, "no PKCS #8 private key"),
        (other, "the algorithm 1.3.101.113 are not supported"),
        (pair("ML_DSA_44").material.content, "neither DER nor PEM"),
        (pkcs8.write(pair("ML_DSA_44").material), "expected a private key of ECDSA-P256-SHA-256"),
        (large, "its numbers are wrong"),
        (version, "another version"),
        (der.sequence(der.integer(1 << 50_000)), "another version"),
        (content + b"\0", "bytes follow"),
        (content[:-1], "were announced"),
    ]
    for wrong, said in cases:
        with pytest.raises(KeyInvalid, match=said) as refused:
            pkcs8.read(wrong, algorithm)
        assert content[-32:].hex() not in str(refused.value)


def test_a_key_is_of_its_own_algorithm_only() -> None:
    for name, other in (("ML_DSA_44", "ML_DSA_65"), ("ECDSA_P256_SHA256", "ECDSA_P384_SHA384")):
        own, wanted = pair(name), ALGORITHMS[other]
        with pytest.raises(
            KeyInvalid, match=f"expected .* of {wanted}, given one of {own.algorithm}"
        ):
            pkcs8.read(pkcs8.write(own.material), wanted)


def test_what_may_follow_a_private_key() -> None:
    own = pair("ED25519")
    identifier = spki.identifier(own.algorithm)
    key = der.octets(der.octets(own.material.content))
    attributes = der.element(der.context(0), der.sequence())
    public = der.element(der.context(1, constructed=False), b"\0" + own.public_key)
    for version, rest in ((0, b""), (0, attributes), (1, public), (1, attributes + public)):
        content = der.sequence(der.integer(version), identifier, key, rest)
        assert pkcs8.read(content, own.algorithm) == own.material
    for version, rest in ((0, public), (1, public + attributes), (0, der.integer(1))):
        content = der.sequence(der.integer(version), identifier, key, rest)
        with pytest.raises(KeyInvalid, match=r"PKCS #8: .* bytes follow"):
            pkcs8.read(content, own.algorithm)


@pytest.mark.parametrize("size", [512, 768, 1024])
def test_ml_kem_key_generation_against_acvp(size: int) -> None:
    with gzip.open(ACVP / "acvp_ML-KEM-keyGen-FIPS203.json.gz") as file:
        groups = json.load(file)["testGroups"]
    group = next(group for group in groups if group["parameterSet"] == f"ML-KEM-{size}")
    algorithm = ALGORITHMS[f"ML_KEM_{size}"]
    assert group["tests"]
    for case in group["tests"]:
        expanded = ml_kem.expand(algorithm, bytes.fromhex(case["d"] + case["z"]))
        assert expanded == bytes.fromhex(case["dk"])
        assert bytes.fromhex(case["ek"]) in expanded
