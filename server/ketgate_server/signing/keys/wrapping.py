"""How private keys travel: encrypted to a wrapping key, in two formats that docs/signing-formats.md specifies.

Opening tells nothing but that it did not open: the same error, after the same work, whichever step failed. With
that, and because a wrapping key that failed is gone, there is nothing for a padding attack to ask.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import StrEnum

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import mlkem, padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import (
    InvalidUnwrap,
    aes_key_unwrap_with_padding,
    aes_key_wrap_with_padding,
)

from ketgate_server.errors import FieldError, KetgateError, Reason

INFO = b"ketgate wrap v1"
"""Of HKDF: the AES key is for this alone."""
CONTENT_BYTES_MAX = 64 << 10
WRAPPED_BYTES_MAX = CONTENT_BYTES_MAX + 4_096
RSA_BITS = 3_072
"""Of the wrapping keys that are made here: as strong as AES-128, and a second's work at most."""
RSA_BITS_MIN = 3_072
RSA_BITS_MAX = 8_192

_KEM_BYTES = 1_088
_NONCE_BYTES = 12
_TAG_BYTES = 16
_AES_BYTES = 32


class Wrapping(StrEnum):
    """How key material is encrypted to a public key; names as the contract's WrappingAlgorithm."""

    ML_KEM_768_AES_256_GCM = "ML_KEM_768_AES_256_GCM"
    RSA_OAEP_SHA256_AES_KWP = "RSA_OAEP_SHA256_AES_KWP"


@dataclass(frozen=True)
class WrappingPair:
    """A wrapping key, fresh."""

    private: bytes = field(repr=False)
    """To be sealed: a seed for ML-KEM, PKCS #8 for RSA."""
    public_key: bytes
    """SubjectPublicKeyInfo, DER."""


def generate(wrapping: Wrapping) -> WrappingPair:
    """A new wrapping key."""
    if wrapping is Wrapping.ML_KEM_768_AES_256_GCM:
        private = mlkem.MLKEM768PrivateKey.generate()
        return WrappingPair(private.private_bytes_raw(), _spki(private.public_key()))
    key = rsa.generate_private_key(public_exponent=65_537, key_size=RSA_BITS)
    content = key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return WrappingPair(content, _spki(key.public_key()))


def check_public(
    wrapping: Wrapping, public_key: bytes, field: str
) -> mlkem.MLKEM768PublicKey | rsa.RSAPublicKey:
    """A caller's public key to encrypt to. Raises FieldError for one that is none, or of another kind."""
    if wrapping is Wrapping.ML_KEM_768_AES_256_GCM:
        expected = "an ML-KEM-768 public key as SubjectPublicKeyInfo in DER"
    else:
        expected = f"an RSA public key of {RSA_BITS_MIN} to {RSA_BITS_MAX} bits as SubjectPublicKeyInfo in DER"
    try:
        found = serialization.load_der_public_key(public_key)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise FieldError(field, expected=expected, given=public_key) from None
    if wrapping is Wrapping.ML_KEM_768_AES_256_GCM:
        if isinstance(found, mlkem.MLKEM768PublicKey):
            return found
    elif isinstance(found, rsa.RSAPublicKey) and RSA_BITS_MIN <= found.key_size <= RSA_BITS_MAX:
        return found
    given = (
        f"one of {found.key_size} bits"
        if isinstance(found, rsa.RSAPublicKey)
        else "another kind of key"
    )
    raise FieldError(field, expected=expected, given=given)


def wrap(wrapping: Wrapping, public_key: bytes, content: bytes, field: str) -> bytes:
    """Encrypt content to a public key (SubjectPublicKeyInfo, DER). Raises FieldError for the key."""
    recipient = check_public(wrapping, public_key, field)
    if isinstance(recipient, mlkem.MLKEM768PublicKey):
        secret, ciphertext = recipient.encapsulate()
        nonce = os.urandom(_NONCE_BYTES)
        return ciphertext + nonce + AESGCM(_derived(secret)).encrypt(nonce, content, None)
    key = os.urandom(_AES_BYTES)
    return recipient.encrypt(key, _OAEP) + aes_key_wrap_with_padding(key, content)


def unwrap(wrapping: Wrapping, private: bytes | bytearray, wrapped: bytes, field: str) -> bytes:
    """The content that was encrypted to a wrapping key of generate(). Raises CIPHERTEXT_INVALID for whatever
    was not."""
    if wrapping is Wrapping.ML_KEM_768_AES_256_GCM:
        content = _open_kem(private, wrapped)
    else:
        content = _open_rsa(private, wrapped)
    if content is None:
        raise KetgateError(
            Reason.CIPHERTEXT_INVALID,
            f"{field}: this is not what {wrapping} gives with the wrapping key that is named; "
            "that key is used up: make another, and wrap anew as docs/signing-formats.md says",
            field=field,
        )
    return content


def _open_kem(private: bytes | bytearray, wrapped: bytes) -> bytes | None:
    if len(wrapped) < _KEM_BYTES + _NONCE_BYTES + _TAG_BYTES + 1:
        return None
    opened = mlkem.MLKEM768PrivateKey.from_seed_bytes(private)
    key = _derived(opened.decapsulate(wrapped[:_KEM_BYTES]))
    nonce = wrapped[_KEM_BYTES : _KEM_BYTES + _NONCE_BYTES]
    try:
        return AESGCM(key).decrypt(nonce, wrapped[_KEM_BYTES + _NONCE_BYTES :], None)
    except InvalidTag:
        return None


def _open_rsa(private: bytes | bytearray, wrapped: bytes) -> bytes | None:
    # Checked when it was made, and sealed since.
    opened = serialization.load_der_private_key(private, None, unsafe_skip_rsa_key_validation=True)
    assert isinstance(opened, rsa.RSAPrivateKey)
    modulus_bytes = opened.key_size // 8
    if len(wrapped) < modulus_bytes + 16:
        return None
    try:
        key = opened.decrypt(wrapped[:modulus_bytes], _OAEP)
    except ValueError:
        key = b""
    # A key of a wrong length costs what a right one does.
    is_key = len(key) == _AES_BYTES
    try:
        content = aes_key_unwrap_with_padding(
            key if is_key else os.urandom(_AES_BYTES), wrapped[modulus_bytes:]
        )
    except (InvalidUnwrap, ValueError):
        return None
    return content if is_key and content else None


def _derived(secret: bytes) -> bytes:
    return HKDF(hashes.SHA256(), _AES_BYTES, salt=None, info=INFO).derive(secret)


def _spki(public_key: mlkem.MLKEM768PublicKey | rsa.RSAPublicKey) -> bytes:
    return public_key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


_OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
