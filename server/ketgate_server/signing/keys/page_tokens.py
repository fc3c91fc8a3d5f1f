"""Tokens of pages: where to go on in a list, encrypted, as that may be a resource that is hidden from the caller.

Encrypted under the vault: good in all servers of a store until its key-encryption key changes, and in the list that
they are of alone. All are of one length.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ketgate_server.errors import FieldError
from ketgate_server.signing.kek.vault import Vault

_POSITION_BYTES = 64
"""Above the longest id."""
_DIGEST_BYTES = 8
_NONCE_BYTES = 12


def write(vault: Vault, position: str, *of: str) -> str:
    """A token. position: ASCII, at most 64 characters. of: which list, in parts without newlines."""
    digest, nonce = _digest(*of), os.urandom(_NONCE_BYTES)
    padded = position.encode("ascii").ljust(_POSITION_BYTES, b"\0")
    packed = digest + nonce + _cipher(vault).encrypt(nonce, padded, digest)
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def read(vault: Vault, token: str, *of: str) -> str:
    """The position that write() was given; empty for the first page. Raises FieldError."""
    if not token:
        return ""
    try:
        packed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        digest, rest = packed[:_DIGEST_BYTES], packed[_DIGEST_BYTES:]
        opened = _cipher(vault).decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], digest)
    except (binascii.Error, ValueError, InvalidTag):
        raise FieldError(
            "page_token",
            expected="a next_page_token of this method",
            given=token,
            hint="begin with the first page again",
        ) from None
    if digest != _digest(*of):
        raise FieldError(
            "page_token",
            expected="a token of this very list",
            given="one of another list",
            hint="what is listed must stay as it was on the first page",
        )
    return opened.rstrip(b"\0").decode("ascii")


def _digest(*of: str) -> bytes:
    return hashlib.sha256("\n".join(of).encode()).digest()[:_DIGEST_BYTES]


def _cipher(vault: Vault) -> AESGCM:
    return AESGCM(vault.mac(b"tokens of pages"))
