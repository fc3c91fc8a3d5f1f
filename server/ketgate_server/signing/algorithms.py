"""What keys are made for: every algorithm of the contract, with its standard, strength and sizes.

Sizes from FIPS 203, 204 and 205, the Falcon submission of round 3 (compressed signatures), RFC 8032,
draft-ietf-lamps-pq-composite-sigs-13 and draft-ietf-hpke-pq. Object identifiers from RFC 9881 (ML-DSA),
RFC 9909 (SLH-DSA), RFC 9935 (ML-KEM) and the composite draft.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, StrEnum

CONTEXT_BYTES_MAX = 255
COMPOSITE_DRAFT = "draft-ietf-lamps-pq-composite-sigs-13"
HPKE_DRAFT = "RFC 9180 with draft-ietf-hpke-pq"
MU_BYTES = 64


class Purpose(StrEnum):
    """What keys do; names as the contract's KeyPurpose."""

    SIGN = "SIGN"
    ENCAPSULATE = "ENCAPSULATE"
    SEAL = "SEAL"
    MAC = "MAC"


class Status(StrEnum):
    """Where an algorithm stands; names as the contract's AlgorithmStatus."""

    FINAL = "FINAL"
    DRAFT = "DRAFT"
    EXPERIMENTAL = "EXPERIMENTAL"


class Family(Enum):
    """Algorithms that are handled alike."""

    ML_DSA = "ML-DSA"
    SLH_DSA = "SLH-DSA"
    FALCON = "Falcon"
    EDDSA = "EdDSA"
    ECDSA = "ECDSA"
    RSA_PSS = "RSA-PSS"
    COMPOSITE = "composite"
    ML_KEM = "ML-KEM"
    HPKE = "HPKE"
    HMAC = "HMAC"


@dataclass(frozen=True)
class Algorithm:
    """One algorithm. Sizes are in bytes."""

    id: str
    """The contract's name of it, without the prefix: "ML_DSA_65"."""
    name: str
    """Its name in its standard: "ML-DSA-65"."""
    family: Family
    purpose: Purpose
    standard: str
    status: Status = Status.FINAL
    nist_category: int = 0
    classical_bits: int = 128
    public_key_bytes: int = 0
    output_bytes_max: int = 0
    """Of a signature, a ciphertext (of a KEM) or a code; for HPKE what is longer than the plaintext."""
    output_bytes_fixed: bool = True
    """Whether every output has this length."""
    private_bytes: int = 0
    """Of the private key as it is stored raw: the seed where the standard has one; 0: PKCS #8."""
    context_bytes_max: int = 0
    external_mu: bool = False
    prehashes: tuple[str, ...] = ()
    deterministic: bool = False
    """Whether its standard has deterministic signatures."""
    digest_bytes: int = 0
    """Of the digest that may be signed in place of the message; 0: none. Of composites, of their pre-hash."""
    oid: str = ""
    generates: bool = True

    def __str__(self) -> str:
        return self.name


PREHASHES = (
    "SHA2-256",
    "SHA2-384",
    "SHA2-512",
    "SHA3-256",
    "SHA3-384",
    "SHA3-512",
    "SHAKE-128",
    "SHAKE-256",
)
"""Hashes of HashML-DSA and HashSLH-DSA; those of FIPS 204 and 205 that are weaker than the weakest
parameter set are left out."""


def _ml_dsa(
    level: int, category: int, bits: int, public: int, signature: int, arc: int
) -> Algorithm:
    return Algorithm(
        f"ML_DSA_{level}",
        f"ML-DSA-{level}",
        Family.ML_DSA,
        Purpose.SIGN,
        "FIPS 204",
        nist_category=category,
        classical_bits=bits,
        public_key_bytes=public,
        output_bytes_max=signature,
        private_bytes=32,
        context_bytes_max=CONTEXT_BYTES_MAX,
        external_mu=True,
        prehashes=PREHASHES,
        deterministic=True,
        oid=f"2.16.840.1.101.3.4.3.{arc}",
    )


