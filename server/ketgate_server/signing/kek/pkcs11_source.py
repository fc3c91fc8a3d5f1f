"""A key-encryption key under an AES key of a token.

The token's key never leaves it. It encrypts 32 random bytes, which are stored so and decrypted by the token at
each start; they are the key-encryption key, and lie in the server's memory as private keys do that are in use.
So a token is asked once a start and not once a key, and what is stored is worth nothing without it.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ketgate_server.signing.kek.errors import KeyStoreSealed, SecretMissing
from ketgate_server.signing.kek.kek import SECRET_BYTES
from ketgate_server.signing.kek.wiping import wiped
from ketgate_server.signing.providers.pkcs11_module import TokenUnusable
from ketgate_server.signing.providers.pkcs11_token import TokenSession, open_token
from ketgate_server.signing.settings import Pkcs11Settings

AES_BITS = 256
BLOCK_BYTES = 16

T = TypeVar("T")


class Pkcs11Source:
    """An AES key in a token, made when there is none and a new key is wanted.

    CBC, of two whole blocks: every token has it, and those in FIPS mode refuse GCM with a nonce from
    outside. Whether the right bytes came back, the record's check tells, which covers these parameters.
    """

    kind = "pkcs11"

    def __init__(self, settings: Pkcs11Settings, *, any_label: bool = False) -> None:
        """any_label: open keys whatever their label is, as the source until now."""
        self._settings = settings
        self._any_label = any_label

    def __str__(self) -> str:
        return f"the key {self._settings.kek_label!r} of the token {self._settings.token_label!r}"

    def make(self) -> tuple[Mapping[str, str | int], bytearray]:
        """A new key; the token's is made when it is not there."""
        import pkcs11

        label = self._settings.kek_label
        iv = os.urandom(BLOCK_BYTES)
        secret = bytearray(os.urandom(SECRET_BYTES))

        def operation(session: TokenSession) -> tuple[bytes, bytes]:
            found = _find(session, label) or [_generate(session, label)]
            # Of several with one label, made by servers that started at once, any will do.
            key = min(found, key=_id)
            if key[pkcs11.Attribute.EXTRACTABLE] or not key[pkcs11.Attribute.SENSITIVE]:
                raise KeyStoreSealed(
                    f"{self} can be taken out of the token: name another with signing.pkcs11.kek_label"
                )
            wrapped = key.encrypt(
                bytes(secret), mechanism=pkcs11.Mechanism.AES_CBC, mechanism_param=iv
            )
            return _id(key), bytes(wrapped)

        key_id, wrapped = self._run(operation, write=True)
        parameters: dict[str, str | int] = {
            "token": self._settings.token_label,
            "label": label,
            "key_id": key_id.hex(),
            "iv": iv.hex(),
            "wrapped": wrapped.hex(),
        }
        return parameters, secret

    def open(self, parameters: Mapping[str, str | int]) -> bytearray:
        """The key that the token decrypts. Raises SecretMissing where the token does not have its key."""
        import pkcs11

        try:
            label, key_id = str(parameters["label"]), bytes.fromhex(str(parameters["key_id"]))
            iv, wrapped = (bytes.fromhex(str(parameters[name])) for name in ("iv", "wrapped"))
            if len(iv) != BLOCK_BYTES or len(wrapped) != SECRET_BYTES:
                raise ValueError
        except (KeyError, ValueError) as error:
            raise KeyStoreSealed(
                "what is stored of the token's key is damaged; restore the store from a back-up"
            ) from error
        if label != self._settings.kek_label and not self._any_label:
            raise SecretMissing(
                f"stored keys are encrypted under the token's key {label!r}, not {self}"
            )

        def operation(session: TokenSession) -> bytearray:
            for key in _find(session, label):
                if _id(key) == key_id:
                    found = bytearray(
                        key.decrypt(wrapped, mechanism=pkcs11.Mechanism.AES_CBC, mechanism_param=iv)
                    )
                    with wiped(found):
                        return found[:SECRET_BYTES]
            raise SecretMissing(
                f"{self} is not there, and stored keys are encrypted under it: is it the right token "
                f"(expected one with the label {parameters.get('token')!r})?"
            )

        return self._run(operation)

    def _run(self, operation: Callable[[TokenSession], T], *, write: bool = False) -> T:
        try:
            token = open_token(self._settings)
        except TokenUnusable as error:
            raise KeyStoreSealed(str(error)) from None
        import pkcs11

        try:
            return token.run(operation, write=write)
        except (TokenUnusable, pkcs11.PKCS11Error) as error:
            raise KeyStoreSealed(
                f"{self} cannot be used: {str(error) or type(error).__name__}"
            ) from None


def _find(session: TokenSession, label: str) -> list[Any]:
    from pkcs11 import Attribute, KeyType, ObjectClass

    wanted = {
        Attribute.CLASS: ObjectClass.SECRET_KEY,
        Attribute.KEY_TYPE: KeyType.AES,
        Attribute.LABEL: label,
    }
    found = list(session.session.get_objects(wanted))
    if not found:
        session.check_login()
    return found


def _generate(session: TokenSession, label: str) -> Any:
    from pkcs11 import Attribute, KeyType, MechanismFlag

    return session.session.generate_key(
        KeyType.AES,
        AES_BITS,
        id=os.urandom(BLOCK_BYTES),
        label=label,
        store=True,
        capabilities=MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT,
        template={
            Attribute.SENSITIVE: True,
            Attribute.EXTRACTABLE: False,
            Attribute.PRIVATE: True,
        },
    )


def _id(key: Any) -> bytes:
    from pkcs11 import Attribute

    return bytes(key[Attribute.ID])
