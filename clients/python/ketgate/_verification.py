"""Signatures verified here, without a server: what audit logs and signed documents rest on.

An algorithm and the kind of key must belong together, so that a signature is never taken for one of a
weaker algorithm. Composites as draft-ietf-lamps-pq-composite-sigs-13, section 3.3: both parts must hold.
"""

import hashlib
from collections.abc import Callable
from typing import Any

from ketgate._errors import InvalidArgument, PartNotInstalled

CONTEXT_BYTES_MAX = 255
_COMPOSITE_PREFIX = b"CompositeAlgorithmSignatures2025"
_ML_DSA_BYTES = {44: (1312, 2420), 65: (1952, 3309), 87: (2592, 4627)}
"""Of a public key and a signature (FIPS 204, table 2)."""
COMPOSITES = {
    "ML_DSA_44_ED25519": (44, "Ed25519", "SHA512", 39),
    "ML_DSA_44_ECDSA_P256": (44, "ECDSA-P256", "SHA256", 40),
    "ML_DSA_65_ED25519": (65, "Ed25519", "SHA512", 48),
    "ML_DSA_65_ECDSA_P256": (65, "ECDSA-P256", "SHA512", 45),
    "ML_DSA_65_ECDSA_P384": (65, "ECDSA-P384", "SHA512", 46),
    "ML_DSA_87_ECDSA_P384": (87, "ECDSA-P384", "SHA512", 49),
}
"""Level of ML-DSA, the other part, the pre-hash, and the last arc of the identifier, 1.3.6.1.5.5.7.6."""
_SECP256K1_BYTES = 65
_SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_POINT_BYTES = {"P256": 65, "P384": 97}


def verify_signature(
    algorithm: str, public_key: bytes, signature: bytes, message: bytes, context: bytes = b""
) -> bool:
    """Whether it is a signature by the key over the message; False for bytes that are none, of whatever
    length, and for a key that is none or of another algorithm.

    algorithm: as the contract names it ("ML_DSA_65") or its standard ("ML-DSA-65"). public_key: DER
    SubjectPublicKeyInfo. context: of algorithms that take one. Raises InvalidArgument for an algorithm
    that is not verified here, and PartNotInstalled without the package cryptography.
    """
    check = _CHECKS.get(normal_name(algorithm))
    if check is None:
        raise InvalidArgument(
            f"algorithm: expected one of {', '.join(_CHECKS)}, given {algorithm[:40]!r}",
            field="algorithm",
            remedy="A server can verify the others: client.signing.verify(...).",
        )
    require_cryptography()
    if len(context) > CONTEXT_BYTES_MAX:
        return False
    return check(public_key, signature, message, context)


def normal_name(algorithm: str) -> str:
    """The contract's name of an algorithm, of that or of its standard's."""
    return algorithm.upper().replace("-", "_")


def verifies(algorithm: str) -> bool:
    """Whether signatures of the algorithm can be verified here."""
    return normal_name(algorithm) in _CHECKS


def takes_context(algorithm: str) -> bool:
    """Whether its signatures may have a context string."""
    return normal_name(algorithm).startswith(("ML_DSA_", "SLH_DSA_"))


def require_cryptography() -> None:
    """Raises PartNotInstalled without a package cryptography that has ML-DSA."""
    try:
        from cryptography.hazmat.primitives.asymmetric import mldsa  # noqa: F401
    except ImportError:
        raise PartNotInstalled(
            "verifying signatures needs the package cryptography, version 48 or later",
            reason="PART_NOT_INSTALLED",
            remedy="Run: pip install 'ketgate[cli]'",
        ) from None


