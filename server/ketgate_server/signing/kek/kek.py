"""A key-encryption key in memory, and the keys that follow from it.

One secret of 32 bytes gives, by HKDF-SHA256 with its id as salt, a key each for envelopes, for codes over
rows, and for the check by which a wrong secret is told: none of them is ever used for another thing.
"""

import hmac
from typing import TypeVar

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ketgate_server.signing.kek.wiping import wipe
from ketgate_server.store.base import StoreUnavailable

T = TypeVar("T")

SECRET_BYTES = 32
ID_BYTES = 16

_KEY_BYTES = 32
_HASH = "sha256"


class KekClosed(StoreUnavailable):
    """The key was overwritten: nothing is made with what is left, which everybody knows."""

    def __init__(self) -> None:
        super().__init__("the key store is closed: the server is stopping")


class Kek:
    """A key-encryption key. It has no text, and its parts are of this package only."""

    def __init__(self, kek_id: str, secret: bytearray) -> None:
        """kek_id: 32 hexadecimal digits. secret: 32 bytes, the caller's to overwrite."""
        salt = bytes.fromhex(kek_id)
        if len(salt) != ID_BYTES or len(secret) != SECRET_BYTES:
            raise ValueError(
                f"key-encryption key: expected {SECRET_BYTES} bytes with an id of {ID_BYTES}, "
                f"given {len(secret)} and {len(salt)}"
            )
        self.id = kek_id
        self.id_bytes = salt
        self._closed = False
        self._seal_key = derive(secret, salt, b"ketgate kek: envelopes")
        self._mac_key = derive(secret, salt, b"ketgate kek: rows")
        self._check_key = derive(secret, salt, b"ketgate kek: check")

    def __repr__(self) -> str:
        return f"Kek({self.id})"

    def envelope_key(self, salt: bytes) -> bytearray:
        """The key of one envelope, the caller's to overwrite. Raises KekClosed, as all that use the key."""
        return self._made(derive(self._seal_key, salt, b"ketgate envelope"))

    def mac(self, content: bytes) -> bytes:
        """Code over a row, 32 bytes."""
        return self._made(hmac.digest(self._mac_key, content, _HASH))

    def check(self, parameters: bytes) -> bytes:
        """What is stored beside the parameters to tell a wrong secret, or changed parameters, by."""
        return self._made(hmac.digest(self._check_key, parameters, _HASH))

    def close(self) -> None:
        """Overwrite the keys."""
        self._closed = True
        for key in (self._seal_key, self._mac_key, self._check_key):
            wipe(key)

    def _made(self, made: T) -> T:
        """What was made with a key, if that was not overwritten meanwhile, by another thread."""
        if self._closed:
            raise KekClosed
        return made


def derive(secret: bytearray, salt: bytes, label: bytes) -> bytearray:
    """32 bytes that follow from a secret."""
    key = bytearray(_KEY_BYTES)
    HKDF(SHA256(), _KEY_BYTES, salt, label).derive_into(secret, key)
    return key
