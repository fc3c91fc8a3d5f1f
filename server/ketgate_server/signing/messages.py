"""What is really signed: the external mu of ML-DSA, and the digests of messages that are hashed before.

FIPS 204: sections 5.2 (algorithms 2 and 3, the formatted message M'), 5.4 (HashML-DSA) and 6.2 (mu). FIPS 205
formats messages alike, so that its pre-hashed messages are those of this module too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ketgate_server.signing.algorithms import CONTEXT_BYTES_MAX, MU_BYTES, PREHASHES, Algorithm

_PURE = b"\x00"
_PREHASHED = b"\x01"


class Hasher(Protocol):
    """A digest in the making."""

    def update(self, piece: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


class _Extendable(Protocol):
    def update(self, piece: bytes, /) -> None: ...

    def digest(self, length: int, /) -> bytes: ...


class _Shake:
    """A SHAKE whose length is known, as hashlib's fixed hashes are."""

    def __init__(self, state: _Extendable, size_bytes: int) -> None:
        self._state = state
        self._size = size_bytes

    def update(self, piece: bytes, /) -> None:
        self._state.update(piece)

    def digest(self) -> bytes:
        return self._state.digest(self._size)


@dataclass(frozen=True)
class _Prehash:
    oid_arc: int
    """Of 2.16.840.1.101.3.4.2."""
    size_bytes: int
    new: Callable[[], Hasher]


_TABLE: dict[str, _Prehash] = {
    "SHA2-256": _Prehash(1, 32, hashlib.sha256),
    "SHA2-384": _Prehash(2, 48, hashlib.sha384),
    "SHA2-512": _Prehash(3, 64, hashlib.sha512),
    "SHA3-256": _Prehash(8, 32, hashlib.sha3_256),
    "SHA3-384": _Prehash(9, 48, hashlib.sha3_384),
    "SHA3-512": _Prehash(10, 64, hashlib.sha3_512),
    "SHAKE-128": _Prehash(11, 32, lambda: _Shake(hashlib.shake_128(), 32)),
    "SHAKE-256": _Prehash(12, 64, lambda: _Shake(hashlib.shake_256(), 64)),
}
assert tuple(_TABLE) == PREHASHES


def prehash(name: str) -> Hasher:
    """A new hasher by the contract's name, as "SHA2-512". Raises KeyError for another name."""
    return _TABLE[name].new()


def prehash_bytes(name: str) -> int:
    """Size of its digest. Raises KeyError for another name."""
    return _TABLE[name].size_bytes


def prehashed_message(name: str, digest: bytes, context: bytes) -> bytes:
    """M' of HashML-DSA and HashSLH-DSA: what the internal signing function takes in place of the message.

    digest: of the message, by the hash of that name. Raises ValueError where it has another length, or the
    context is too long; KeyError for another name.
    """
    kind = _TABLE[name]
    if len(digest) != kind.size_bytes:
        raise ValueError(f"a digest of {name} is {kind.size_bytes} bytes; given {len(digest)}")
    oid = b"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02" + bytes([kind.oid_arc])
    return _PREHASHED + _context(context) + oid + digest


def digest_hasher(algorithm: Algorithm) -> Hasher | None:
    """A new hasher for the digest that may be signed in place of the message; None where there is none.

    That of ECDSA with its curve, and of a composite's pre-hash. (With SigningOptions.prehash it is prehash().)
    """
    if not algorithm.digest_bytes:
        return None
    return {32: hashlib.sha256, 48: hashlib.sha384, 64: hashlib.sha512}[algorithm.digest_bytes]()


class MuHasher:
    """mu of a message that comes in pieces: its signature is that of the message at once."""

    def __init__(self, public_key: bytes, context: bytes = b"") -> None:
        """public_key: raw, of ML-DSA. Raises ValueError where the context is too long."""
        self._state = hashlib.shake_256(_key_digest(public_key))
        self._state.update(_PURE + _context(context))

    def update(self, piece: bytes, /) -> None:
        self._state.update(piece)

    def digest(self) -> bytes:
        """mu, 64 bytes."""
        return self._state.digest(MU_BYTES)


def mu(public_key: bytes, context: bytes, message: bytes) -> bytes:
    """The external mu of a message, 64 bytes. Raises ValueError where the context is too long."""
    hasher = MuHasher(public_key, context)
    hasher.update(message)
    return hasher.digest()


def prehashed_mu(public_key: bytes, name: str, digest: bytes, context: bytes) -> bytes:
    """mu of HashML-DSA, so that whatever signs a mu signs pre-hashed messages. Raises as prehashed_message."""
    state = hashlib.shake_256(_key_digest(public_key))
    state.update(prehashed_message(name, digest, context))
    return state.digest(MU_BYTES)


def _key_digest(public_key: bytes) -> bytes:
    """tr of FIPS 204: what binds mu to the public key."""
    return hashlib.shake_256(public_key).digest(64)


def _context(context: bytes) -> bytes:
    if len(context) > CONTEXT_BYTES_MAX:
        raise ValueError(f"a context has at most {CONTEXT_BYTES_MAX} bytes; given {len(context)}")
    return bytes([len(context)]) + context
