"""The provider over a token: a hardware security module, or SoftHSM.

Keys are made in the token and never leave it. What is stored is their identifier there and the public key,
and public keys are for the other providers: nothing is gained by asking a token. Tokens with ML-DSA (PKCS
#11 3.2) are not used for it: none can be had to test with.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from ketgate_server.cached import cached_property
from ketgate_server.signing.algorithms import Algorithm
from ketgate_server.signing.provider import (
    Abilities,
    Form,
    Input,
    KeyInvalid,
    Material,
    OperationFailed,
    PrivateKey,
    PublicKey,
)
from ketgate_server.signing.providers.pkcs11_keys import (
    ID_BYTES,
    KINDS,
    Kind,
    TokenSigningKey,
    read_point,
)
from ketgate_server.signing.providers.pkcs11_token import Token, TokenSession

RANK = -100
"""Below all others: a key is made in a token where that is asked for."""


class Pkcs11Provider:
    """A Provider."""

    name = "pkcs11"

    def __init__(self, token: Token) -> None:
        self._token = token
        self.version = token.module.version

    def abilities(self) -> Mapping[str, Abilities]:
        return self._abilities

    @cached_property
    def _abilities(self) -> dict[str, Abilities]:
        names = {getattr(mechanism, "name", "") for mechanism in self._token.mechanisms}
        return {
            name: Abilities(
                public=False,
                inputs=frozenset({Input.MESSAGE, Input.DIGEST} if kind.hash else {Input.MESSAGE}),
                deterministic=not kind.hash,
                forms=frozenset({Form.TOKEN}),
                rank=RANK,
            )
            for name, kind in KINDS.items()
            if {kind.generate, kind.sign} <= names
        }

    def generate(self, algorithm: Algorithm) -> Material:
        """A key pair in the token, which cannot be taken out. Raises OperationFailed."""
        import pkcs11

        kind, key_id = KINDS[algorithm.id], os.urandom(ID_BYTES)
        label = f"ketgate {algorithm.name} {key_id.hex()}"
        try:
            point = self._token.run(
                lambda session: _generate(session, kind, key_id, label), write=True
            )
        except pkcs11.PKCS11Error as error:
            raise OperationFailed(
                f"the token made no key of {algorithm}: {str(error) or type(error).__name__}"
            ) from None
        return Material(algorithm, Form.TOKEN, key_id, point)

    def public_key(self, material: Material) -> bytes:
        return _checked(material).public

    def open_private(self, material: Material) -> PrivateKey:
        """Raises KeyInvalid, OperationFailed."""
        _checked(material)
        return TokenSigningKey(self._token, material.algorithm, material.content, material.public)

    def open_public(self, algorithm: Algorithm, public_key: bytes) -> PublicKey:  # noqa: ARG002
        raise KeyInvalid(f"public keys of {algorithm} are not opened in a token")

    def destroy(self, material: Material) -> None:
        """Delete a key from the token, for ever. Raises OperationFailed; a key that is not there is
        destroyed already."""
        import pkcs11

        _checked(material)
        try:
            self._token.run(lambda session: _destroy(session, material.content), write=True)
        except pkcs11.PKCS11Error as error:
            raise OperationFailed(
                f"the token did not destroy a key: {str(error) or type(error).__name__}"
            ) from None


def _generate(session: TokenSession, kind: Kind, key_id: bytes, label: str) -> bytes:
    """The public key, raw."""
    from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag
    from pkcs11.util.ec import encode_named_curve_parameters

    parameters = session.session.create_domain_parameters(
        KeyType[kind.key_type],
        {Attribute.EC_PARAMS: encode_named_curve_parameters(kind.curve)},
        local=True,
    )
    public, private = parameters.generate_keypair(
        id=key_id,
        label=label,
        store=True,
        capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
        mechanism=Mechanism[kind.generate],
        private_template={
            Attribute.SENSITIVE: True,
            Attribute.EXTRACTABLE: False,
            Attribute.PRIVATE: True,
        },
    )
    if private[Attribute.EXTRACTABLE] or not private[Attribute.SENSITIVE]:
        private.destroy()
        public.destroy()
        raise OperationFailed("the token makes only keys that can be taken out of it")
    return read_point(public[Attribute.EC_POINT], kind)


def _destroy(session: TokenSession, key_id: bytes) -> None:
    from pkcs11 import Attribute

    session.check_login()  # else nothing would be found, and taken for destroyed
    for found in list(session.session.get_objects({Attribute.ID: key_id})):
        found.destroy()


def _checked(material: Material) -> Material:
    if material.form is not Form.TOKEN or len(material.content) != ID_BYTES or not material.public:
        raise KeyInvalid(f"expected the identifier of a key in a token, given {material!r}")
    return material
