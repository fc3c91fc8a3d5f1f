"""How composite ML-DSA writes messages, keys and signatures: draft-ietf-lamps-pq-composite-sigs-13.

Each part signs M' = prefix || label || len(context) || context || hash(message), ML-DSA with the label as its context.
Keys and signatures are ML-DSA's part, then the other's: a seed and Ed25519's 32 bytes or RFC 5915 without the public
key; points uncompressed; ECDSA signatures in DER.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec

from ketgate_server.signing import messages
from ketgate_server.signing.algorithms import (
    ALGORITHMS,
    CONTEXT_BYTES_MAX,
    ED25519,
    Algorithm,
    Family,
)
from ketgate_server.signing.provider import Form, Input, KeyInvalid, Material, Options
from ketgate_server.signing.providers import cryptography_ecdsa as ecdsa

PREFIX = b"CompositeAlgorithmSignatures2025"
_SEED_BYTES = 32


@dataclass(frozen=True)
class Curve:
    """How RFC 5915 writes a private key of a curve, without its public key: all but the scalar is fixed."""

    curve: ec.EllipticCurve
    before: bytes
    scalar_bytes: int
    after: bytes

    def write(self, pkcs8: bytes, algorithm: Algorithm) -> bytes:
        """From PKCS #8. Raises KeyInvalid."""
        material = Material(algorithm, Form.PKCS8, pkcs8)
        key = ecdsa.open_private(material, ecdsa.KINDS[algorithm.id])
        scalar = key.private_numbers().private_value.to_bytes(self.scalar_bytes)
        return self.before + scalar + self.after

    def read(self, content: bytes) -> bytes:
        """To PKCS #8. Raises KeyInvalid."""
        start, end = len(self.before), len(self.before) + self.scalar_bytes
        if content[:start] != self.before or content[end:] != self.after:
            raise KeyInvalid(
                "the classical part is not RFC 5915 with a named curve and no public key"
            )
        try:
            key = ec.derive_private_key(int.from_bytes(content[start:end]), self.curve)
        except ValueError:
            raise KeyInvalid("the classical part is not below the order of its curve") from None
        return ecdsa.write_pkcs8(key)


_CURVES = {
    "ECDSA_P256_SHA256": Curve(
        ec.SECP256R1(),
        bytes.fromhex("30310201010420"),
        32,
        bytes.fromhex("a00a06082a8648ce3d030107"),
    ),
    "ECDSA_P384_SHA384": Curve(
        ec.SECP384R1(), bytes.fromhex("303e0201010430"), 48, bytes.fromhex("a00706052b81040022")
    ),
}


@dataclass(frozen=True)
class Scheme:
    """What a composite is of."""

    algorithm: Algorithm
    quantum: Algorithm
    classical: Algorithm

    @property
    def label(self) -> bytes:
        return b"COMPSIG-" + self.algorithm.name.encode()

    def message(self, content: bytes, options: Options) -> bytes:
        """M'. Raises ValueError for a context that is too long and a digest of the wrong size."""
        size = self.algorithm.digest_bytes
        if options.input is not Input.DIGEST:
            hasher = messages.digest_hasher(self.algorithm)
            assert hasher is not None, "every composite has a pre-hash"
            hasher.update(content)
            content = hasher.digest()
        if len(content) != size:
            raise ValueError(f"a digest is {size} bytes; given {len(content)}")
        if len(options.context) > CONTEXT_BYTES_MAX:
            raise ValueError(f"a context has at most {CONTEXT_BYTES_MAX} bytes")
        return PREFIX + self.label + bytes([len(options.context)]) + options.context + content

    def part_options(self, deterministic: bool) -> tuple[Options, Options]:
        """How ML-DSA signs M', and the other."""
        quantum = Options(context=self.label, deterministic=deterministic)
        return quantum, Options(deterministic=deterministic)

    def split(self, material: Material) -> tuple[Material, Material]:
        """The private keys of the parts. Raises KeyInvalid."""
        expected = self.algorithm.private_bytes
        if material.form is not Form.RAW or len(material.content) != expected:
            raise KeyInvalid(
                f"a private key of {self.algorithm} is raw, {expected} bytes; given is "
                f"its {material.form} of {len(material.content)}"
            )
        seed, other = material.content[:_SEED_BYTES], material.content[_SEED_BYTES:]
        if self.classical is ED25519:
            classical = Material(ED25519, Form.SEED, other)
        else:
            pkcs8 = _CURVES[self.classical.id].read(other)
            classical = Material(self.classical, Form.PKCS8, pkcs8)
        return Material(self.quantum, Form.SEED, seed), classical

    def join(self, quantum: Material, classical: Material) -> Material:
        """The other way."""
        content = classical.content
        if self.classical is not ED25519:
            content = _CURVES[self.classical.id].write(content, self.classical)
        return Material(self.algorithm, Form.RAW, quantum.content + content)


def _schemes() -> dict[str, Scheme]:
    found = {}
    for algorithm in ALGORITHMS.values():
        if algorithm.family is not Family.COMPOSITE:
            continue
        quantum = ALGORITHMS[algorithm.id[: len("ML_DSA_65")]]
        other = algorithm.id[len("ML_DSA_65_") :]
        names = {"ECDSA_P256": "ECDSA_P256_SHA256", "ECDSA_P384": "ECDSA_P384_SHA384"}
        found[algorithm.id] = Scheme(algorithm, quantum, ALGORITHMS[names.get(other, other)])
    return found


SCHEMES = _schemes()
"""By Algorithm.id."""
