"""Where key-encryption keys are had: one interface, and the choice that the settings make."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from ketgate_server.signing.kek.errors import KeyStoreSealed
from ketgate_server.signing.kek.file_source import FileSource
from ketgate_server.signing.settings import SigningSettings

Parameters = Mapping[str, str | int]
"""What is stored of a key-encryption key, never the key: public, and authenticated by its check."""


class Source(Protocol):
    """A place that gives the 32 bytes of a key-encryption key."""

    kind: str
    """ "file", "passphrase" or "pkcs11"."""

    def make(self) -> tuple[Parameters, bytearray]:
        """A new key: what is to be stored of it, and its bytes, the caller's to overwrite. Raises
        KeyStoreSealed."""

    def open(self, parameters: Parameters) -> bytearray:
        """The bytes of a key that was made with these parameters, if this source is the right one:
        else other bytes, which the check tells. The caller's to overwrite. Raises KeyStoreSealed."""

    def __str__(self) -> str:
        """Where it is, for messages: "the file ...". Never a secret."""


def current(settings: SigningSettings, data_dir: Path) -> Source:
    """The source that the settings name. Raises KeyStoreSealed."""
    if settings.kek == "file":
        return FileSource(settings.kek_file or data_dir / "keys" / "kek.key", "signing.kek_file")
    raise KeyStoreSealed(f"signing.kek: {settings.kek!r} is not there yet")


def previous(settings: SigningSettings) -> list[Source]:
    """The sources until now that the settings name. Raises KeyStoreSealed."""
    found: list[Source] = []
    if settings.previous_kek_file is not None:
        found.append(FileSource(settings.previous_kek_file, "signing.previous_kek_file"))
    return found
