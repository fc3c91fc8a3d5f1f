"""Certificates and requests for them, signed by keys of the store: a use of the key as any other."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from ketgate_server.signing import certificates
from ketgate_server.signing.algorithms import Algorithm
from ketgate_server.signing.certificates import Order
from ketgate_server.signing.provider import Options, Providers
from ketgate_server.signing.use.signatures import How, Signatures, Signed
from ketgate_server.signing.use.uses import Asked

_PLAIN = How(Options())


@dataclass(frozen=True, slots=True)
class Made:
    """What was signed."""

    der: bytes
    algorithm: Algorithm
    version: str
    provider: str


class Certification:
    """Threads share it."""

    def __init__(self, signatures: Signatures, providers: Providers) -> None:
        self._signatures = signatures
        self._providers = providers

    def request(
        self,
        asked: Asked,
        name: str,
        subject: str,
        alternatives: list[str],
        answer: Callable[[Made], bytes],
    ) -> bytes:
        """A certification request for a key; of a repeat, the same one. Raises FieldError, and what signing does."""
        known = self._signatures.known(asked, name)
        if known is not None:
            return known
        return self._sign(
            asked,
            name,
            lambda signer: certificates.create_signing_request(signer, subject, alternatives),
            answer,
            subject=subject,
        )

    def issue(
        self, asked: Asked, name: str, order: Order, answer: Callable[[Made], bytes]
    ) -> bytes:
        """A certificate, signed by a key; of a repeat, the same one."""
        known = self._signatures.known(asked, name)
        if known is not None:
            return known
        now = datetime.now(UTC)
        return self._sign(
            asked,
            name,
            lambda signer: certificates.issue_certificate(signer, order, self._providers, now),
            answer,
            issuer=order.issuer,
        )

    def _sign(
        self,
        asked: Asked,
        name: str,
        make: Callable[[certificates.Signer], bytes],
        answer: Callable[[Made], bytes],
        **facts: str,
    ) -> bytes:
        def work() -> bytes:
            generation = self._signatures.generation
            key, version = self._signatures.signer(asked.call, name, _PLAIN)
            self._signatures.check_context(key, _PLAIN.options, "key")
            self._signatures.take(key, 1, asked)
            by: list[str] = []

            def sign(content: bytes) -> bytes:
                signature, provider = self._signatures.sign_with(key, version, content, Options())
                by.append(provider)
                return signature

            der = make(certificates.Signer(key.algorithm, version.public_key, sign))
            digest = hashlib.sha256(der).digest()
            signed = Signed(der, digest, version, by[-1])
            reply = answer(Made(der, key.algorithm, version.name, by[-1]))
            return self._signatures.write_signed(asked, generation, signed, reply, **facts)

        return self._signatures.current(work)