def _load(public_key: bytes) -> Any:
    """The key; None for what is none."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        return load_der_public_key(public_key)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None


def _holds(verify: Callable[..., None], *arguments: Any) -> bool:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        verify(*arguments)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


def _ml_dsa(level: int) -> Callable[[bytes, bytes, bytes, bytes], bool]:
    def check(public_key: bytes, signature: bytes, message: bytes, context: bytes) -> bool:
        from cryptography.hazmat.primitives.asymmetric import mldsa

        key = _load(public_key)
        if not isinstance(key, getattr(mldsa, f"MLDSA{level}PublicKey")):
            return False
        return _holds(key.verify, signature, message, context)

    return check


def _ed25519(public_key: bytes, signature: bytes, message: bytes, context: bytes) -> bool:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    key = _load(public_key)
    if context or not isinstance(key, Ed25519PublicKey):
        return False
    return _holds(key.verify, signature, message)


def _ecdsa(curve: str, hash_name: str) -> Callable[[bytes, bytes, bytes, bytes], bool]:
    def check(public_key: bytes, signature: bytes, message: bytes, context: bytes) -> bool:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec

        key = _load(public_key)
        if context or not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != curve:
            return False
        return _holds(key.verify, signature, message, ec.ECDSA(getattr(hashes, hash_name)()))

    return check


def _secp256k1(public_key: bytes, signature: bytes, message: bytes, context: bytes) -> bool:
    """r || s, the lower of the two there are, || recovery id, which says nothing that the key does not."""
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    if len(signature) != _SECP256K1_BYTES or signature[64] > 3:
        return False
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:64])
    if 2 * s > _SECP256K1_ORDER:
        return False
    inner = encode_dss_signature(r, s)
    return _ecdsa("secp256k1", "SHA256")(public_key, inner, message, context)


def _composite(
    level: int, other: str, hash_name: str, arc: int
) -> Callable[[bytes, bytes, bytes, bytes], bool]:
    """hash_name: of the pre-hash, as in the label. arc: last of 1.3.6.1.5.5.7.6."""
    label = f"COMPSIG-MLDSA{level}-{other}-{hash_name}".encode()
    key_bytes, signature_bytes = _ML_DSA_BYTES[level]

    def check(public_key: bytes, signature: bytes, message: bytes, context: bytes) -> bool:
        raw = _composite_raw(public_key, arc)
        if raw is None or len(raw) <= key_bytes or len(signature) <= signature_bytes:
            return False
        digest = hashlib.new(hash_name, message).digest()
        inner = _COMPOSITE_PREFIX + label + bytes([len(context)]) + context + digest
        return _raw_ml_dsa(
            level, raw[:key_bytes], signature[:signature_bytes], inner, label
        ) and _raw_other(other, raw[key_bytes:], signature[signature_bytes:], inner)

    return check


def _raw_ml_dsa(level: int, raw: bytes, signature: bytes, message: bytes, context: bytes) -> bool:
    from cryptography.hazmat.primitives.asymmetric import mldsa

    try:
        key = getattr(mldsa, f"MLDSA{level}PublicKey").from_public_bytes(raw)
    except ValueError:
        return False
    return _holds(key.verify, signature, message, context)


def _raw_other(other: str, raw: bytes, signature: bytes, message: bytes) -> bool:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    try:
        if other == "Ed25519":
            return _holds(
                ed25519.Ed25519PublicKey.from_public_bytes(raw).verify, signature, message
            )
        curve = other.removeprefix("ECDSA-")
        if len(raw) != _POINT_BYTES[curve]:
            return False
        on = ec.SECP256R1() if curve == "P256" else ec.SECP384R1()
        digest = hashes.SHA256() if curve == "P256" else hashes.SHA384()
        key = ec.EllipticCurvePublicKey.from_encoded_point(on, raw)
    except ValueError:
        return False
    return _holds(key.verify, signature, message, ec.ECDSA(digest))


def _composite_raw(public_key: bytes, arc: int) -> bytes | None:
    """The key's own bytes out of SubjectPublicKeyInfo. DER has one way to write it, so it is compared with
    what a key of that many bytes is written as."""
    identifier = bytes.fromhex("06082b060105050706") + bytes([arc])
    algorithm = b"\x30" + bytes([len(identifier)]) + identifier
    # Two lengths of two bytes each, as every such key has between 256 and 65,535 bytes.
    raw = public_key[4 + len(algorithm) + 5 :]
    bits = b"\x03\x82" + (len(raw) + 1).to_bytes(2) + b"\x00" if len(raw) < 1 << 16 else b""
    body = algorithm + bits + raw
    if len(body) >= 1 << 16 or public_key != b"\x30\x82" + len(body).to_bytes(2) + body:
        return None
    return raw


_CHECKS: dict[str, Callable[[bytes, bytes, bytes, bytes], bool]] = {
    **{f"ML_DSA_{level}": _ml_dsa(level) for level in _ML_DSA_BYTES},
    "ED25519": _ed25519,
    "ECDSA_P256_SHA256": _ecdsa("secp256r1", "SHA256"),
    "ECDSA_P384_SHA384": _ecdsa("secp384r1", "SHA384"),
    "ECDSA_SECP256K1_SHA256": _secp256k1,
    **{name: _composite(*its) for name, its in COMPOSITES.items()},
}
"""By the contract's name."""
