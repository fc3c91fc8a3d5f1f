"""Pages of keys and of versions, with tokens that tell where to go on.

Keys that the caller may not read are left out, and those that a filter does not match; a page looks at a
limited number of keys and ends early, with a token, where few of them match.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from ketgate_server.errors import FieldError, NotFound
from ketgate_server.rpc.call import Identity
from ketgate_server.signing.keys import filters, policy, rows
from ketgate_server.signing.keys.names import KEY_ID, key_name
from ketgate_server.signing.keys.record import KeyRecord, VersionRecord
from ketgate_server.signing.keys.store import KeyStore

PAGE_SIZE_DEFAULT = 50
PAGE_SIZE_MAX = 1_000
SCAN_MAX = 10_000
"""Keys that one page looks at."""
_PIECE = 500
_DIGEST_BYTES = 8
_BEYOND_ALL = 1 << 30
"""Above every version's number."""
_NUMBER = re.compile("[1-9][0-9]{0,8}")
"""Of a version."""


@dataclass(frozen=True)
class KeyPage:
    keys: list[KeyRecord]
    next_page_token: str
    """Empty at the end."""


@dataclass(frozen=True)
class VersionPage:
    versions: list[VersionRecord]
    next_page_token: str


def page_of_keys(
    keys: KeyStore, identity: Identity, *, page_size: int, page_token: str, filter_text: str
) -> KeyPage:
    """Keys by id. Raises FIELD_INVALID for page_size, page_token and filter."""
    size, wanted = read_size(page_size), filters.parse(filter_text)
    digest = _digest(identity.tenant, filter_text)
    after, seen, found = _read_token(page_token, digest, KEY_ID), 0, list[KeyRecord]()
    with keys.store.read() as reader:
        while seen < SCAN_MAX:
            piece = rows.read_keys(reader, keys.vault, identity.tenant, after, _PIECE)
            seen += len(piece)
            for key in piece:
                if wanted.matches(key) and _may_read(key, identity):
                    if len(found) == size:
                        return KeyPage(found, _token(digest, found[-1].id))
                    found.append(key)
            if len(piece) < _PIECE:
                return KeyPage(found, "")
            after = piece[-1].id
    return KeyPage(found, _token(digest, after))


def page_of_versions(
    keys: KeyStore, key: KeyRecord, *, page_size: int, page_token: str
) -> VersionPage:
    """Versions of a key, the newest first. Raises FIELD_INVALID for page_size and page_token."""
    size, digest = read_size(page_size), _digest(key.tenant, key.name)
    position = _read_token(page_token, digest, _NUMBER)
    below = int(position) if position else _BEYOND_ALL
    with keys.store.read() as reader:
        found = rows.read_versions_below(reader, keys.vault, key.tenant, key.id, below, size + 1)
    if not found and not page_token:
        raise NotFound(key_name(key.id), "key")
    token = _token(digest, str(found[size - 1].version)) if len(found) > size else ""
    return VersionPage(found[:size], token)


def read_size(page_size: int) -> int:
    """Raises FieldError."""
    if page_size < 0:
        raise FieldError("page_size", expected="0 or more", given=page_size)
    return min(page_size or PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)


def _may_read(key: KeyRecord, identity: Identity) -> bool:
    return policy.may_set_policy(key.policy, identity)


def _digest(*of: str) -> bytes:
    return hashlib.sha256("\n".join(of).encode()).digest()[:_DIGEST_BYTES]


def _token(digest: bytes, position: str) -> str:
    return base64.urlsafe_b64encode(digest + position.encode()).decode().rstrip("=")


def _read_token(token: str, digest: bytes, positions: re.Pattern[str]) -> str:
    """The position; empty for the first page. positions: what can be one, as anybody can make a token up."""
    if not token:
        return ""
    try:
        packed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        position = packed[_DIGEST_BYTES:].decode("ascii")
    except (binascii.Error, ValueError):
        packed, position = b"", ""
    if not positions.fullmatch(position):
        raise FieldError("page_token", expected="a next_page_token of this method", given=token)
    if packed[:_DIGEST_BYTES] != digest:
        raise FieldError(
            "page_token",
            expected="a token of this very list",
            given="one of another list",
            hint="what is listed must stay as it was on the first page",
        )
    return position
