"""Ed25519 (RFC 8032) of the library `cryptography`."""

from __future__ import annotations

from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric import ed25519

from ketgate_server.signing.algorithms import ED25519, Algorithm
from ketgate_server.signing.provider import Abilities, Form, Material, Options
from ketgate_server.signing.providers.cryptography_keys import Signing, Verifying, expect, read_key

_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P


def _read(content: bytes) -> ed25519.Ed25519PublicKey:
    """The public key, if it is one: OpenSSL takes any 32 bytes and then verifies nothing with them.

    Raises ValueError for what is no point of the curve in its one encoding (RFC 8032, 5.1.3), and for the
    eight points of small order, of which anybody can sign.
    """
    y = int.from_bytes(content, "little") & (2**255 - 1)
    odd = content[31] >> 7
    if y >= _P:
        raise ValueError("not the canonical encoding")
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    if square and pow(square, (_P - 1) // 2, _P) != 1:
        raise ValueError("not on the curve")
    if square == 0 and odd:
        raise ValueError("not the canonical encoding")
    # Doubling needs x^2 and y only: after three times, small orders are at (0, 1).
    for _ in range(3):
        y, square = _double(y, square)
    if (y, square) == (1, 0):
        raise ValueError("of small order")
    return ed25519.Ed25519PublicKey.from_public_bytes(content)


def _double(y: int, square: int) -> tuple[int, int]:
    """y and x^2 of twice the point, by the addition law of -x^2 + y^2 = 1 + d x^2 y^2."""
    y2 = y * y % _P
    across = _D * square * y2 % _P
    top = (y2 + square) * pow(1 - across, -1, _P) % _P
    side = 4 * square * y2 * pow(1 + across, -2, _P) % _P
    return top, side


class Ed25519SigningKey(Signing[ed25519.Ed25519PrivateKey]):
    """A private key."""

    def make(self, key: ed25519.Ed25519PrivateKey, content: bytes, options: Options) -> bytes:  # noqa: ARG002 - there is one way
        return key.sign(content)


class Ed25519VerifyingKey(Verifying):
    """A public key."""

    def __init__(self, key: ed25519.Ed25519PublicKey) -> None:
        self._key = key

    def check(self, signature: bytes, content: bytes, options: Options) -> None:  # noqa: ARG002
        self._key.verify(signature, content)


class Ed25519:
    """The part."""

    def abilities(self) -> Mapping[str, Abilities]:
        return {ED25519.id: Abilities(deterministic=True)}

    def generate(self, algorithm: Algorithm) -> Material:
        key = ed25519.Ed25519PrivateKey.generate()
        return Material(algorithm, Form.SEED, key.private_bytes_raw())

    def public_key(self, material: Material) -> bytes:
        return self._private(material).public_key().public_bytes_raw()

    def open_private(self, material: Material) -> Ed25519SigningKey:
        key = self._private(material)
        return Ed25519SigningKey(key, key.public_key().public_bytes_raw())

    def open_public(self, algorithm: Algorithm, public_key: bytes) -> Ed25519VerifyingKey:
        return Ed25519VerifyingKey(read_key(f"a public key of {algorithm}", _read, public_key, 32))

    def _private(self, material: Material) -> ed25519.Ed25519PrivateKey:
        seed = expect(material, Form.SEED, 32)
        return read_key("a seed of Ed25519", ed25519.Ed25519PrivateKey.from_private_bytes, seed, 32)
