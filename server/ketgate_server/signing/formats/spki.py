"""SubjectPublicKeyInfo (RFC 5280): RFC 9881 for ML-DSA, 9909 for SLH-DSA, 9935 for ML-KEM, 8410 for Ed25519, 5480
for ECDSA, 8017 for RSA, and the composite draft. Falcon and HPKE have none."""

from __future__ import annotations

import hashlib
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ketgate_server.signing.algorithms import ALGORITHMS, RSA_PSS, Algorithm, Family
from ketgate_server.signing.formats import der, pem
from ketgate_server.signing.formats.malformed import Malformed
from ketgate_server.signing.provider import KeyInvalid

EC_PUBLIC_KEY: Final = "1.2.840.10045.2.1"
RSA_ENCRYPTION: Final = "1.2.840.113549.1.1.1"
RSASSA_PSS: Final = "1.2.840.113549.1.1.10"
SHA256: Final = "2.16.840.1.101.3.4.2.1"
MGF1: Final = "1.2.840.113549.1.1.8"

MODULUS_BITS_MIN, MODULUS_BITS_MAX = 2048, 8192
EXPONENT_BITS_MAX = 32
"""Verification takes time in proportion to it, and the caller chooses it."""

CURVES: dict[str, tuple[str, ec.EllipticCurve]] = {
    "ECDSA_P256_SHA256": ("1.2.840.10045.3.1.7", ec.SECP256R1()),
    "ECDSA_P384_SHA384": ("1.3.132.0.34", ec.SECP384R1()),
    "ECDSA_SECP256K1_SHA256": ("1.3.132.0.10", ec.SECP256K1()),
}
"""Object identifier of the curve, and the curve."""

_BY_CURVE = {oid: ALGORITHMS[name] for name, (oid, _) in CURVES.items()}
_BY_OID = {
    algorithm.oid: algorithm
    for algorithm in ALGORITHMS.values()
    if algorithm.oid and algorithm.family not in (Family.ECDSA, Family.RSA_PSS)
}


def exists(algorithm: Algorithm) -> bool:
    """Whether its public keys have a SubjectPublicKeyInfo."""
    return bool(algorithm.oid)


def write(algorithm: Algorithm, raw: bytes) -> bytes:
    """DER. raw: as the contract's RAW; of RSA it is SubjectPublicKeyInfo already. Raises KeyInvalid."""
    if algorithm.family is Family.RSA_PSS:
        return raw
    if not exists(algorithm):
        raise KeyInvalid(f"keys of {algorithm} have no SubjectPublicKeyInfo")
    _check_length(algorithm, raw)
    return der.sequence(identifier(algorithm), der.bits(raw))


def identifier(algorithm: Algorithm) -> bytes:
    """AlgorithmIdentifier of its keys (all but RSA's)."""
    if algorithm.family is Family.ECDSA:
        return der.sequence(der.oid(EC_PUBLIC_KEY), der.oid(CURVES[algorithm.id][0]))
    return der.sequence(der.oid(algorithm.oid))


def read(content: bytes, algorithm: Algorithm | None = None) -> tuple[Algorithm, bytes]:
    """(algorithm, raw key) of a SubjectPublicKeyInfo in DER or PEM. algorithm: what it must be; None: whichever
    it is. Raises KeyInvalid.

    Points come back uncompressed, and lie on their curve. What only a provider can tell of a key of another
    family, its open_public() does.
    """
    try:
        content = pem.read(content, pem.PUBLIC_KEY)
        found, raw = _read(content)
    except Malformed as error:
        raise KeyInvalid(f"no SubjectPublicKeyInfo: {error}") from None
    if algorithm is not None and found != algorithm:
        raise KeyInvalid(f"expected a public key of {algorithm}, given one of {found}")
    return found, raw


def key_bits(algorithm: Algorithm, raw: bytes) -> bytes:
    """Content of subjectPublicKey's BIT STRING, which key identifiers are made of."""
    if algorithm.family is not Family.RSA_PSS:
        return raw
    outer = der.Reader(raw).enter()
    outer.read(der.SEQUENCE)
    return outer.bits()


def coordinates(point: bytes) -> tuple[bytes, bytes]:
    """(x, y) of an uncompressed point."""
    half = len(point) // 2
    return point[1 : half + 1], point[half + 1 :]


def rsa_numbers(raw: bytes) -> tuple[bytes, bytes]:
    """(modulus, exponent) of an RSA key that was read here, as few bytes as there are."""
    key = der.Reader(key_bits(RSA_PSS, raw)).enter()
    modulus, exponent = key.read(der.INTEGER), key.read(der.INTEGER)
    return modulus.lstrip(b"\0"), exponent.lstrip(b"\0")


