"""Messages that come in pieces: what is kept of them is a hash, and that is what is signed.

ML-DSA signs mu, a hash of the message with the public key and the context, so that the signature is the one of
the whole message. ECDSA and composites sign the digest of their hash. With a named pre-hash, that hash is signed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import google_crc32c

from ketgate_server.errors import FieldError, KetgateError, LimitError, Reason
from ketgate_server.signing.algorithms import Algorithm
from ketgate_server.signing.messages import Hasher, MuHasher, digest_hasher, prehash
from ketgate_server.signing.provider import Input, Options

CHUNK_BYTES_MAX = 1 << 20
VERSIONS_MAX = 16
"""Public keys that one message can be hashed with at once."""


@dataclass(frozen=True, slots=True)
class Hashed:
    """A whole message."""

    contents: list[bytes]
    """For each key: what is signed in place of the message."""
    options: Options
    content_sha256: bytes
    size_bytes: int


def check(algorithm: Algorithm, options: Options, path: str) -> None:
    """Raises FieldError where the algorithm needs the whole message at once."""
    if options.input is not Input.MESSAGE:
        raise FieldError(
            f"{path}.options.input", expected="MESSAGE in a stream", given=options.input.value
        )
    if options.prehash or algorithm.external_mu or algorithm.digest_bytes:
        return
    hint = "send it to Sign, or name a prehash" if algorithm.prehashes else "send it to Sign"
    raise FieldError(
        f"{path}.key",
        expected="a key of an algorithm that signs a hash, as ML-DSA, ECDSA or a composite",
        given=f"one of {algorithm.name}, which needs the whole message at once",
        hint=hint,
    )


def hash_message(
    algorithm: Algorithm,
    public_keys: list[bytes],
    options: Options,
    parts: Iterable[bytes | int],
    bytes_max: int,
) -> Hashed:
    """Read a message to its end, into what is signed in its place. parts, errors: as read_message()."""
    hashers = _hashers(algorithm, public_keys, options)
    content_sha256, size_bytes = read_message(parts, bytes_max, hashers)
    digests = [hasher.digest() for hasher in hashers]
    if options.prehash:
        signed = Options(Input.DIGEST, options.context, options.prehash, options.deterministic)
    elif algorithm.external_mu:
        signed = Options(Input.MU, deterministic=options.deterministic)
    else:
        signed = Options(Input.DIGEST, options.context, deterministic=options.deterministic)
    if len(digests) < len(public_keys):  # the hash does not depend on the key
        digests *= len(public_keys)
    return Hashed(digests, signed, content_sha256, size_bytes)


def read_message(
    parts: Iterable[bytes | int], bytes_max: int, hashers: Sequence[Hasher] = ()
) -> tuple[bytes, int]:
    """(SHA-256, size) of a message that is read to its end. parts: pieces of it, and last, if at all, its CRC-32C.
    hashers: are given every piece.

    Raises KetgateError: a piece that is too long, a message that is, CHECKSUM_MISMATCH.
    """
    whole = hashlib.sha256()
    size, crc32c, ended = 0, 0, False
    for part in parts:
        if ended:
            raise FieldError(
                "message_crc32c", expected="it to come last", given="another part after it"
            )
        if isinstance(part, int):
            ended = True
            if part != crc32c:
                raise mismatch("message_crc32c", part, crc32c)
            continue
        if len(part) > CHUNK_BYTES_MAX:
            raise FieldError("chunk", expected=f"at most {CHUNK_BYTES_MAX} bytes", given=part)
        size += len(part)
        if size > bytes_max:
            raise LimitError(
                "signing.stream_bytes_max", allowed=bytes_max, given=size, field="chunk"
            )
        crc32c = google_crc32c.extend(crc32c, part)
        whole.update(part)
        for hasher in hashers:
            hasher.update(part)
    return whole.digest(), size


def mismatch(field: str, given: int, found: int) -> KetgateError:
    return KetgateError(
        Reason.CHECKSUM_MISMATCH,
        f"{field}: the bytes that arrived have the CRC-32C {found:#010x}, not the {given:#010x} that came with "
        "them; send them again",
        field=field,
    )


def _hashers(algorithm: Algorithm, public_keys: list[bytes], options: Options) -> list[Hasher]:
    if options.prehash:
        return [prehash(options.prehash)]
    if algorithm.external_mu:
        return [MuHasher(public_key, options.context) for public_key in public_keys]
    hasher = digest_hasher(algorithm)
    assert hasher is not None, "options.check lets only those through that sign digests"
    return [hasher]


def parts_of(messages: Iterator[bytes | int | None]) -> Iterator[bytes | int]:
    """The parts after the first message. None: a message that says nothing, or begins anew."""
    for part in messages:
        if part is None:
            raise FieldError(
                "part",
                expected="chunk or message_crc32c after start",
                given="another start, or nothing",
            )
        yield part
