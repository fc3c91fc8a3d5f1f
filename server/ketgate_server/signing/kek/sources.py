"""Where key-encryption keys are had: one interface, and the choice that the settings make."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from pydantic import SecretStr

from ketgate_server.signing.kek.errors import KeyStoreSealed
from ketgate_server.signing.kek.file_source import FileSource
from ketgate_server.signing.kek.passphrase_source import PassphraseSource
from ketgate_server.signing.kek.pkcs11_source import Pkcs11Source
from ketgate_server.signing.kek.secret_files import read_text
from ketgate_server.signing.settings import SigningSettings

KEK_FILE = Path("keys") / "kek.key"
"""In the data folder, where no other file is set."""

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
    if settings.kek == "passphrase":
        passphrase = _passphrase(
            settings.passphrase, settings.passphrase_file, "signing.passphrase"
        )
        if passphrase is None:
            raise KeyStoreSealed(
                'signing.kek = "passphrase": expected signing.passphrase_file, or signing.passphrase'
            )
        return passphrase
    if settings.kek == "pkcs11":
        return Pkcs11Source(settings.pkcs11)
    return FileSource(settings.kek_file or data_dir / KEK_FILE, "signing.kek_file")


def previous(settings: SigningSettings) -> list[Source]:
    """The sources until now that the settings name. Raises KeyStoreSealed."""
    found: list[Source] = []
    if settings.previous_kek_file is not None:
        found.append(FileSource(settings.previous_kek_file, "signing.previous_kek_file"))
    passphrase = _passphrase(
        settings.previous_passphrase,
        settings.previous_passphrase_file,
        "signing.previous_passphrase",
    )
    if passphrase is not None:
        found.append(passphrase)
    if settings.pkcs11.module is not None:
        found.append(Pkcs11Source(settings.pkcs11, any_label=True))
    return found


def left_over(settings: SigningSettings) -> str:
    """The setting of a previous key, where one is given: whoever has that key could still bring in what it
    encrypts. Empty: none."""
    names = ("previous_kek_file", "previous_passphrase", "previous_passphrase_file")
    given = [f"signing.{name}" for name in names if getattr(settings, name) is not None]
    return given[0] if given else ""


def _passphrase(given: SecretStr | None, file: Path | None, setting: str) -> Source | None:
    if given is not None:
        return PassphraseSource(given.get_secret_value(), setting)
    if file is not None:
        setting = f"{setting}_file"
        return PassphraseSource(read_text(file, "the passphrase's file", setting), setting)
    return None
