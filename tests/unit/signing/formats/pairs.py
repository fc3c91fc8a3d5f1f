"""One key of each algorithm of the provider that is always there."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import cast

from ketgate_server.signing.algorithms import ALGORITHMS, Algorithm, Purpose
from ketgate_server.signing.certificates import Signer
from ketgate_server.signing.formats.jose import REGISTERED
from ketgate_server.signing.provider import Material, Options, SigningKey, VerifyingKey
from ketgate_server.signing.providers.cryptography_provider import CryptographyProvider

VECTORS = Path(__file__).parent / "vectors"
PROVIDER = CryptographyProvider()
SIGNS = [
    name
    for name, abilities in PROVIDER.abilities().items()
    if abilities.generate and ALGORITHMS[name].purpose is Purpose.SIGN
]
IN_JOSE = [name for name in SIGNS if name in REGISTERED]


@dataclass(frozen=True)
class Pair:
    """A key pair."""

    material: Material
    public_key: bytes

    @property
    def algorithm(self) -> Algorithm:
        return self.material.algorithm

    def sign(self, content: bytes) -> bytes:
        key = cast("SigningKey", PROVIDER.open_private(self.material))
        return key.sign(content, Options())

    def verify(self, signature: bytes, content: bytes) -> bool:
        key = cast("VerifyingKey", PROVIDER.open_public(self.algorithm, self.public_key))
        return key.verify(signature, content, Options())

    def signer(self) -> Signer:
        return Signer(self.algorithm, self.public_key, self.sign)


@cache
def pair(name: str) -> Pair:
    """The one key pair of an algorithm; made once, as some take long."""
    material = PROVIDER.generate(ALGORITHMS[name])
    return Pair(material, PROVIDER.public_key(material))
