"""How a server is asked to sign a document: what both clients do alike, all but the waiting.

First the public key is had, as it is of one version, then that version signs: a rotation in between
changes nothing. What comes back is verified before it is handed out.
"""

import os
import re
import uuid
from collections.abc import Iterator
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import google_crc32c

from ketgate import _wire
from ketgate._document import CONTEXT, SignedDocument, algorithm_name, draft, signed_bytes
from ketgate._document_content import content_of
from ketgate._errors import DataLoss, InvalidArgument
from ketgate._verification import require_cryptography, takes_context, verifies
from ketgate.signing.v1 import key_service_pb2, signature_pb2, signing_service_pb2

if TYPE_CHECKING:
    from ketgate._key_types import Key, KeyVersion

KEY_VARIABLE = "KETGATE_SIGNING_KEY"
"""Environment variable with the key that signs where none is named."""
UNARY_BYTES_MAX = 4 << 20
"""What is longer is sent in pieces."""
CHUNK_BYTES = 1 << 20

_KEY = re.compile(r"keys/[a-z]([a-z0-9-]{0,61}[a-z0-9])?(/versions/[1-9][0-9]{0,8})?")


def _method(service: str, name: str, module: Any) -> "_wire.Method[Any, Any]":
    return _wire.Method(
        f"/ketgate.signing.v1.{service}/{name}",
        getattr(module, f"{name}Request"),
        getattr(module, f"{name}Response"),
    )


EXPORT = _method("KeyService", "ExportPublicKey", key_service_pb2)
SIGN = _method("SigningService", "Sign", signing_service_pb2)
SIGN_STREAM = _method("SigningService", "SignStream", signing_service_pb2)


class DocumentSigning:
    """One document on its way: `export_request`, then `sign_request` or, where the document is long,
    `stream`, then `finish`."""

    def __init__(self, thing: Any, key: "str | Key | KeyVersion | None", title: str | None) -> None:
        """Raises InvalidArgument for what cannot be signed."""
        require_cryptography()
        name = key_name(key)
        self._document = draft(content_of(thing, title))
        self._content = signed_bytes(self._document)
        self._request_id = uuid.uuid4().hex
        self._options = signature_pb2.SigningOptions()
        self._version = ""
        self.export_request = key_service_pb2.ExportPublicKeyRequest(
            name=name, format=key_service_pb2.PUBLIC_KEY_FORMAT_SPKI_DER
        )

    def use(self, exported: Any) -> None:
        """Take the answer to export_request."""
        if google_crc32c.value(exported.public_key) != exported.public_key_crc32c:
            raise DataLoss("public_key_crc32c: the public key was damaged on the way")
        self._document.public_key = exported.public_key
        self._version = exported.version.name
        algorithm = algorithm_name(exported.version.algorithm)
        if not verifies(algorithm):
            raise InvalidArgument(
                f"key: expected one whose signatures can be verified without a server, given "
                f"{self._version} of {algorithm}",
                field="key",
            )
        if takes_context(algorithm):
            self._options.context = CONTEXT

    @property
    def is_long(self) -> bool:
        """Whether it is sent in pieces."""
        return len(self._content) > UNARY_BYTES_MAX

    @property
    def sign_request(self) -> Any:
        """A SignRequest; the message is left out where it is sent in pieces."""
        request = signing_service_pb2.SignRequest(
            key=self._version, options=self._options, request_id=self._request_id
        )
        if not self.is_long:
            request.message = self._content
            request.message_crc32c = google_crc32c.value(self._content)
        return request

    def stream(self) -> Iterator[Any]:
        """Requests of SignStream."""
        make = signing_service_pb2.SignStreamRequest
        yield make(start=self.sign_request)
        for begin in range(0, len(self._content), CHUNK_BYTES):
            yield make(chunk=self._content[begin : begin + CHUNK_BYTES])
        yield make(message_crc32c=google_crc32c.value(self._content))

    def finish(self, answer: Any) -> SignedDocument:
        """The document, signed and verified. Raises DataLoss when the signature is not one over it."""
        if answer.signature.content_sha256 != sha256(self._content).digest():
            raise DataLoss("content_sha256: the server signed something else than was sent")
        self._document.signature.CopyFrom(answer.signature)
        document = SignedDocument(self._document)
        verdict = document.verify(public_key=document.public_key)
        if not verdict:
            raise DataLoss(f"signature: {verdict.detail}")
        return document


def key_name(key: "str | Key | KeyVersion | None") -> str:
    """Name of a key or of a version, which may be given itself. Raises InvalidArgument."""
    name = getattr(key, "name", key) if key is not None else os.environ.get(KEY_VARIABLE, "")
    if not isinstance(name, str):
        raise InvalidArgument(
            f"key: expected the name of a key, as 'keys/desk', given {type(key).__name__}",
            field="key",
        )
    if not name:
        raise InvalidArgument(
            f"key: expected the name of a key, as key='keys/desk' or in ${KEY_VARIABLE}, given none",
            field="key",
            remedy="`ketgate key list` shows those that there are.",
        )
    name = name if name.startswith("keys/") else f"keys/{name}"
    if not _KEY.fullmatch(name):
        raise InvalidArgument(
            f"key: expected keys/ID or keys/ID/versions/N, given {name[:100]!r}", field="key"
        )
    return name