def _slh_dsa() -> list[Algorithm]:
    sizes = {
        "128S": (1, 128, 32, 7856),
        "128F": (1, 128, 32, 17088),
        "192S": (3, 192, 48, 16224),
        "192F": (3, 192, 48, 35664),
        "256S": (5, 256, 64, 29792),
        "256F": (5, 256, 64, 49856),
    }
    made = []
    arc = 20
    for hash_name in ("SHA2", "SHAKE"):
        for size, (category, bits, public, signature) in sizes.items():
            made.append(
                Algorithm(
                    f"SLH_DSA_{hash_name}_{size}",
                    f"SLH-DSA-{hash_name}-{size[:3]}{size[3].lower()}",
                    Family.SLH_DSA,
                    Purpose.SIGN,
                    "FIPS 205",
                    nist_category=category,
                    classical_bits=bits,
                    public_key_bytes=public,
                    output_bytes_max=signature,
                    private_bytes=2 * public,
                    context_bytes_max=CONTEXT_BYTES_MAX,
                    prehashes=PREHASHES,
                    deterministic=True,
                    oid=f"2.16.840.1.101.3.4.3.{arc}",
                )
            )
            arc += 1
    return made


def _falcon(size: int, category: int, public: int, signature: int, private: int) -> Algorithm:
    return Algorithm(
        f"FALCON_{size}",
        f"Falcon-{size}",
        Family.FALCON,
        Purpose.SIGN,
        "Falcon, round 3 of NIST's process; not FN-DSA, which is not final",
        status=Status.EXPERIMENTAL,
        nist_category=category,
        classical_bits=128 if category == 1 else 256,
        public_key_bytes=public,
        output_bytes_max=signature,
        output_bytes_fixed=False,
        private_bytes=private,
    )


def _ecdsa(curve: str, hash_name: str, standard: str, bits: int, point: int, der: int) -> Algorithm:
    return Algorithm(
        f"ECDSA_{curve.upper().replace('-', '')}_{hash_name.replace('-', '')}",
        f"ECDSA-{curve}-{hash_name}",
        Family.ECDSA,
        Purpose.SIGN,
        standard,
        classical_bits=bits,
        public_key_bytes=point,
        output_bytes_max=der,
        output_bytes_fixed=False,
        deterministic=True,
        digest_bytes=48 if bits == 192 else 32,
        oid="1.2.840.10045.2.1",
    )


def _composite(
    level: int, other: str, label: str, arc: int, raw: int, der: int, private: int
) -> Algorithm:
    """raw, der, private: bytes of the classical part's public key, longest signature and private key."""
    base = _ALL_ML_DSA[level]
    return Algorithm(
        f"ML_DSA_{level}_{other.upper().replace('-', '_')}",
        label,
        Family.COMPOSITE,
        Purpose.SIGN,
        COMPOSITE_DRAFT,
        status=Status.DRAFT,
        nist_category=base.nist_category,
        classical_bits=base.classical_bits,
        public_key_bytes=base.public_key_bytes + raw,
        output_bytes_max=base.output_bytes_max + der,
        output_bytes_fixed=other == "Ed25519",
        private_bytes=base.private_bytes + private,
        digest_bytes=int(label[-3:]) // 8,
        context_bytes_max=CONTEXT_BYTES_MAX,
        oid=f"1.3.6.1.5.5.7.6.{arc}",
    )


def _ml_kem(
    size: int, category: int, bits: int, public: int, ciphertext: int, arc: int
) -> Algorithm:
    return Algorithm(
        f"ML_KEM_{size}",
        f"ML-KEM-{size}",
        Family.ML_KEM,
        Purpose.ENCAPSULATE,
        "FIPS 203",
        nist_category=category,
        classical_bits=bits,
        public_key_bytes=public,
        output_bytes_max=ciphertext,
        private_bytes=64,
        oid=f"2.16.840.1.101.3.4.4.{arc}",
    )


