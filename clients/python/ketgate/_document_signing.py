"""How a server is asked to sign a document: what both clients do alike, all but the waiting.

First the public key is had, as it is of one version, then that version signs: a rotation in between
changes nothing. What comes back is verified before it is handed out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import google_crc32c

from ketgate._ask import Ask
from ketgate._document import CONTEXT, SignedDocument, draft, signed_bytes
from ketgate._document_content import content_of
from ketgate._errors import DataLoss, InvalidArgument
from ketgate._file_pieces import CHUNK_BYTES
from ketgate._key_asks import new_request_id
from ketgate._key_material_asks import Exported, public_key_and_version
from ketgate._signing_asks import TIMEOUT_S, method
from ketgate._signing_types import read_signature
from ketgate._verification import require_cryptography, takes_context, verifies
from ketgate.signing.v1 import signing_service_pb2 as pb

if TYPE_CHECKING:
    from ketgate._key_types import Key, KeyVersion

KEY_VARIABLE = "KETGATE_SIGNING_KEY"
"""Environment variable with the key that signs where none is named."""
UNARY_BYTES_MAX = 4 << 20
"""What is longer is sent in pieces."""

_KEY = re.compile(r"keys/[a-z]([a-z0-9-]{0,61}[a-z0-9])?(/versions/[1-9][0-9]{0,8})?")


class DocumentSigning:
    """One document on its way: `export` is asked, and then what `sign` makes of its answer."""

    def __init__(self, thing: Any, key: str | Key | KeyVersion | None, title: str | None) -> None:
        """Raises InvalidArgument for what cannot be signed."""
        require_cryptography()
        self.key = key_name(key)
        self.export = public_key_and_version(self.key)
        self._document = draft(content_of(thing, title))
        self._content = signed_bytes(self._document)

    def sign(self, exported: Exported) -> Ask[SignedDocument]:
        """The question that is answered by the document. Raises InvalidArgument for a key whose signatures need a
        server to be verified."""
        self._document.public_key, version = exported.public_key, exported.version
        if not verifies(version.algorithm):
            raise InvalidArgument(
                f"key: expected one whose signatures can be verified without a server, given "
                f"{version.name} of {version.algorithm}",
                field="key",
            )
        request = pb.SignRequest(key=version.name, request_id=new_request_id())
        if takes_context(version.algorithm):
            request.options.context = CONTEXT
        if len(self._content) > UNARY_BYTES_MAX:
            return Ask(method("SignStream"), None, self._finish, lambda: self._pieces(request))
        request.message = self._content
        request.message_crc32c = google_crc32c.value(self._content)
        return Ask(method("Sign"), request, self._finish, timeout_s=TIMEOUT_S)

    def _pieces(self, start: pb.SignRequest) -> Iterator[pb.SignStreamRequest]:
        yield pb.SignStreamRequest(start=start)
        for begin in range(0, len(self._content), CHUNK_BYTES):
            yield pb.SignStreamRequest(chunk=self._content[begin : begin + CHUNK_BYTES])
        yield pb.SignStreamRequest(message_crc32c=google_crc32c.value(self._content))

    def _finish(self, answer: Any) -> SignedDocument:
        """The document, signed and verified. Raises DataLoss when the signature is not one over it."""
        read_signature(answer.signature, sha256(self._content).digest())
        self._document.signature.CopyFrom(answer.signature)
        document = SignedDocument(self._document)
        verdict = document.verify(public_key=document.public_key)
        if not verdict:
            raise DataLoss(f"signature: {verdict.detail}")
        return document


def key_name(key: str | Key | KeyVersion | None) -> str:
    """Name of a key or of a version, which may be given itself. Raises InvalidArgument."""
    name = getattr(key, "name", key) if key is not None else os.environ.get(KEY_VARIABLE, "")
    if not isinstance(name, str):
        raise InvalidArgument(
            f"key: expected the name of a key, as 'keys/desk', given {type(key).__name__}",
            field="key",
        )
    if not name:
        raise InvalidArgument(
            f'key: expected the name of a key, as "keys/desk", or one in ${KEY_VARIABLE}, given none',
            field="key",
            remedy="`ketgate key list` shows those that there are.",
        )
    name = name if name.startswith("keys/") else f"keys/{name}"
    if not _KEY.fullmatch(name):
        raise InvalidArgument(
            f"key: expected keys/ID or keys/ID/versions/N, where an ID begins with one of a-z and goes on with "
            f"a-z, 0-9 or -, given {name[:100]!r}",
            field="key",
        )
    return name
