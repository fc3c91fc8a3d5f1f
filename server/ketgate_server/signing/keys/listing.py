"""Pages of keys and of versions, with tokens that tell where to go on.

Keys that the caller may not read are left out, and those that a filter does not match; a page looks at a
limited number of keys and ends early, with a token, where few of them match. Corrupt ones, of which policy and
labels say nothing, are named to the role `admin`, which reads all.
"""

from __future__ import annotations

from dataclasses import dataclass

from ketgate_server.errors import FieldError, NotFound
from ketgate_server.rpc.call import ADMIN_ROLE, Identity
from ketgate_server.signing.keys import filters, page_tokens, policy, rows
from ketgate_server.signing.keys.names import key_name
from ketgate_server.signing.keys.record import KeyRecord, VersionRecord
from ketgate_server.signing.keys.store import KeyStore

PAGE_SIZE_DEFAULT = 50
PAGE_SIZE_MAX = 1_000
SCAN_MAX = 10_000
"""Keys that one page looks at."""
_PIECE = 500
_BEYOND_ALL = 1 << 30
"""Above every version's number."""


@dataclass(frozen=True)
class KeyPage:
    keys: list[KeyRecord]
    corrupt: list[str]
    """Ids of those that cannot be shown; they count as entries of the page."""
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
    of = (identity.tenant, "keys", filter_text)
    after, seen = page_tokens.read(keys.vault, page_token, *of), 0
    found, corrupt = list[KeyRecord](), list[str]()
    with keys.store.read() as reader:
        while seen < SCAN_MAX:
            piece = rows.read_keys(reader, keys.vault, identity.tenant, after, _PIECE)
            seen += len(piece)
            for key_id, key in piece:
                listed = (
                    ADMIN_ROLE in identity.roles
                    if key is None
                    else wanted.matches(key) and _may_read(key, identity)
                )
                if listed and len(found) + len(corrupt) == size:
                    return KeyPage(found, corrupt, page_tokens.write(keys.vault, after, *of))
                if listed and key is not None:
                    found.append(key)
                elif listed:
                    corrupt.append(key_id)
                after = key_id
            if len(piece) < _PIECE:
                return KeyPage(found, corrupt, "")
    return KeyPage(found, corrupt, page_tokens.write(keys.vault, after, *of))


def page_of_versions(
    keys: KeyStore, key: KeyRecord, *, page_size: int, page_token: str
) -> VersionPage:
    """Versions of a key, the newest first. Raises FIELD_INVALID for page_size and page_token."""
    size, of = read_size(page_size), (key.tenant, "versions", key.name)
    position = page_tokens.read(keys.vault, page_token, *of)
    below = int(position) if position else _BEYOND_ALL
    with keys.store.read() as reader:
        found = rows.read_versions_below(reader, keys.vault, key.tenant, key.id, below, size + 1)
    if not found and not page_token:
        raise NotFound(key_name(key.id), "key")
    if len(found) <= size:
        return VersionPage(found, "")
    last = str(found[size - 1].version)
    return VersionPage(found[:size], page_tokens.write(keys.vault, last, *of))


def read_size(page_size: int) -> int:
    """Raises FieldError."""
    if page_size < 0:
        raise FieldError("page_size", expected="0 or more", given=page_size)
    return min(page_size or PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)


def _may_read(key: KeyRecord, identity: Identity) -> bool:
    return policy.may_set_policy(key.policy, identity)
