"""Envelopes: a secret, encrypted under a key-encryption key and bound to the place where it is stored.

AES-256-GCM under a key of its own for each envelope, HKDF-SHA256 of the key-encryption key and 16 random
bytes, with a random nonce besides: however many envelopes there are, no key meets a nonce twice. A stored
data key for each version, wrapped in turn, would be as long as most secrets here, and a second thing to lose.

    byte 0       format, 1
    byte 1       form of the secret
    2 .. 17      id of the key-encryption key
    18 .. 33     salt
    34 .. 45     nonce
    46 ..        ciphertext and 16 bytes of tag

All before the ciphertext, and the place, are authenticated with it.
"""

import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ketgate_server.signing.kek.kek import ID_BYTES, Kek
from ketgate_server.signing.kek.wiping import wiped

FORMAT = 1
SALT_BYTES = 16
NONCE_BYTES = 12
TAG_BYTES = 16
HEADER_BYTES = 2 + ID_BYTES + SALT_BYTES + NONCE_BYTES
SECRET_BYTES_MAX = 1 << 20

_DOMAIN = b"ketgate envelope 1"


class EnvelopeInvalid(ValueError):  # noqa: N818 - a state of the bytes
    """What does not open: damaged, of another place, or no envelope."""


class OtherKek(EnvelopeInvalid):
    """An envelope under another key-encryption key."""

    def __init__(self, kek_id: str) -> None:
        super().__init__(f"it is encrypted under the key-encryption key {kek_id}")
        self.kek_id = kek_id


def seal(kek: Kek, form: int, place: Sequence[str], secret: bytes | bytearray) -> bytes:
    """An envelope. form: 0 to 255. place: texts that only this place has, the same when it is
    opened."""
    if len(secret) > SECRET_BYTES_MAX:
        raise ValueError(f"secret: expected at most {SECRET_BYTES_MAX} bytes, given {len(secret)}")
    salt, nonce = os.urandom(SALT_BYTES), os.urandom(NONCE_BYTES)
    header = bytes((FORMAT, form)) + kek.id_bytes + salt + nonce
    with wiped(kek.envelope_key(salt)) as key:
        return header + AESGCM(key).encrypt(nonce, secret, _associated(header, place))


def open_envelope(kek: Kek, place: Sequence[str], envelope: bytes) -> tuple[int, bytearray]:
    """(form, secret); the secret is the caller's to overwrite. Raises EnvelopeInvalid, whatever the
    bytes are, and OtherKek."""
    if len(envelope) < HEADER_BYTES + TAG_BYTES:
        raise EnvelopeInvalid(f"{len(envelope)} bytes are no envelope")
    if len(envelope) > HEADER_BYTES + TAG_BYTES + SECRET_BYTES_MAX:
        raise EnvelopeInvalid(f"{len(envelope)} bytes are too long for an envelope")
    if envelope[0] != FORMAT:
        raise EnvelopeInvalid(f"expected an envelope of format {FORMAT}, given {envelope[0]}")
    found = kek_of(envelope)
    if found != kek.id:
        raise OtherKek(found)
    header, ciphertext = envelope[:HEADER_BYTES], envelope[HEADER_BYTES:]
    salt = header[2 + ID_BYTES : 2 + ID_BYTES + SALT_BYTES]
    nonce = header[-NONCE_BYTES:]
    secret = bytearray(len(ciphertext) - TAG_BYTES)
    with wiped(kek.envelope_key(salt)) as key:
        try:
            AESGCM(key).decrypt_into(nonce, ciphertext, _associated(header, place), secret)
        except InvalidTag:
            raise EnvelopeInvalid("it was changed, or belongs to another place") from None
    return envelope[1], secret


def kek_of(envelope: bytes) -> str:
    """Id of the key-encryption key that an envelope says it is under; not authenticated."""
    return envelope[2 : 2 + ID_BYTES].hex()


def _associated(header: bytes, place: Sequence[str]) -> bytes:
    """No two places have the same bytes: each text stands with its length."""
    parts = [_DOMAIN, header]
    for text in place:
        content = text.encode("utf-8", "surrogatepass")
        parts += (len(content).to_bytes(4, "big"), content)
    return b"".join(parts)
