"""PEM (RFC 7468): DER as text between two lines that say what it is."""

from __future__ import annotations

import base64
import binascii

from ketgate_server.signing.formats.malformed import Malformed

PUBLIC_KEY = "PUBLIC KEY"
PRIVATE_KEY = "PRIVATE KEY"
CERTIFICATE = "CERTIFICATE"
CERTIFICATE_REQUEST = "CERTIFICATE REQUEST"

BYTES_MAX = 1 << 20
_BEGIN = b"-----BEGIN "
_DASHES = b"-----"


def write(label: str, der: bytes) -> str:
    """Lines of 64 characters, with a newline at the end."""
    text = base64.b64encode(der).decode()
    lines = (text[at : at + 64] for at in range(0, len(text), 64))
    return "\n".join((f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""))


def read(content: bytes, *labels: str) -> bytes:
    """DER of the one block in a text, which has one of these labels; what is DER already (it begins with a
    SEQUENCE) stays as it is. Text around the block is skipped, as the standard asks. Raises Malformed."""
    if len(content) > BYTES_MAX:
        raise Malformed(f"{len(content)} bytes; at most {BYTES_MAX} are read")
    if content[:1] == b"\x30":
        return content
    wanted = " or ".join(f'"{label}"' for label in labels)
    if content.count(_BEGIN) != 1:
        raise Malformed(f"neither DER nor PEM with one block {wanted}")
    label, _, rest = content[content.index(_BEGIN) + len(_BEGIN) :].partition(_DASHES)
    named = next((name for name in labels if name.encode() == label), None)
    if named is None:
        raise Malformed(f"a PEM block {wanted} was expected, and another was given")
    body, end, _ = rest.partition(b"-----END " + label + _DASHES)
    if not end:
        raise Malformed(f'the PEM block "{named}" has no end')
    try:
        return base64.b64decode(b"".join(body.split()), validate=True)
    except (binascii.Error, ValueError):
        raise Malformed(f'the PEM block "{named}" is not base64') from None
