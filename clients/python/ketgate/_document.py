"""Signed documents: content with its signature and public key in one file, verified without a server.

What is signed is the text "ketgate signed document v1", a zero byte, and the deterministic bytes of the
document without signature and public key. Which key is to be trusted, no document can tell.
"""

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import google_crc32c
from google.protobuf import json_format

from ketgate._document_content import Content, opened
from ketgate._errors import InvalidArgument
from ketgate._public_keys import PublicKey, fingerprint, read_fingerprint, read_public_key
from ketgate._signing_arguments import algorithm_name
from ketgate._verification import takes_context, verifies, verify_signature
from ketgate._whole_file import written_whole
from ketgate.signing.v1 import signature_pb2

pb = signature_pb2

FORMAT = "ketgate.signed-document.v1"
CONTEXT = FORMAT.encode()
PREFIX = b"ketgate signed document v1\x00"
FILE_BYTES_MAX = 400 << 20
"""Of a file: the largest content in base64, and the rest."""
_TITLE_CHARACTERS_MAX = 1000


@dataclass(frozen=True)
class DocumentVerdict:
    """Whether a document's signature holds, and whether its key is one that was asked for. True where
    both are so."""

    valid: bool
    """Whether content, title and time are as they were signed by the key in the document."""
    trusted: bool
    """Whether that key is the one that was given. False where none was."""
    detail: str
    """The same in words."""

    def __bool__(self) -> bool:
        return self.valid and self.trusted


