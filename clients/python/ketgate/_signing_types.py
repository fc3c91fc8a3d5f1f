"""What is made with keys, as the client shows it. Secrets are shown by their length only."""

from __future__ import annotations

from dataclasses import dataclass

from ketgate._errors import DataLoss
from ketgate._key_asks import checked
from ketgate._key_types import word
from ketgate._signing_arguments import algorithm_name
from ketgate.signing.v1 import signature_pb2


@dataclass(frozen=True, repr=False)
class Signature:
    """A signature, and what made it."""

    signature: bytes
    content_sha256: bytes
    algorithm: str
    standard: str
    key_version: str
    provider: str
    format: str
    """ "raw", "jws" or "cose_sign1"."""

    def __bytes__(self) -> bytes:
        return self.signature

    def __repr__(self) -> str:
        return (
            f"<Signature {self.algorithm} by {self.key_version}: {len(self.signature)} bytes, "
            f"{self.format}, {self.provider}>"
        )


@dataclass(frozen=True, repr=False)
class Verdict:
    """Whether a signature holds: `if client.signing.verify(...)`."""

    valid: bool
    failure: str
    """ "", "mismatch", "length", "malformed", "context" or "version"."""
    detail: str
    algorithm: str
    key_version: str
    provider: str

    def __bool__(self) -> bool:
        return self.valid

    def __repr__(self) -> str:
        if not self.valid:
            return f"<Verdict: not valid ({self.failure}): {self.detail}>"
        return f"<Verdict: valid, {self.algorithm} by {self.key_version or 'the key given'}>"


@dataclass(frozen=True)
class ItemError:
    """Why there is nothing for an item of a batch. False, so that `if result` tells."""

    reason: str
    message: str

    def __bool__(self) -> bool:
        return False


@dataclass(frozen=True, repr=False)
class Encapsulated:
    """A shared secret, and the ciphertext that its receiver makes it from."""

    ciphertext: bytes
    shared_secret: bytes
    algorithm: str
    key_version: str
    provider: str

    def __repr__(self) -> str:
        return (
            f"<Encapsulated {self.algorithm}: a secret of {len(self.shared_secret)} bytes, "
            f"a ciphertext of {len(self.ciphertext)}>"
        )


@dataclass(frozen=True, repr=False)
class Certificate:
    """A certificate or a request for one. `str` of it is the PEM."""

    der: bytes
    pem: str
    key_version: str

    def __bytes__(self) -> bytes:
        return self.der

    def __str__(self) -> str:
        return self.pem

    def __repr__(self) -> str:
        return f"<Certificate by {self.key_version}: {len(self.der)} bytes>"


def read_verdict(message: signature_pb2.Verdict) -> Verdict:
    failure = word(signature_pb2.VerifyFailure, message.failure)
    return Verdict(
        valid=message.valid,
        failure="" if failure == "unspecified" else failure,
        detail=message.detail,
        algorithm=algorithm_name(message.algorithm),
        key_version=message.key_version,
        provider=message.provider,
    )


def read_signature(message: signature_pb2.Signature, content_sha256: bytes) -> Signature:
    """Raises DataLoss for a signature that was damaged, or is over something else than was sent."""
    checked(message.signature, message.signature_crc32c, "signature")
    if message.content_sha256 != content_sha256:
        raise DataLoss(
            "content_sha256: the server signed something else than was sent",
            reason="DIGEST_MISMATCH",
            field="content_sha256",
        )
    number = signature_pb2.SignatureFormat.Name(message.format)
    return Signature(
        message.signature,
        message.content_sha256,
        algorithm_name(message.algorithm),
        message.standard,
        message.key_version,
        message.provider,
        number.removeprefix("SIGNATURE_FORMAT_").lower(),
    )
