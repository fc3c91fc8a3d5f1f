"""JSON objects from others, read strictly: no member twice, and nothing that JSON has not."""

from __future__ import annotations

import json
from typing import Any

from ketgate_server.signing.formats.malformed import Malformed


def read(text: bytes, what: str, bytes_max: int) -> dict[str, Any]:
    """what: is read, for the message, as "the JWS header". Raises Malformed."""
    if len(text) > bytes_max:
        raise Malformed(f"{what} has {len(text)} bytes; at most {bytes_max} are read")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) != len(pairs):
            raise Malformed(f"{what} has a member twice")
        return members

    def refuse(constant: str) -> None:
        raise Malformed(f"{what} is not JSON: {constant}")

    try:
        found = json.loads(text.decode(), object_pairs_hook=unique, parse_constant=refuse)
    except Malformed:
        raise
    except (ValueError, RecursionError):
        raise Malformed(f"{what} is not JSON") from None
    if not isinstance(found, dict):
        raise Malformed(f"{what} is no JSON object")
    return found