class SignedDocument:
    """Something that was signed. Made by `client.sign`, or read by `load`.

    >>> document = client.sign(result, key="keys/desk")
    >>> document.save("result.signed.json")
    >>> ketgate.SignedDocument.load("result.signed.json").verify(public_key="desk.pem")
    """

    def __init__(self, message: pb.SignedDocument) -> None:
        self.message = message

    @property
    def content(self) -> bytes:
        """What was signed."""
        return self.message.content

    @property
    def content_type(self) -> str:
        """Full name of a message, or a media type."""
        return self.message.content_type

    @property
    def title(self) -> str:
        """Name under which it was signed; empty without one."""
        return self.message.title

    @property
    def time(self) -> datetime:
        """When it was signed, by the clock of who asked for it, in UTC."""
        return read_time(self.message)

    @property
    def algorithm(self) -> str:
        """As the contract names it, without the prefix: "ML_DSA_65"."""
        return algorithm_name(self.message.signature.algorithm)

    @property
    def key_version(self) -> str:
        """The version that signed, as the document says: this is not part of what is signed."""
        return self.message.signature.key_version

    @property
    def public_key(self) -> bytes:
        """DER SubjectPublicKeyInfo."""
        return self.message.public_key

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the public key, hexadecimal."""
        return fingerprint(self.public_key)

    def open(self) -> Any:
        """The content as what it was: a result, a message, an object of JSON; bytes where its type is
        not known here. Verify first. Raises InvalidArgument where it is not what its type says."""
        return opened(self.content_type, self.content)

    def verify(
        self, public_key: PublicKey | None = None, *, fingerprint: str | None = None
    ) -> DocumentVerdict:
        """Whether the signature holds, and by the key that you trust.

        public_key: PEM, DER, or a path of a file with it; fingerprint: SHA-256 of its DER, hexadecimal.
        Without either, the verdict is not trusted, and so not true. No bytes of a document raise.
        Raises InvalidArgument for a key or fingerprint that is none, and for an algorithm that is not
        verified here; PartNotInstalled without the package cryptography.
        """
        trusted = set()
        if public_key is not None:
            trusted.add(sha256(read_public_key(public_key)).hexdigest())
        if fingerprint is not None:
            trusted.add(read_fingerprint(fingerprint))
        fault = self._fault()
        if fault:
            return DocumentVerdict(False, False, fault)
        if not trusted:
            return DocumentVerdict(
                True, False, f"valid, but no key was given to compare {self.fingerprint} with"
            )
        if trusted != {self.fingerprint}:
            wanted = ", ".join(sorted(trusted))
            return DocumentVerdict(
                True, False, f"signed by the key {self.fingerprint}, and not by {wanted}"
            )
        return DocumentVerdict(True, True, f"signed by the key {self.fingerprint}")

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it to a file as JSON, whole or not at all. Returns its path."""
        target = Path(path)
        try:
            with written_whole(target) as file:
                file.write(self.to_json().encode() + b"\n")
        except OSError as error:
            raise InvalidArgument(
                f"path: {target} cannot be written: {error.strerror}", field="path"
            ) from None
        return target

    def to_json(self) -> str:
        """The message ketgate.signing.v1.SignedDocument as protobuf's JSON."""
        text: str = json_format.MessageToJson(self.message)
        return text

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "SignedDocument":
        """What save wrote. Whether it is valid, verify() tells. Raises InvalidArgument for a file that is
        no document."""
        try:
            with Path(path).expanduser().open("rb") as file:
                content = file.read(FILE_BYTES_MAX + 1)
        except OSError as error:
            raise InvalidArgument(
                f"path: {path} cannot be read: {error.strerror}", field="path"
            ) from None
        return cls.from_json(content)

    @classmethod
    def from_json(cls, text: str | bytes) -> "SignedDocument":
        """A document out of its JSON. Raises InvalidArgument for what is none."""
        fault = f"expected JSON of a signed document, given {len(text)} bytes that are none"
        if len(text) > FILE_BYTES_MAX:
            raise InvalidArgument(
                f"document: expected at most {FILE_BYTES_MAX} bytes", field="document"
            )
        try:
            message = json_format.Parse(text, pb.SignedDocument())
        except (json_format.ParseError, ValueError, RecursionError, TypeError, AttributeError):
            raise InvalidArgument(f"document: {fault}", field="document") from None
        if message.format != FORMAT:
            raise InvalidArgument(
                f"document: expected the format {FORMAT!r}, given {message.format[:100]!r}",
                field="document",
            )
        return cls(message)

    def __repr__(self) -> str:
        title = f" {self.title!r}" if self.title else ""
        return (
            f"<SignedDocument{title}: {self.content_type}, {len(self.content)} bytes, "
            f"{self.algorithm}, key {self.fingerprint[:16]}…>"
        )

    def _fault(self) -> str:
        """Why the signature does not hold; empty where it does."""
        signed, signature = signed_bytes(self.message), self.message.signature
        if signature.content_sha256 != sha256(signed).digest():
            return "it is not what was signed: content, type, title or time were changed"
        if signature.signature_crc32c != google_crc32c.value(signature.signature):
            return "its signature was damaged: the CRC-32C is another"
        if signature.format not in (pb.SIGNATURE_FORMAT_UNSPECIFIED, pb.SIGNATURE_FORMAT_RAW):
            return "its signature is in another format than RAW"
        if not verifies(self.algorithm):
            raise InvalidArgument(
                f"signature.algorithm: {self.algorithm} is not verified without a server",
                field="signature.algorithm",
                remedy="A server can verify it: client.signing.verify(...).",
            )
        context = CONTEXT if takes_context(self.algorithm) else b""
        if not verify_signature(
            self.algorithm, self.public_key, signature.signature, signed, context
        ):
            return f"its signature is not one of the key {self.fingerprint} over it"
        return ""


def draft(content: Content, time: datetime | None = None) -> pb.SignedDocument:
    """A document that is to be signed. time: now, unless given."""
    if len(content.title) > _TITLE_CHARACTERS_MAX or not content.title.isprintable():
        raise InvalidArgument(
            f"title: expected at most {_TITLE_CHARACTERS_MAX} printable characters, given "
            f"{content.title[:100]!r}",
            field="title",
        )
    message = pb.SignedDocument(
        format=FORMAT,
        content_type=content.content_type,
        content=content.content,
        title=content.title,
    )
    message.time.FromDatetime(time or datetime.now(UTC))
    return message


def signed_bytes(message: pb.SignedDocument) -> bytes:
    """What the signature of a document is over."""
    bare = pb.SignedDocument(
        format=message.format,
        content_type=message.content_type,
        content=message.content,
        title=message.title,
    )
    if message.HasField("time"):
        bare.time.CopyFrom(message.time)
    return PREFIX + bare.SerializeToString(deterministic=True)


def read_time(message: pb.SignedDocument) -> datetime:
    """Raises InvalidArgument for a time that no calendar has."""
    try:
        found: datetime = message.time.ToDatetime(UTC)
    except (ValueError, OverflowError):
        raise InvalidArgument("document: its time is none", field="time") from None
    return found
