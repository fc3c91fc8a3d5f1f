"""What one key of an audit log says of the key that comes after it, and the proof that it said so.

Server and client share it, as they do what a tree head is signed over.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

from ketgate._tree_head import AuditTampered, key_id
from ketgate._verification import verifies, verify_signature

ROTATED = "audit.key.rotated"
"""Action of the entry."""

_PREFIX = b"ketgate audit key v1\x00"


@dataclass(frozen=True)
class Rotation:
    """A key, and the one before, which signed that it is followed by it."""

    previous_key_id: str
    previous_algorithm: str
    previous_public_key: bytes
    key_id: str
    algorithm: str
    public_key: bytes
    """DER SubjectPublicKeyInfo, as the previous one."""
    signature: bytes = b""
    """By the previous key, over statement()."""


def statement(log_id: str, rotation: Rotation) -> bytes:
    """What the previous key signs. The log is named, so that it says nothing of another."""
    names = (log_id, rotation.previous_key_id, rotation.algorithm)
    return _PREFIX + b"".join(name.encode() + b"\x00" for name in names) + rotation.public_key


def as_facts(rotation: Rotation) -> dict[str, str]:
    """As the entry says it."""
    return {
        "previous_key_id": rotation.previous_key_id,
        "previous_algorithm": rotation.previous_algorithm,
        "previous_public_key": _text(rotation.previous_public_key),
        "key_id": rotation.key_id,
        "algorithm": rotation.algorithm,
        "public_key": _text(rotation.public_key),
        "signature": _text(rotation.signature),
    }


def read_rotation(log_id: str, facts: Mapping[str, str]) -> Rotation:
    """A rotation of which is proven that the previous key signed it. Whether that is a key to trust is
    for the caller to know. Raises AuditTampered."""
    try:
        rotation = Rotation(
            facts["previous_key_id"],
            facts["previous_algorithm"],
            base64.b64decode(facts["previous_public_key"], validate=True),
            facts["key_id"],
            facts["algorithm"],
            base64.b64decode(facts["public_key"], validate=True),
            base64.b64decode(facts["signature"], validate=True),
        )
    except (KeyError, ValueError, binascii.Error):
        raise AuditTampered("an entry about a new key of the log cannot be read") from None
    ids = (rotation.previous_key_id, rotation.key_id)
    if ids != (key_id(rotation.previous_public_key), key_id(rotation.public_key)):
        raise AuditTampered("an entry about a new key of the log names other keys than it has")
    if not verifies(rotation.previous_algorithm) or not verify_signature(
        rotation.previous_algorithm,
        rotation.previous_public_key,
        rotation.signature,
        statement(log_id, rotation),
    ):
        raise AuditTampered(
            f"the key {rotation.previous_key_id[:16]} did not sign that {rotation.key_id[:16]} "
            "comes after it"
        )
    return rotation


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
