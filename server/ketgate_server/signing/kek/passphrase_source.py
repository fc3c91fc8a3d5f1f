"""A key-encryption key from a passphrase, by Argon2id (RFC 9106)."""

import os
import unicodedata
from collections.abc import Mapping

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from ketgate_server.signing.kek.errors import KeyStoreSealed
from ketgate_server.signing.kek.kek import SECRET_BYTES
from ketgate_server.signing.kek.wiping import wiped

CHARACTERS_MIN = 12

SALT_BYTES = 16
MEMORY_KIB = 64 * 1024
ITERATIONS = 3
LANES = 1
"""About 0.3 s of one processor; several times what OWASP asks for at the least (46 MiB once, or 19 MiB
twice), and RFC 9106's second choice, which takes more lanes."""

_MEMORY_KIB_MAX = 1024 * 1024
_ITERATIONS_MAX = 20
_LANES_MAX = 16
"""Of stored parameters, which another hand may have changed: the check comes after the work."""


class PassphraseSource:
    """A passphrase that the operator gives at each start."""

    kind = "passphrase"

    def __init__(self, passphrase: str, setting: str) -> None:
        """setting: that which gives it, for messages."""
        # The same characters, however a keyboard or an editor composes them.
        self._passphrase = unicodedata.normalize("NFC", passphrase)
        self._setting = setting

    def __str__(self) -> str:
        return f"the passphrase of {self._setting}"

    def make(self) -> tuple[Mapping[str, str | int], bytearray]:
        """A new key with a salt of its own."""
        count = len(self._passphrase)
        if count < CHARACTERS_MIN:
            raise KeyStoreSealed(
                f"{self._setting}: expected at least {CHARACTERS_MIN} characters, given {count}; "
                "several random words are good"
            )
        parameters: dict[str, str | int] = {
            "salt": os.urandom(SALT_BYTES).hex(),
            "memory_kib": MEMORY_KIB,
            "iterations": ITERATIONS,
            "lanes": LANES,
        }
        return parameters, self.open(parameters)

    def open(self, parameters: Mapping[str, str | int]) -> bytearray:
        """The key that follows from the passphrase and stored parameters."""
        try:
            salt = bytes.fromhex(str(parameters["salt"]))
            memory_kib = _within(parameters["memory_kib"], 8, _MEMORY_KIB_MAX)
            iterations = _within(parameters["iterations"], 1, _ITERATIONS_MAX)
            lanes = _within(parameters["lanes"], 1, _LANES_MAX)
            secret = bytearray(SECRET_BYTES)
            with wiped(bytearray(self._passphrase.encode("utf-8", "surrogatepass"))) as passphrase:
                Argon2id(  # its types ask for bytes; it takes what can be overwritten
                    salt=salt,
                    length=SECRET_BYTES,
                    iterations=iterations,
                    lanes=lanes,
                    memory_cost=memory_kib,
                ).derive_into(passphrase, secret)  # type: ignore[arg-type]
        except (KeyError, ValueError) as error:
            raise KeyStoreSealed(
                "the stored parameters of the passphrase are damaged; restore the store from a back-up"
            ) from error
        except (UnsupportedAlgorithm, MemoryError) as error:
            raise KeyStoreSealed(
                f"a passphrase needs Argon2id with {memory_kib // 1024} MiB of memory, which this machine "
                "does not have: install a newer `cryptography`, or give it more memory"
            ) from error
        return secret


def _within(value: str | int, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"expected {low} to {high}")
    return value
