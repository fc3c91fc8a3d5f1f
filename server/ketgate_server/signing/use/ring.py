"""Keys that are open: private ones decrypted once and kept in memory, public ones parsed once.

What is cached of the key store holds as long as the store's generation of keys does: every use is
written down in a transaction that sees the generation, and is done again with what is new if it rose.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from ketgate_server.errors import KetgateError, Reason
from ketgate_server.signing.algorithms import Algorithm
from ketgate_server.signing.kek.vault import Vault
from ketgate_server.signing.keys.record import KeyRecord, VersionRecord
from ketgate_server.signing.keys.store import KeyStore
from ketgate_server.signing.provider import (
    KeyInvalid,
    Material,
    OperationFailed,
    Options,
    PrivateKey,
    Provider,
    Providers,
    PublicKey,
)
from ketgate_server.signing.use.options import no_provider

T = TypeVar("T")
R = TypeVar("R")
PUBLIC_KEYS_MAX = 4_096

PLAIN = Options()


class Cache(Generic[T]):
    """What was made last, each once. Threads may share it. What is dropped is not closed here, as another
    thread may be using it: keys overwrite themselves when nobody refers to them any more."""

    def __init__(self, size_max: int) -> None:
        self._size_max = size_max
        self._lock = threading.Lock()
        self._kept: OrderedDict[object, T] = OrderedDict()

    def get(self, key: object, make: Callable[[], T]) -> T:
        kept = self._kept
        found = kept.get(key)
        if found is not None:
            return found
        # Into what was there before: if that was cleared meanwhile, it is dropped already.
        made = make()
        with self._lock:
            there = kept.setdefault(key, made)
            while len(kept) > self._size_max:
                kept.popitem(last=False)
        return there

    def __len__(self) -> int:
        return len(self._kept)

    def clear(self) -> None:
        with self._lock:
            self._kept = OrderedDict()


@dataclass(frozen=True, slots=True)
class Opened(Generic[T]):
    """A key that is ready for use, and what holds it."""

    key: T
    provider: Provider

    @property
    def provider_text(self) -> str:
        return f"{self.provider.name} {self.provider.version}"

    def do(self, work: Callable[[T], R]) -> R:
        """What work gives with the key. Raises PROVIDER_FAILED where the library or the token does not."""
        try:
            return work(self.key)
        except OperationFailed as error:
            raise failed(self.provider, error) from error


class Ring:
    """Opens keys of the store."""

    def __init__(self, keys: KeyStore, vault: Vault, providers: Providers, opened_max: int) -> None:
        self._keys = keys
        self._vault = vault
        self.providers = providers
        self._private: Cache[Opened[PrivateKey]] = Cache(opened_max)
        self._public: Cache[Opened[PublicKey]] = Cache(PUBLIC_KEYS_MAX)

    def private(
        self, key: KeyRecord, version: VersionRecord, options: Options = PLAIN
    ) -> Opened[PrivateKey]:
        """The private key, opened by the best provider that can do what the options say. Raises KetgateError
        KEY_UNUSABLE where there is none, KEY_CORRUPT, PART_NOT_INSTALLED."""
        envelope = version.envelope
        if envelope is None:
            raise KetgateError(
                Reason.KEY_UNUSABLE,
                f"{version.name} has no private key: it was imported to verify with",
                metadata={"resource": version.name},
            )
        # The parts of the options that decide which provider can; the rest does not matter to the choice.
        how = (options.input, bool(options.context), options.prehash, options.deterministic)

        def make() -> Opened[PrivateKey]:
            material = self._vault.open(self._keys.owner(key, version), envelope)
            provider = self.provider_for(material, options)
            try:
                return Opened(provider.open_private(material), provider)
            except KeyInvalid as error:
                raise corrupt(version) from error
            except OperationFailed as error:
                raise failed(provider, error) from error

        return self._private.get((key.tenant, key.uid, version.version, how), make)

    def provider_for(self, material: Material, options: Options) -> Provider:
        provider = self.providers.to_sign(material, options)
        if provider is None:
            raise no_provider(material.algorithm, options)
        return provider

    def public(
        self, algorithm: Algorithm, public_key: bytes, options: Options = PLAIN
    ) -> Opened[PublicKey]:
        """A public key. Raises KeyInvalid for one that is none, KetgateError PART_NOT_INSTALLED."""
        how = (options.input, bool(options.context), options.prehash)

        def make() -> Opened[PublicKey]:
            provider = self.providers.to_verify(algorithm, options)
            if provider is None:
                raise no_provider(algorithm, options)
            return Opened(provider.open_public(algorithm, public_key), provider)

        return self._public.get((algorithm.id, public_key, how), make)

    @property
    def open_keys(self) -> int:
        """Private keys that are open."""
        return len(self._private)

    def forget(self) -> None:
        """Drop what is open: keys were changed, or the server ends."""
        self._private.clear()


def failed(provider: Provider, error: OperationFailed) -> KetgateError:
    return KetgateError(
        Reason.PROVIDER_FAILED,
        f"{provider.name} {provider.version} failed: {error}",
        retry_after_s=1.0,
    )


def corrupt(version: VersionRecord) -> KetgateError:
    return KetgateError(
        Reason.KEY_CORRUPT,
        f"{version.name}: what is stored of it is no key of {version.algorithm.name}",
        metadata={"resource": version.name},
    )