def _hmac(bits: int) -> Algorithm:
    return Algorithm(
        f"HMAC_SHA{bits}",
        f"HMAC-SHA-{bits}",
        Family.HMAC,
        Purpose.MAC,
        "FIPS 198-1",
        nist_category={256: 1, 384: 3, 512: 5}[bits],
        classical_bits=bits // 2 if bits > 256 else 256,
        output_bytes_max=bits // 8,
        private_bytes=bits // 8,
        deterministic=True,
    )


_ALL_ML_DSA = {
    44: _ml_dsa(44, 2, 128, 1312, 2420, 17),
    65: _ml_dsa(65, 3, 192, 1952, 3309, 18),
    87: _ml_dsa(87, 5, 256, 2592, 4627, 19),
}

ED25519 = Algorithm(
    "ED25519",
    "Ed25519",
    Family.EDDSA,
    Purpose.SIGN,
    "RFC 8032",
    public_key_bytes=32,
    output_bytes_max=64,
    private_bytes=32,
    deterministic=True,
    oid="1.3.101.112",
)

SECP256K1 = replace(
    _ecdsa("secp256k1", "SHA-256", "SEC 1 and SEC 2", 128, 65, 65), output_bytes_fixed=True
)

RSA_PSS = Algorithm(
    "RSA_PSS_SHA256",
    "RSASSA-PSS-SHA-256",
    Family.RSA_PSS,
    Purpose.SIGN,
    "RFC 8017",
    classical_bits=112,
    output_bytes_max=1024,
    output_bytes_fixed=False,
    oid="1.2.840.113549.1.1.10",
    generates=False,
)

HPKE = Algorithm(
    "HPKE_MLKEM768_X25519",
    "HPKE-MLKEM768-X25519-HKDF-SHA256-AES-256-GCM",
    Family.HPKE,
    Purpose.SEAL,
    HPKE_DRAFT,
    status=Status.DRAFT,
    nist_category=3,
    classical_bits=128,
    public_key_bytes=1216,
    output_bytes_max=1120 + 16,
    private_bytes=32,
)

ALGORITHMS: dict[str, Algorithm] = {
    algorithm.id: algorithm
    for algorithm in (
        *_ALL_ML_DSA.values(),
        *_slh_dsa(),
        _falcon(512, 1, 897, 752, 1281),
        _falcon(1024, 5, 1793, 1462, 2305),
        ED25519,
        _ecdsa("P256", "SHA-256", "FIPS 186-5", 128, 65, 72),
        _ecdsa("P384", "SHA-384", "FIPS 186-5", 192, 97, 104),
        SECP256K1,
        RSA_PSS,
        _composite(44, "Ed25519", "MLDSA44-Ed25519-SHA512", 39, 32, 64, 32),
        _composite(44, "ECDSA-P256", "MLDSA44-ECDSA-P256-SHA256", 40, 65, 72, 51),
        _composite(65, "Ed25519", "MLDSA65-Ed25519-SHA512", 48, 32, 64, 32),
        _composite(65, "ECDSA-P256", "MLDSA65-ECDSA-P256-SHA512", 45, 65, 72, 51),
        _composite(65, "ECDSA-P384", "MLDSA65-ECDSA-P384-SHA512", 46, 97, 104, 64),
        _composite(87, "ECDSA-P384", "MLDSA87-ECDSA-P384-SHA512", 49, 97, 104, 64),
        _ml_kem(512, 1, 128, 800, 768, 1),
        _ml_kem(768, 3, 192, 1184, 1088, 2),
        _ml_kem(1024, 5, 256, 1568, 1568, 3),
        HPKE,
        _hmac(256),
        _hmac(384),
        _hmac(512),
    )
}
"""By the contract's name."""
