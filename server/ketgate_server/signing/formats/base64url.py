"""base64url without padding (RFC 7515, 2)."""

from __future__ import annotations

import base64
import binascii

from ketgate_server.signing.formats.malformed import Malformed

_PADDING = (b"", b"", b"==", b"=")


def write(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def read(text: bytes, what: str) -> bytes:
    """Strictly: one text for each content. what: what is read, for the message. Raises Malformed."""
    try:
        content = base64.b64decode(text + _PADDING[len(text) % 4], altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        content = None
    # The decoder takes padding inside and ignores bits that are left over.
    if content is None or write(content).encode() != text:
        raise Malformed(f"{what} is not base64url")
    return content
