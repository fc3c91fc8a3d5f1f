"""Composite ML-DSA: ML-DSA beside a classical algorithm, of which both must hold (composite_scheme).

The parts are done by whichever providers have them. A verification always does both, so that neither its answer nor
its time tells which failed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from ketgate_server.signing.algorithms import Algorithm
from ketgate_server.signing.provider import (
    Abilities,
    Form,
    Input,
    KeyInvalid,
    Material,
    Options,
    Provider,
    SigningKey,
    Stop,
    VerifyingKey,
)
from ketgate_server.signing.providers.composite_scheme import SCHEMES, Scheme


class CompositeSigningKey:
    """A private key."""

    def __init__(self, scheme: Scheme, quantum: SigningKey, classical: SigningKey) -> None:
        self._scheme = scheme
        self._quantum = quantum
        self._classical = classical
        self.public_key = quantum.public_key + classical.public_key

    def sign(self, content: bytes, options: Options) -> bytes:
        message = self._scheme.message(content, options)
        quantum, classical = self._scheme.part_options(options.deterministic)
        return self._quantum.sign(message, quantum) + self._classical.sign(message, classical)

    def sign_many(
        self, contents: Sequence[bytes], options: Sequence[Options], threads: int, stop: Stop
    ) -> list[bytes | None]:
        asked = list(zip(contents, options, strict=True))
        prepared = [self._scheme.message(content, option) for content, option in asked]
        ways = [self._scheme.part_options(option.deterministic) for option in options]
        firsts = self._quantum.sign_many(prepared, [way[0] for way in ways], threads, stop)
        seconds = self._classical.sign_many(prepared, [way[1] for way in ways], threads, stop)
        return [
            None if first is None or second is None else first + second
            for first, second in zip(firsts, seconds, strict=True)
        ]

    def close(self) -> None:
        self._quantum.close()
        self._classical.close()


class CompositeVerifyingKey:
    """A public key."""

    def __init__(self, scheme: Scheme, quantum: VerifyingKey, classical: VerifyingKey) -> None:
        self._scheme = scheme
        self._quantum = quantum
        self._classical = classical
        self._cut = scheme.quantum.output_bytes_max

    def verify(self, signature: bytes, content: bytes, options: Options) -> bool:
        try:
            message = self._scheme.message(content, options)
        except ValueError:
            return False
        quantum, classical = self._scheme.part_options(False)
        first = self._quantum.verify(signature[: self._cut], message, quantum)
        second = self._classical.verify(signature[self._cut :], message, classical)
        return first & second

    def verify_many(
        self,
        signatures: Sequence[bytes],
        contents: Sequence[bytes],
        options: Sequence[Options],
        threads: int,
        stop: Stop,
    ) -> list[bool | None]:
        prepared, formed = [], []
        for content, option in zip(contents, options, strict=True):
            try:
                prepared.append(self._scheme.message(content, option))
                formed.append(True)
            except ValueError:
                prepared.append(b"")
                formed.append(False)
        quantum, classical = self._scheme.part_options(False)
        count = len(prepared)
        heads = [signature[: self._cut] for signature in signatures]
        tails = [signature[self._cut :] for signature in signatures]
        firsts = self._quantum.verify_many(heads, prepared, [quantum] * count, threads, stop)
        seconds = self._classical.verify_many(tails, prepared, [classical] * count, threads, stop)
        return [
            None if first is None or second is None else first & second & well
            for first, second, well in zip(firsts, seconds, formed, strict=True)
        ]


class Composites:
    """The part: composites of what two providers have, which may be one."""

    def __init__(self, quantum: Provider, classical: Provider) -> None:
        self._quantum = quantum
        self._classical = classical
        self._abilities = {
            name: can for name, scheme in SCHEMES.items() if (can := self._can(scheme)) is not None
        }

    def _can(self, scheme: Scheme) -> Abilities | None:
        first = self._quantum.abilities().get(scheme.quantum.id)
        second = self._classical.abilities().get(scheme.classical.id)
        if first is None or second is None or not first.contexts:
            return None
        return Abilities(
            generate=first.generate and second.generate,
            private=first.private and second.private and Form.SEED in first.forms,
            public=first.public and second.public,
            inputs=frozenset({Input.MESSAGE, Input.DIGEST}),
            contexts=True,
            deterministic=first.deterministic and second.deterministic,
            forms=frozenset({Form.RAW}),
            rank=first.rank,
        )

    def abilities(self) -> Mapping[str, Abilities]:
        return self._abilities

    def generate(self, algorithm: Algorithm) -> Material:
        scheme = SCHEMES[algorithm.id]
        return scheme.join(
            self._quantum.generate(scheme.quantum), self._classical.generate(scheme.classical)
        )

    def public_key(self, material: Material) -> bytes:
        quantum, classical = SCHEMES[material.algorithm.id].split(material)
        return self._quantum.public_key(quantum) + self._classical.public_key(classical)

    def open_private(self, material: Material) -> CompositeSigningKey:
        scheme = SCHEMES[material.algorithm.id]
        first, second = scheme.split(material)
        return CompositeSigningKey(
            scheme,
            cast(SigningKey, self._quantum.open_private(first)),
            cast(SigningKey, self._classical.open_private(second)),
        )

    def open_public(self, algorithm: Algorithm, public_key: bytes) -> CompositeVerifyingKey:
        scheme = SCHEMES[algorithm.id]
        if len(public_key) != algorithm.public_key_bytes:
            raise KeyInvalid(
                f"a public key of {algorithm} has {algorithm.public_key_bytes} bytes; "
                f"given {len(public_key)}"
            )
        cut = scheme.quantum.public_key_bytes
        return CompositeVerifyingKey(
            scheme,
            cast(VerifyingKey, self._quantum.open_public(scheme.quantum, public_key[:cut])),
            cast(VerifyingKey, self._classical.open_public(scheme.classical, public_key[cut:])),
        )


class CompositeProvider(Composites):
    """A Provider of composites only, over two: liboqs for ML-DSA and cryptography for the rest."""

    def __init__(self, quantum: Provider, classical: Provider) -> None:
        super().__init__(quantum, classical)
        self.name = f"{quantum.name}+{classical.name}"
        self.version = f"{quantum.version}+{classical.version}"