def fingerprint(algorithm: Algorithm, raw: bytes) -> str:
    """SHA-256 of the SubjectPublicKeyInfo, hexadecimal; of the raw key where there is none; empty without a
    public key."""
    if not raw:
        return ""
    content = write(algorithm, raw) if exists(algorithm) else raw
    return hashlib.sha256(content).hexdigest()


def _read(content: bytes) -> tuple[Algorithm, bytes]:
    reader = der.Reader(content)
    outer = reader.enter()
    reader.end("SubjectPublicKeyInfo")
    described = outer.enter()
    bits = outer.bits()
    outer.end("SubjectPublicKeyInfo")
    found = read_identifier(described)
    if found.family is Family.RSA_PSS:
        _check_rsa(bits)
        return found, content
    return found, canonical(found, bits)


def read_identifier(described: der.Reader) -> Algorithm:
    """What a key's AlgorithmIdentifier names; described reads its content. Raises Malformed."""
    oid = described.oid()
    if oid == EC_PUBLIC_KEY:
        curve = described.oid()
        found = _BY_CURVE.get(curve)
        if found is None:
            raise Malformed(f"keys on the curve {curve} are not supported")
    elif oid in (RSA_ENCRYPTION, RSASSA_PSS):
        found = RSA_PSS
        if oid == RSA_ENCRYPTION:
            if described.read(der.NULL):
                raise Malformed("NULL is not empty")
        elif not described.at_end() and described.whole(der.SEQUENCE) not in PSS_PARAMETERS:
            raise Malformed("the key is for RSASSA-PSS with other parameters than SHA-256's")
    else:
        found = _BY_OID.get(oid)
        if found is None:
            raise Malformed(f"keys of the algorithm {oid} are not supported")
    described.end("the key's AlgorithmIdentifier")
    return found


def canonical(algorithm: Algorithm, bits: bytes) -> bytes:
    """The raw key of what a BIT STRING holds: of all but ECDSA the same, whose points may come compressed; not for RSA.
    Raises KeyInvalid."""
    if algorithm.family is Family.ECDSA:
        return _uncompressed(algorithm, bits)
    _check_length(algorithm, bits)
    return bits


def of_rsa_numbers(modulus: bytes, exponent: bytes) -> bytes:
    """The SubjectPublicKeyInfo of two numbers, unsigned. Raises KeyInvalid."""
    if max(len(modulus), len(exponent)) > MODULUS_BITS_MAX // 8:
        raise KeyInvalid(f"an RSA key has numbers of at most {MODULUS_BITS_MAX} bits")
    numbers = (int.from_bytes(modulus), int.from_bytes(exponent))
    content = der.sequence(
        der.sequence(der.oid(RSA_ENCRYPTION), der.element(der.NULL, b"")),
        der.bits(der.sequence(*map(der.integer, numbers))),
    )
    return read(content, RSA_PSS)[1]


def _check_length(algorithm: Algorithm, raw: bytes) -> None:
    if len(raw) != algorithm.public_key_bytes:
        raise KeyInvalid(
            f"a public key of {algorithm} has {algorithm.public_key_bytes} bytes, given {len(raw)}"
        )


def _uncompressed(algorithm: Algorithm, point: bytes) -> bytes:
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(CURVES[algorithm.id][1], point)
    except ValueError:
        raise KeyInvalid(f"the public key is no point on the curve of {algorithm}") from None
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _check_rsa(bits: bytes) -> None:
    reader = der.Reader(bits)
    key = reader.enter()
    reader.end("RSAPublicKey")
    modulus, exponent = key.integer(), key.integer()
    key.end("RSAPublicKey")
    if not MODULUS_BITS_MIN <= modulus.bit_length() <= MODULUS_BITS_MAX or modulus < 0:
        raise KeyInvalid(
            f"expected an RSA modulus of {MODULUS_BITS_MIN} to {MODULUS_BITS_MAX} bits, "
            f"given {modulus.bit_length()}"
        )
    if modulus % 2 == 0 or exponent % 2 == 0 or exponent < 3:
        raise KeyInvalid("the RSA modulus and exponent must be odd, the exponent at least 3")
    if exponent.bit_length() > EXPONENT_BITS_MAX:
        raise KeyInvalid(f"the RSA exponent has more than {EXPONENT_BITS_MAX} bits")


def _pss_parameters(hash_identifier: bytes, salt_bytes: int = 32) -> bytes:
    return der.sequence(
        der.element(der.context(0), hash_identifier),
        der.element(der.context(1), der.sequence(der.oid(MGF1), hash_identifier)),
        der.element(der.context(2), der.integer(salt_bytes)),
    )


PSS_PARAMETERS = tuple(
    _pss_parameters(der.sequence(der.oid(SHA256), *rest))
    for rest in ((der.element(der.NULL, b""),), ())
)
"""RSASSA-PSS-params of SHA-256 with a salt of 32 bytes; hashes are written with NULL and without (RFC 4055)."""
