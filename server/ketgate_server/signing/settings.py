"""The settings under [signing]: what does the cryptography, and what private keys are encrypted under."""

import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else Path(os.path.abspath(path.expanduser()))


def _one_of(settings: BaseModel, name: str, file_name: str) -> None:
    """Messages of this module never show what was given: it may be a secret."""
    if getattr(settings, name) is not None and getattr(settings, file_name) is not None:
        raise ValueError(f"expected {name} or {file_name}, given both")


class Pkcs11Settings(BaseModel):
    """A token: a hardware security module, or SoftHSM."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, use_attribute_docstrings=True
    )

    module: Path | None = None
    """The token's PKCS #11 library."""

    token_label: str = ""
    """Label of the token."""

    pin: SecretStr | None = None
    """The user's PIN; better in pin_file or the environment than in a configuration that others read."""

    pin_file: Path | None = None
    """File with the PIN, readable by its owner only."""

    kek_label: str = Field(default="ketgate-kek", min_length=1, max_length=64)
    """Label of the AES key that stored keys are encrypted under, with kek = "pkcs11"; made when it is not
    there."""

    _paths = field_validator("module", "pin_file")(_absolute)

    @model_validator(mode="after")
    def _complete(self) -> "Pkcs11Settings":
        _one_of(self, "pin", "pin_file")
        if self.module is not None:
            if not self.token_label:
                raise ValueError("module: expected a token_label with it, given none")
            if self.pin is None and self.pin_file is None:
                raise ValueError("module: expected a pin_file (or a pin) with it, given none")
        elif self.token_label or self.pin is not None or self.pin_file is not None:
            raise ValueError("token: expected a module, the token's library, with it; given none")
        return self


class SigningSettings(BaseModel):
    """What an operator can set about keys."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, use_attribute_docstrings=True
    )

    kek: Literal["file", "passphrase", "pkcs11"] = "file"
    """Where the key-encryption key is had: a file with 32 random bytes, a passphrase, or a token."""

    kek_file: Path | None = None
    """The file, with kek = "file": mode 0600, owned by the server's user; without one, it is made in
    data_dir/keys. Servers that share a store share its content."""

    passphrase: SecretStr | None = None
    """The passphrase, with kek = "passphrase"; in the environment it stands in the JSON of KETGATE_SIGNING."""

    passphrase_file: Path | None = None
    """File with the passphrase, readable by its owner only."""

    previous_kek_file: Path | None = None
    """The file until now, when kek or kek_file changes: what is stored is rewrapped at the start."""

    previous_passphrase: SecretStr | None = None
    """The passphrase until now, when it changes."""

    previous_passphrase_file: Path | None = None
    """File with the passphrase until now."""

    providers: tuple[Literal["liboqs", "cryptography", "pkcs11"], ...] = ()
    """Order of preference: "liboqs", "cryptography", "pkcs11"; what is not named is not used. Empty: all
    that there are, the fastest first for each algorithm."""

    liboqs: Path | None = None
    """The shared library of liboqs, or its folder; without one it is looked for where OQS_INSTALL_PATH
    and the system say, and in build/liboqs of a checkout."""

    pkcs11: Pkcs11Settings = Pkcs11Settings()
    """A token."""

    audit_algorithm: Literal["ML_DSA_44", "ML_DSA_65", "ML_DSA_87", "ED25519"] = "ML_DSA_65"
    """Of the key that signs the audit's tree heads; a change makes a new key, and the log records it."""

    opened_keys_max: int = Field(default=1_000, ge=1, le=100_000)
    """Private keys that are kept open in memory at once."""

    _paths = field_validator(
        "kek_file", "passphrase_file", "previous_kek_file", "previous_passphrase_file", "liboqs"
    )(_absolute)

    @model_validator(mode="after")
    def _complete(self) -> "SigningSettings":
        _one_of(self, "passphrase", "passphrase_file")
        _one_of(self, "previous_passphrase", "previous_passphrase_file")
        if self.kek == "passphrase" and self.passphrase is None and self.passphrase_file is None:
            raise ValueError('kek = "passphrase": expected a passphrase_file with it, given none')
        if self.kek == "pkcs11" and self.pkcs11.module is None:
            raise ValueError('kek = "pkcs11": expected pkcs11.module with it, given none')
        return self
