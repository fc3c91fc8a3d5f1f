"""What all keys of the library `cryptography` share: closing, batches, and errors that tell nothing of keys."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm

from ketgate_server.signing.provider import (
    Form,
    KeyInvalid,
    Material,
    OperationFailed,
    Options,
    Stop,
)
from ketgate_server.signing.providers import many

Key = TypeVar("Key")
T = TypeVar("T")


def expect(material: Material, form: Form, size_bytes: int = 0) -> bytes:
    """The content of material in this form and, unless 0, of this size. Raises KeyInvalid."""
    if material.form is not form:
        raise KeyInvalid(
            f"{material.algorithm} is opened from its {form} here; given is its {material.form}"
        )
    if size_bytes and len(material.content) != size_bytes:
        raise KeyInvalid(
            f"the {form} of {material.algorithm} has {size_bytes} bytes; "
            f"given {len(material.content)}"
        )
    return material.content


def read_key(what: str, read: Callable[[bytes], T], content: bytes, size_bytes: int) -> T:
    """read(content), which must have this size (0: any). The library's refusals become KeyInvalid, without
    their texts, which can be wrong: of the wrong content they say that it has the wrong size."""
    if size_bytes and len(content) != size_bytes:
        raise KeyInvalid(f"{what} has {size_bytes} bytes; given {len(content)}")
    try:
        return read(content)
    except KeyInvalid:
        raise
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyInvalid(f"{what}: {len(content)} bytes that are none") from None


class Held(Generic[Key]):
    """A key of the library until it is closed; the library overwrites its memory when it goes."""

    def __init__(self, key: Key) -> None:
        self._key: Key | None = key

    def held(self) -> Key:
        key = self._key
        if key is None:
            raise OperationFailed("the key is closed")
        return key

    def close(self) -> None:
        self._key = None


class Signing(Held[Key], ABC):
    """A SigningKey: the families say how one message is signed."""

    def __init__(self, key: Key, public_key: bytes) -> None:
        super().__init__(key)
        self.public_key = public_key

    @abstractmethod
    def make(self, key: Key, content: bytes, options: Options) -> bytes:
        """The signature."""

    def sign(self, content: bytes, options: Options) -> bytes:
        key = self.held()
        try:
            return self.make(key, content, options)
        except InternalError as failure:
            raise OperationFailed("cryptography failed to sign") from failure

    def sign_many(
        self, contents: Sequence[bytes], options: Sequence[Options], threads: int, stop: Stop
    ) -> list[bytes | None]:
        return many.each(len(contents), lambda i: self.sign(contents[i], options[i]), threads, stop)


class Verifying(ABC):
    """A VerifyingKey: the families say how one signature is checked."""

    @abstractmethod
    def check(self, signature: bytes, content: bytes, options: Options) -> None:
        """Raises InvalidSignature, or ValueError for what cannot have been signed."""

    def verify(self, signature: bytes, content: bytes, options: Options) -> bool:
        try:
            self.check(signature, content, options)
        except (InvalidSignature, ValueError, InternalError):
            return False
        return True

    def verify_many(
        self,
        signatures: Sequence[bytes],
        contents: Sequence[bytes],
        options: Sequence[Options],
        threads: int,
        stop: Stop,
    ) -> list[bool | None]:
        return many.each(
            len(signatures),
            lambda i: self.verify(signatures[i], contents[i], options[i]),
            threads,
            stop,
        )
