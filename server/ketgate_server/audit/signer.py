"""Who vouches for the heads of the log."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from ketgate._tree_head import key_id

from ketgate_server.files import make_private_folder
from ketgate_server.store.errors import StoreError

KEY_FILE = Path("keys") / "audit.pem"
"""In the data folder, where no other file is set."""


class SignerError(StoreError):
    """The key cannot be read or made; the message says what to do."""


class Signer(Protocol):
    """A key that signs. What it is and where it lives is its own affair."""

    algorithm: str
    """For example "ML-DSA-65"."""
    key_id: str
    """SHA-256 of public_key, hexadecimal."""
    public_key: bytes
    """DER SubjectPublicKeyInfo."""

    def sign(self, content: bytes) -> bytes:
        """A signature over content."""


Reopen = Callable[[str], Signer | None]
"""The signer of a key, by its id; None where it is not to be had."""


class Ed25519Signer:
    """A Signer with its key in memory."""

    algorithm = "Ed25519"

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public_key = key.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
        self.key_id = key_id(self.public_key)

    def sign(self, content: bytes) -> bytes:
        return self._key.sign(content)


def open_signer(path: Path) -> Signer:
    """The signer whose key is in a PEM file (PKCS #8, unencrypted, mode 0600), made if it is not
    there. Servers of one PostgreSQL database use the same key, so the same file or a copy of it.

    Raises SignerError.
    """
    try:
        if not path.exists():
            _make_key(path)
        content = path.read_bytes()
    except OSError as error:
        raise SignerError(
            f"the audit's key {path} cannot be used: {error.strerror}; "
            "choose another with the setting audit_key_file"
        ) from error
    return _read_key(path, content)


def find_signer(path: Path, key_id: str) -> Signer | None:
    """The signer whose key is in a file, if there is one and it has this id; of an empty id, whichever
    it is."""
    try:
        found = _read_key(path, path.read_bytes())
    except (OSError, SignerError):
        return None
    return found if key_id in ("", found.key_id) else None


def _read_key(path: Path, content: bytes) -> Signer:
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError) as error:
        raise SignerError(
            f"the audit's key {path}: expected an unencrypted private key in PEM; put it back from "
            "a copy (with a new key, clients that pinned the old one will ask for an explanation)"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SignerError(f"the audit's key {path}: expected an Ed25519 key")
    return Ed25519Signer(key)


def _make_key(path: Path) -> None:
    """Make a key file. Of several servers that try at once, one succeeds, and all use its key."""
    make_private_folder(path.parent)
    content = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    draft = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    descriptor = os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)  # whole from the first moment, and never over another's
        except FileExistsError:
            return
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        draft.unlink(missing_ok=True)
