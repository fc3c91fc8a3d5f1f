"""Key material encrypted to a wrapping key of the server's, and decrypted from an export: the formats of
docs/signing-formats.md. The private key never leaves this process in the clear.
"""

import os
from typing import Any

from ketgate._errors import InvalidArgument, PartNotInstalled

WRAPPING_ALGORITHMS = ("ML_KEM_768_AES_256_GCM", "RSA_OAEP_SHA256_AES_KWP")
"""The first is safe from quantum computers, the second is what hardware security modules have."""

_INFO = b"ketgate wrap v1"
_KEM_BYTES = 1_088
_NONCE_BYTES = 12
_AES_BYTES = 32
_RSA_BITS = 3_072


def wrap(algorithm: str, public_key: bytes, content: bytes) -> bytes:
    """Encrypt a private key for client.signing.import_key.

    algorithm: one of WRAPPING_ALGORITHMS. public_key: of a wrapping key, SubjectPublicKeyInfo in DER. content: as
    private_key_bytes() gives it. Raises InvalidArgument, and PartNotInstalled without cryptography.
    """
    _check_algorithm(algorithm)
    _require_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import mlkem, rsa
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    if not content:
        raise InvalidArgument("content: expected a private key, given nothing", field="content")
    try:
        receiver: Any = load_der_public_key(public_key)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        receiver = None
    if algorithm == WRAPPING_ALGORITHMS[0]:
        if not isinstance(receiver, mlkem.MLKEM768PublicKey):
            raise _wrong_key("an ML-KEM-768 public key")
        secret, ciphertext = receiver.encapsulate()
        nonce = os.urandom(_NONCE_BYTES)
        return ciphertext + nonce + AESGCM(_derived(secret)).encrypt(nonce, content, None)
    if not isinstance(receiver, rsa.RSAPublicKey) or receiver.key_size < _RSA_BITS:
        raise _wrong_key(f"an RSA public key of at least {_RSA_BITS} bits")
    key = os.urandom(_AES_BYTES)
    return receiver.encrypt(key, _oaep()) + aes_key_wrap_with_padding(key, content)


class Receiver:
    """A key pair of one's own, to receive an exported private key with.

    >>> receiver = Receiver("ML_KEM_768_AES_256_GCM")
    >>> receiver.unwrap(wrap(receiver.algorithm, receiver.public_key, b"secret"))
    b'secret'
    """

    def __init__(self, algorithm: str = WRAPPING_ALGORITHMS[0]) -> None:
        """Raises InvalidArgument, and PartNotInstalled without cryptography."""
        _check_algorithm(algorithm)
        _require_cryptography()
        from cryptography.hazmat.primitives.asymmetric import mlkem, rsa
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        self.algorithm = algorithm
        if algorithm == WRAPPING_ALGORITHMS[0]:
            self._private: Any = mlkem.MLKEM768PrivateKey.generate()
        else:
            self._private = rsa.generate_private_key(65_537, _RSA_BITS)
        self.public_key: bytes = self._private.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
        """SubjectPublicKeyInfo, DER: ExportPrivateKeyRequest.wrapping_public_key."""

    def __repr__(self) -> str:
        return f"Receiver({self.algorithm!r})"

    def unwrap(self, wrapped_key: bytes) -> bytes:
        """The private key in an export: PKCS #8 in DER, or raw where its algorithm has none. Raises InvalidArgument
        for whatever was not encrypted to this receiver."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.keywrap import (
            InvalidUnwrap,
            aes_key_unwrap_with_padding,
        )

        try:
            if self.algorithm == WRAPPING_ALGORITHMS[0]:
                end = _KEM_BYTES + _NONCE_BYTES
                key = _derived(self._private.decapsulate(wrapped_key[:_KEM_BYTES]))
                return AESGCM(key).decrypt(wrapped_key[_KEM_BYTES:end], wrapped_key[end:], None)
            front = self._private.key_size // 8
            key = self._private.decrypt(wrapped_key[:front], _oaep())
            return aes_key_unwrap_with_padding(key, wrapped_key[front:])
        except (ValueError, InvalidTag, InvalidUnwrap):
            raise InvalidArgument(
                f"wrapped_key: expected what was exported to this receiver, given {len(wrapped_key)} other bytes",
                field="wrapped_key",
            ) from None


def private_key_bytes(key: Any, password: bytes | None = None) -> bytes:
    """A private key as an import takes it: PKCS #8 in DER, or raw.

    key: PKCS #8 in PEM or DER, raw bytes as docs/signing-formats.md says, or a private key of the package cryptography.
    password: of an encrypted PKCS #8. Raises InvalidArgument for anything else.
    """
    _require_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import (
        load_der_private_key,
        load_pem_private_key,
    )

    if isinstance(key, str):
        key = key.encode()
    if not isinstance(key, (bytes, bytearray, memoryview)):
        return _pkcs8(key)
    content = bytes(key)
    is_pem = content.lstrip().startswith(b"-----BEGIN")
    if not is_pem and password is None:
        return content
    load: Any = load_pem_private_key if is_pem else load_der_private_key
    try:
        return _pkcs8(load(content, password))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        # The library's text may be shown: it speaks of the form and the password, never of the key.
        raise InvalidArgument(
            f"key: expected a private key as PKCS #8, given {len(content)} other bytes: {error}",
            field="key",
        ) from None


def _pkcs8(key: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    if not hasattr(key, "private_bytes"):
        raise InvalidArgument(
            f"key: expected bytes, PEM text or a private key of the package cryptography, given {type(key).__name__}",
            field="key",
        )
    content: bytes = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return content


def _check_algorithm(algorithm: str) -> None:
    if algorithm not in WRAPPING_ALGORITHMS:
        raise InvalidArgument(
            f"algorithm: expected one of {', '.join(WRAPPING_ALGORITHMS)}, given {algorithm[:40]!r}",
            field="algorithm",
        )


def _wrong_key(expected: str) -> InvalidArgument:
    return InvalidArgument(
        f"public_key: expected {expected} as SubjectPublicKeyInfo in DER, given another",
        field="public_key",
    )


def _require_cryptography() -> None:
    try:
        from cryptography.hazmat.primitives.asymmetric import mlkem  # noqa: F401
    except ImportError:
        raise PartNotInstalled(
            "wrapping keys needs the package cryptography, version 48 or later",
            reason="PART_NOT_INSTALLED",
            remedy="Run: pip install 'ketgate[crypto]'",
        ) from None


def _derived(secret: bytes) -> bytes:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(hashes.SHA256(), _AES_BYTES, salt=None, info=_INFO).derive(secret)


def _oaep() -> Any:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    return padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
