"""Keys of liboqs, used through Ketgate's kernel: without the GIL, and without the copies that liboqs-python makes of
every message.

liboqs signs messages, hedged, with a context where the scheme has them: the rest is for other providers.
"""

from __future__ import annotations

from collections.abc import Sequence

from ketgate_native import oqs as kernel

from ketgate_server.signing.algorithms import Algorithm
from ketgate_server.signing.provider import Input, OperationFailed, Options, Stop


def _can(algorithm: Algorithm, options: Options) -> bool:
    return (
        options.input is Input.MESSAGE
        and not options.prehash
        and len(options.context) <= algorithm.context_bytes_max
    )


def _threads(threads: int) -> int:
    return min(max(threads, 1), kernel.THREADS_MAX)


def _context(algorithm: Algorithm, options: Options) -> bytes:
    """Raises ValueError for what liboqs cannot do."""
    if not _can(algorithm, options) or options.deterministic:
        raise ValueError(
            f"liboqs signs messages with {algorithm}, with randomness and contexts of at most "
            f"{algorithm.context_bytes_max} bytes"
        )
    return options.context


class LiboqsSigningKey:
    """A SigningKey."""

    def __init__(self, algorithm: Algorithm, key: kernel.SigningKey, public_key: bytes) -> None:
        self.public_key = public_key
        self._algorithm = algorithm
        self._key = key

    def sign(self, content: bytes, options: Options) -> bytes:
        context = _context(self._algorithm, options)
        try:
            return self._key.sign(content, context)
        except (kernel.Failed, kernel.Closed) as failure:
            raise OperationFailed(f"liboqs: {failure}") from None

    def sign_many(
        self, contents: Sequence[bytes], options: Sequence[Options], threads: int, stop: Stop
    ) -> list[bytes | None]:
        contexts = [_context(self._algorithm, option) for option in options]
        try:
            return self._key.sign_many(contents, contexts, threads=_threads(threads), stop=stop)
        except (kernel.Failed, kernel.Closed) as failure:
            raise OperationFailed(f"liboqs: {failure}") from None

    def close(self) -> None:
        self._key.close()


class LiboqsVerifyingKey:
    """A VerifyingKey. What cannot be a signature is not given to the library."""

    def __init__(self, algorithm: Algorithm, key: kernel.VerifyingKey) -> None:
        self._algorithm = algorithm
        self._key = key

    def _possible(self, signature: bytes, options: Options) -> bool:
        longest = self._algorithm.output_bytes_max
        shortest = longest if self._algorithm.output_bytes_fixed else 1
        return _can(self._algorithm, options) and shortest <= len(signature) <= longest

    def verify(self, signature: bytes, content: bytes, options: Options) -> bool:
        return self._possible(signature, options) and self._key.verify(
            signature, content, options.context
        )

    def verify_many(
        self,
        signatures: Sequence[bytes],
        contents: Sequence[bytes],
        options: Sequence[Options],
        threads: int,
        stop: Stop,
    ) -> list[bool | None]:
        possible = [
            i
            for i, (signature, option) in enumerate(zip(signatures, options, strict=True))
            if self._possible(signature, option)
        ]
        answers: list[bool | None] = [False] * len(signatures)
        found = self._key.verify_many(
            [signatures[i] for i in possible],
            [contents[i] for i in possible],
            [options[i].context for i in possible],
            threads=_threads(threads),
            stop=stop,
        )
        for i, answer in zip(possible, found, strict=True):
            answers[i] = answer
        return answers


class LiboqsDecapsulationKey:
    """A DecapsulationKey."""

    def __init__(self, key: kernel.DecapsulationKey, public_key: bytes) -> None:
        self.public_key = public_key
        self._key = key

    def decapsulate(self, ciphertext: bytes) -> bytes:
        try:
            return self._key.decapsulate(ciphertext)
        except (kernel.Failed, kernel.Closed) as failure:
            raise OperationFailed(f"liboqs: {failure}") from None

    def close(self) -> None:
        self._key.close()


class LiboqsEncapsulationKey:
    """An EncapsulationKey."""

    def __init__(self, key: kernel.EncapsulationKey) -> None:
        self._key = key

    def encapsulate(self) -> tuple[bytes, bytes]:
        try:
            return self._key.encapsulate()
        except kernel.Failed as failure:
            raise OperationFailed(f"liboqs: {failure}") from None
