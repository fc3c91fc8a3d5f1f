"""Requests of the artifact service to what the store takes, and back. Every refusal names the
field."""

import base64
import binascii
import re

import google_crc32c
from google.protobuf.message import Message
from ketgate.artifacts.v1 import artifact_service_pb2 as pb

from ketgate_server.artifacts.index import ArtifactRow, Asker, name_of
from ketgate_server.artifacts.store import CHUNK_BYTES_MAX
from ketgate_server.errors import FieldError, KetgateError, Reason
from ketgate_server.rpc.call import Call
from ketgate_server.store.requests import read_request_id, request_digest

MEDIA_TYPE_DEFAULT = "application/octet-stream"
MEDIA_TYPE_CHARACTERS_MAX = 100
PAGE_SIZE_DEFAULT = 50
PAGE_SIZE_MAX = 1000

_SHA256 = re.compile("[0-9a-f]{64}")
_UPLOAD = re.compile("uploads/([0-9a-f]{32})")
_TOKEN = re.compile(r"([0-9]{1,18})\.([0-9a-f]{64})")


def asker(call: Call, request: Message) -> Asker:
    """Who asks. request: one that has a request_id."""
    return Asker(
        call.identity.tenant,
        call.identity.subject,
        call.method,
        call.request_id,
        read_request_id(request),
        request_digest(request),
    )


def read_sha256(sha256: str, path: str = "sha256") -> str:
    if not _SHA256.fullmatch(sha256.lower()):
        raise FieldError(
            path, expected="a SHA-256 as 64 hexadecimal digits", given=sha256 or "nothing"
        )
    return sha256.lower()


def read_name(name: str, path: str = "name") -> str:
    """The digest in "artifacts/SHA256"."""
    prefix, _, sha256 = name.partition("/")
    if prefix != "artifacts" or not _SHA256.fullmatch(sha256):
        raise FieldError(
            path,
            expected='"artifacts/SHA256", 64 lower-case hexadecimal digits',
            given=name or "nothing",
        )
    return sha256


def read_upload(name: str) -> str:
    """The id in "uploads/ID"."""
    match = _UPLOAD.fullmatch(name)
    if match is None:
        raise FieldError("upload", expected='"uploads/ID"', given=name or "nothing")
    return match[1]


def read_size(size_bytes: int) -> int:
    if size_bytes < 0:
        raise FieldError("size_bytes", expected="0 or more", given=size_bytes)
    return size_bytes


def read_media_type(media_type: str) -> str:
    if len(media_type) > MEDIA_TYPE_CHARACTERS_MAX or not media_type.isprintable():
        raise FieldError(
            "media_type",
            expected=f"at most {MEDIA_TYPE_CHARACTERS_MAX} printable characters",
            given=media_type,
        )
    return media_type or MEDIA_TYPE_DEFAULT


def read_chunk(request: pb.WriteUploadRequest) -> bytes:
    """The chunk, as it was sent. Raises DIGEST_MISMATCH."""
    if request.offset < 0:
        raise FieldError("offset", expected="0 or more", given=request.offset)
    content = request.data
    if not 1 <= len(content) <= CHUNK_BYTES_MAX:
        raise FieldError("data", expected=f"1 to {CHUNK_BYTES_MAX} bytes", given=content)
    found = google_crc32c.value(content)
    if found != request.crc32c:
        raise KetgateError(
            Reason.DIGEST_MISMATCH,
            f"crc32c: expected {found}, that of data, given {request.crc32c}; send the chunk again",
            field="crc32c",
        )
    return content


def read_range(request: pb.ReadArtifactRequest, size_bytes: int) -> tuple[int, int]:
    """Where to begin, and how many bytes to send."""
    if not 0 <= request.offset <= size_bytes:
        raise FieldError("offset", expected=f"0 to {size_bytes}", given=request.offset)
    if request.limit_bytes < 0:
        raise FieldError("limit_bytes", expected="0 or more", given=request.limit_bytes)
    rest = size_bytes - request.offset
    return request.offset, min(rest, request.limit_bytes) if request.limit_bytes else rest


def read_page(request: pb.ListArtifactsRequest) -> tuple[tuple[int, str] | None, int]:
    """Behind which artifact the page begins, and its size."""
    if request.page_size < 0:
        raise FieldError("page_size", expected="0 or more", given=request.page_size)
    size = min(request.page_size or PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)
    if not request.page_token:
        return None, size
    try:
        text = base64.b64decode(request.page_token.encode(), b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError):
        text = ""
    match = _TOKEN.fullmatch(text)
    if match is None:
        raise FieldError(
            "page_token", expected="a next_page_token of this method", given=request.page_token
        )
    return (int(match[1]), match[2]), size


def page_token(row: ArtifactRow) -> str:
    return base64.b64encode(f"{row.create_time_us}.{row.sha256}".encode(), b"-_").decode()


def artifact(row: ArtifactRow, unused_us: int) -> pb.Artifact:
    """unused_us: how long it is kept when nothing refers to it."""
    made = pb.Artifact(
        name=name_of(row.sha256),
        size_bytes=row.size_bytes,
        media_type=row.media_type,
        reference_count=row.references,
    )
    made.create_time.FromMicroseconds(row.create_time_us)
    if not row.references:
        made.expire_time.FromMicroseconds(row.used_time_us + unused_us)
    return made


def chunk(offset: int, content: bytes, size_bytes: int) -> pb.ReadArtifactResponse:
    return pb.ReadArtifactResponse(
        offset=offset, data=content, crc32c=google_crc32c.value(content), size_bytes=size_bytes
    )
