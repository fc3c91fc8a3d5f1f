"""Signs documents as a server does, with keys made here."""

from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import google_crc32c
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from ketgate._document import CONTEXT, SignedDocument, draft, signed_bytes
from ketgate._document_content import content_of
from ketgate.signing.v1 import algorithm_pb2, signature_pb2

SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
TIME = datetime(2026, 3, 4, 5, 6, 7, 890000, UTC)


def ml_dsa(key: Any) -> Any:
    return lambda message: key.sign(message, CONTEXT)


def secp256k1(key: ec.EllipticCurvePrivateKey) -> Any:
    def sign(message: bytes) -> bytes:
        r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32) + min(s, SECP256K1_ORDER - s).to_bytes(32) + b"\0"

    return sign


def make_signers() -> dict[str, tuple[Any, Any]]:
    """(private key, function that signs) by the contract's name of the algorithm."""
    dsa = {
        "ML_DSA_44": mldsa.MLDSA44PrivateKey.generate(),
        "ML_DSA_65": mldsa.MLDSA65PrivateKey.generate(),
        "ML_DSA_87": mldsa.MLDSA87PrivateKey.generate(),
    }
    p256, p384 = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1())
    chain, edwards = ec.generate_private_key(ec.SECP256K1()), ed25519.Ed25519PrivateKey.generate()
    return {
        **{name: (key, ml_dsa(key)) for name, key in dsa.items()},
        "ED25519": (edwards, edwards.sign),
        "ECDSA_P256_SHA256": (p256, lambda m: p256.sign(m, ec.ECDSA(hashes.SHA256()))),
        "ECDSA_P384_SHA384": (p384, lambda m: p384.sign(m, ec.ECDSA(hashes.SHA384()))),
        "ECDSA_SECP256K1_SHA256": (chain, secp256k1(chain)),
    }


SIGNERS = make_signers()


def public_key(name: str) -> bytes:
    key = SIGNERS[name][0].public_key()
    content: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return content


def public_pem(name: str) -> bytes:
    key = SIGNERS[name][0].public_key()
    content: bytes = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return content


def sign(thing: Any, name: str = "ML_DSA_65", title: str | None = None) -> SignedDocument:
    message = draft(content_of(thing, title), TIME)
    content = signed_bytes(message)
    signature = SIGNERS[name][1](content)
    message.public_key = public_key(name)
    message.signature.CopyFrom(
        signature_pb2.Signature(
            signature=signature,
            signature_crc32c=google_crc32c.value(signature),
            content_sha256=sha256(content).digest(),
            algorithm=algorithm_pb2.Algorithm.Value(f"ALGORITHM_{name}"),
            standard="FIPS 204",
            key_version="keys/desk/versions/1",
            provider="cryptography 50.0.2",
        )
    )
    return SignedDocument(message)
