"""New private keys: made by a provider and sealed, outside of any transaction."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from ketgate_server.errors import FieldError, KetgateError, PartMissing, Reason
from ketgate_server.signing.algorithms import Algorithm
from ketgate_server.signing.formats import spki
from ketgate_server.signing.kek.vault import Vault
from ketgate_server.signing.keys import rows
from ketgate_server.signing.keys.record import KeyRecord, Origin, VersionRecord, VersionState
from ketgate_server.signing.provider import (
    KeyInvalid,
    Material,
    OperationFailed,
    Provider,
    Providers,
)
from ketgate_server.signing.providers.registry import missing_part

_log = logging.getLogger(__name__)

INSTALL = {
    "cryptography": "pip install 'ketgate-server'",
    "liboqs": "make liboqs && pip install 'ketgate-server[oqs]'",
    "pkcs11": "pip install 'ketgate-server[pkcs11]', and the settings signing.pkcs11",
}
"""Providers that the contract names, and how to have them."""


@dataclass(frozen=True, repr=False)
class Fresh:
    """A private key that nobody has yet."""

    provider: str
    material: Material
    public_key: bytes
    """Raw; empty for MACs."""
    fingerprint: str

    def __repr__(self) -> str:
        return f"Fresh({self.provider}, {self.material!r})"


def provider_for(
    providers: Providers, algorithm: Algorithm, name: str, field: str = "provider"
) -> Provider:
    """Who makes keys of an algorithm: the one of this name, or the best.

    Raises FieldError, and PART_NOT_INSTALLED.
    """
    if name:
        if name not in INSTALL:
            expected = "one of " + ", ".join(INSTALL)
            raise FieldError(field, expected=f"{expected}, or nothing", given=name)
        named = providers.named(name)
        if named is None:
            raise PartMissing(name, INSTALL[name])
        can = named.abilities().get(algorithm.id)
        if can is None or not can.generate:
            having = [
                p.name for p in providers.of(algorithm) if p.abilities()[algorithm.id].generate
            ]
            raise FieldError(
                field,
                expected=f"a provider that makes keys of {algorithm}",
                given=name,
                hint=f"those that do here: {', '.join(having) or 'none'}",
            )
        return named
    best = providers.to_generate(algorithm)
    if best is None:
        raise PartMissing(*missing_part(algorithm))
    return best


def check_generates(algorithm: Algorithm, path: str = "algorithm") -> None:
    """Raises FieldError for an algorithm that is only verified."""
    if not algorithm.generates:
        raise FieldError(
            path,
            expected="an algorithm that the service makes keys of",
            given=algorithm.id,
            hint="import a public key of it with ImportKey",
        )


def make(provider: Provider, algorithm: Algorithm) -> Fresh:
    """A new private key. Raises PROVIDER_FAILED."""
    try:
        material = provider.generate(algorithm)
        public_key = provider.public_key(material)
    except (OperationFailed, KeyInvalid) as error:
        raise KetgateError(
            Reason.PROVIDER_FAILED, f"{provider.name} made no key of {algorithm}: {error}"
        ) from None
    fingerprint = spki.fingerprint(algorithm, public_key) if public_key else ""
    return Fresh(provider.name, material, public_key, fingerprint)


def discard(provider: Provider, fresh: Fresh) -> None:
    """Forget a private key that was not stored: one that was made in a token would else stay there."""
    destroy = getattr(provider, "destroy", None)
    if destroy is not None:
        try:
            destroy(fresh.material)
        except OperationFailed as error:
            _log.warning("%s keeps a key of %s that nobody has: %s", provider.name, fresh, error)


def sealed(vault: Vault, key: KeyRecord, number: int, fresh: Fresh) -> VersionRecord:
    """A new version of a key, to be stored."""
    return VersionRecord(
        tenant=key.tenant,
        key_id=key.id,
        version=number,
        state=VersionState.ENABLED,
        algorithm=key.algorithm,
        provider=fresh.provider,
        origin=Origin.GENERATED,
        public_key=fresh.public_key,
        fingerprint=fresh.fingerprint,
        create_time_us=0,
        envelope=vault.seal(rows.owner(key, number), fresh.material),
    )
