"""Key material that came from outside: read, and checked to be a key before it is stored.

Whatever is wrong with it is the caller's fault, and the error says what, without showing any of it.
"""

from __future__ import annotations

import os

from ketgate_server.errors import FieldError, KetgateError, PartMissing, Reason
from ketgate_server.signing.algorithms import Algorithm, Family, Purpose
from ketgate_server.signing.formats import pkcs8, public_keys, spki
from ketgate_server.signing.keys.making import Fresh
from ketgate_server.signing.provider import (
    Form,
    KeyInvalid,
    Material,
    OperationFailed,
    Options,
    Provider,
    Providers,
)
from ketgate_server.signing.providers.registry import missing_part

_TRIAL = b"ketgate: do the two parts of this key belong together?"


def read_private(providers: Providers, algorithm: Algorithm, content: bytes, field: str) -> Fresh:
    """A private key as it was unwrapped: PKCS #8, or raw as docs/signing-formats.md says. That its public
    part belongs to it was tried, where it does not follow from it.

    Raises FieldError for what is no such key, PART_NOT_INSTALLED when no provider here can use it.
    """
    try:
        material = _material(algorithm, content)
        provider = _provider(providers, material)
        public_key = provider.public_key(material)
        if material.form is not Form.SEED:
            _try(provider, material, public_key)
    except KeyInvalid as error:
        raise FieldError(
            field,
            expected=f"an encrypted private key of {algorithm}",
            given="another",
            hint=str(error),
        ) from None
    except OperationFailed as error:
        raise KetgateError(
            Reason.PROVIDER_FAILED, f"{field}: the key cannot be tried: {error}"
        ) from None
    return Fresh(provider.name, material, public_key, _fingerprint(algorithm, public_key))


def read_public(
    providers: Providers, algorithm: Algorithm, content: bytes, field: str
) -> tuple[bytes, str, str]:
    """A public key, in whichever format it is exported in: raw, its fingerprint, and the provider that can use it.
    Raises as read_private()."""
    expected = f"a public key of {algorithm}: {public_keys.FORMATS}"
    if algorithm.purpose is Purpose.MAC:
        raise FieldError(
            field, expected="a key of an algorithm with a public part", given=algorithm.id
        )
    able = [p for p in providers.of(algorithm) if p.abilities()[algorithm.id].public]
    if not able:
        raise PartMissing(*missing_part(algorithm))
    try:
        _, raw = public_keys.read(content, algorithm)
        able[0].open_public(algorithm, raw)
    except KeyInvalid as error:
        raise FieldError(field, expected=expected, given=content, hint=str(error)) from None
    return raw, _fingerprint(algorithm, raw), able[0].name


def write_private(material: Material) -> bytes:
    """A private key as it is exported; read_private() reads it. Raises KeyInvalid for one that lies in a token."""
    if material.form is Form.TOKEN:
        raise KeyInvalid("it lies in a token")
    if material.algorithm.family is Family.FALCON:
        return material.content + material.public
    return pkcs8.write_private(material)


def _material(algorithm: Algorithm, content: bytes) -> Material:
    if not algorithm.generates:
        raise KeyInvalid(f"keys of {algorithm} only verify; import a public key")
    if algorithm.family is Family.FALCON:  # no public part follows from a private one
        size = algorithm.private_bytes + algorithm.public_key_bytes
        if len(content) != size:
            raise KeyInvalid(
                f"private and public key of {algorithm} have {size} bytes together, given {len(content)}"
            )
        private, public = content[: algorithm.private_bytes], content[algorithm.private_bytes :]
        return Material(algorithm, Form.RAW, private, public)
    return pkcs8.read_private(content, algorithm)


def _provider(providers: Providers, material: Material) -> Provider:
    for provider in providers.of(material.algorithm):
        can = provider.abilities()[material.algorithm.id]
        if can.private and material.form in can.forms:
            return provider
    raise PartMissing(*missing_part(material.algorithm))


def _try(provider: Provider, material: Material, public_key: bytes) -> None:
    """Use both parts once. Raises KeyInvalid when they do not belong together, or are no key at all."""
    algorithm = material.algorithm
    private = provider.open_private(material)
    try:
        if algorithm.purpose is Purpose.MAC:
            return
        public = provider.open_public(algorithm, public_key)
        if hasattr(private, "sign") and hasattr(public, "verify"):
            together = public.verify(private.sign(_TRIAL, Options()), _TRIAL, Options())
        elif hasattr(private, "decapsulate") and hasattr(public, "encapsulate"):
            secret, ciphertext = public.encapsulate()
            together = private.decapsulate(ciphertext) == secret
        else:
            assert hasattr(private, "open")
            assert hasattr(public, "seal")
            content = os.urandom(32)
            together = private.open(public.seal(content, b"", b""), b"", b"") == content
    finally:
        private.close()
    if not together:
        raise KeyInvalid("its private and its public part are of different keys")


def _fingerprint(algorithm: Algorithm, public_key: bytes) -> str:
    return spki.fingerprint(algorithm, public_key) if public_key else ""
