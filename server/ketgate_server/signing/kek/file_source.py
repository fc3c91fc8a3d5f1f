"""A key-encryption key in a file: 32 random bytes that only the server's user can read."""

import os
from collections.abc import Mapping
from pathlib import Path

from ketgate_server.files import make_private_folder, sync_folder
from ketgate_server.signing.kek.errors import KeyStoreSealed
from ketgate_server.signing.kek.kek import SECRET_BYTES
from ketgate_server.signing.kek.secret_files import read_secret
from ketgate_server.signing.kek.wiping import wipe, wiped

_WHAT = "the key-encryption key's file"


class FileSource:
    """A file, made when there is none and a new key is wanted."""

    kind = "file"

    def __init__(self, path: Path, setting: str) -> None:
        """setting: that which names the file, for messages."""
        self._path = path
        self._setting = setting

    def __str__(self) -> str:
        return f"the file {self._path}"

    def make(self) -> tuple[Mapping[str, str | int], bytearray]:
        """The file's key; the file is made when it is not there."""
        try:
            if not self._path.exists():
                self._write()
        except OSError as error:
            raise KeyStoreSealed(
                f"{_WHAT} {self._path} cannot be made: {error.strerror}; "
                f"name another with the setting {self._setting}"
            ) from error
        return {}, self.open({})

    def open(self, parameters: Mapping[str, str | int]) -> bytearray:  # noqa: ARG002 - it has none
        """The file's key."""
        secret = read_secret(self._path, _WHAT, self._setting)
        if len(secret) != SECRET_BYTES:
            count = len(secret)
            wipe(secret)
            raise KeyStoreSealed(
                f"{_WHAT} {self._path}: expected {SECRET_BYTES} bytes, given {count}; put it back from "
                f"a copy, or say with the setting {self._setting} where it is"
            )
        return secret

    def _write(self) -> None:
        """Make the file, whole from the first moment and never over another's: of several servers
        that try at once, one succeeds, and all use its key."""
        make_private_folder(self._path.parent)
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}.{os.urandom(4).hex()}")
        descriptor = os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                with wiped(bytearray(os.urandom(SECRET_BYTES))) as secret:
                    file.write(secret)
                os.fsync(file.fileno())
            try:
                os.link(draft, self._path)
            except FileExistsError:
                return
            sync_folder(self._path.parent)
        finally:
            draft.unlink(missing_ok=True)
