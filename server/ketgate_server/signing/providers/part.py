"""A part of a provider: a family of algorithms. A provider is a name and its parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from ketgate_server.signing.algorithms import Algorithm
from ketgate_server.signing.provider import Abilities, Material, PrivateKey, PublicKey


class Part(Protocol):
    """As Provider, for the algorithms that it has."""

    def abilities(self) -> Mapping[str, Abilities]: ...

    def generate(self, algorithm: Algorithm) -> Material: ...

    def public_key(self, material: Material) -> bytes: ...

    def open_private(self, material: Material) -> PrivateKey: ...

    def open_public(self, algorithm: Algorithm, public_key: bytes) -> PublicKey: ...
