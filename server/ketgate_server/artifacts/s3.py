"""Blobs in a bucket: PREFIX/blobs/SHA256, and what of uploads has arrived as
PREFIX/uploads/ID/OFFSET, an object a chunk, so that any server can go on with it.

Credentials and region come from boto3's own chain, the endpoint from there or from
AWS_ENDPOINT_URL. An object is whole or not there; the blob is made from what was read and hashed.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock
from typing import Any

from ketgate_server.artifacts.blobs import Abandoned, BlobMissing, Gap, never
from ketgate_server.artifacts.content_cache import ContentCache, mapped
from ketgate_server.parts import require_part
from ketgate_server.store.base import StoreUnavailable

PART_BYTES = 16 << 20
"""Of a blob; S3 takes 10,000 parts, each of 5 MiB at least but the last."""
READERS = 8
"""Chunks that are read at once: each is a round trip."""
UPLOADS_KNOWN_MAX = 1024
DELETE_MAX = 1000
"""Objects that one request may delete."""
TIMEOUT_S = 20
ATTEMPTS_MAX = 4

_MISSING = {"404", "NoSuchKey", "NotFound"}


class S3Blobs:
    """Implements Blobs."""

    def __init__(self, bucket: str, prefix: str, cache_bytes_max: int) -> None:
        """cache_bytes_max: of content that is kept on this machine to be used again. Raises
        PartMissing, and StoreUnavailable where the bucket cannot be reached."""
        require_part("s3")
        import boto3
        from botocore.config import Config

        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._client: Any = boto3.client(
            "s3",
            config=Config(
                connect_timeout=TIMEOUT_S,
                read_timeout=TIMEOUT_S,
                max_pool_connections=64,
                retries={"mode": "standard", "max_attempts": ATTEMPTS_MAX},
            ),
        )
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="s3")
        self._ends: OrderedDict[str, int] = OrderedDict()
        """Of uploads, as far as is known here: others may have added since."""
        self._lock = Lock()
        self._cache = ContentCache(cache_bytes_max)
        with _told():
            self._client.head_bucket(Bucket=bucket)

    def stage(self, upload: str, offset: int, content: bytes) -> int:
        end = self._ends.get(upload)
        if end is None or offset > end:
            end = self.staged(upload)
        if offset > end:
            raise Gap(end)
        more = content[end - offset :]
        if more:
            with _told():
                self._client.put_object(
                    Bucket=self._bucket, Key=f"{self._uploads(upload)}{end:016d}", Body=more
                )
            end += len(more)
            self._know(upload, end)
        return end

    def staged(self, upload: str) -> int:
        end = 0
        for _, size in self._chunks(upload):
            end += size
        self._know(upload, end)
        return end

    def publish(
        self,
        upload: str,
        sha256: str,
        size_bytes: int,
        is_abandoned: Callable[[], bool] = never,
    ) -> bool:
        keys = list(self._chunks(upload))
        size = sum(size for _, size in keys)
        if size < size_bytes:
            self._know(upload, size)
            raise Gap(size)
        found = hashlib.sha256()
        with _told():
            parts = _until(is_abandoned, _parts(self._read(key for key, _ in keys)))
            target = {"Bucket": self._bucket, "Key": self._blob(sha256)}
            first = next(parts, b"")
            second = next(parts, None)
            found.update(first)
            if second is None:
                whole = size == size_bytes and found.hexdigest() == sha256
                if whole:
                    self._client.put_object(**target, Body=first)
            else:
                whole = self._put_parts(target, [first, second], parts, found, sha256)
        if not whole:
            self.discard(upload)
        return whole

    def discard(self, upload: str) -> None:
        with self._lock:
            self._ends.pop(upload, None)
        with _told():
            keys = [key for key, _ in self._list(self._uploads(upload))]
            for start in range(0, len(keys), DELETE_MAX):
                some = [{"Key": key} for key in keys[start : start + DELETE_MAX]]
                self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": some})

    def size(self, sha256: str) -> int:
        with _told(sha256):
            head = self._client.head_object(Bucket=self._bucket, Key=self._blob(sha256))
        return int(head["ContentLength"])

    def chunks(
        self, sha256: str, offset: int, limit_bytes: int, chunk_bytes: int
    ) -> Iterator[bytes]:
        end = min(self.size(sha256), offset + limit_bytes)
        if offset >= end:
            return
        with _told(sha256):
            answer = self._client.get_object(
                Bucket=self._bucket, Key=self._blob(sha256), Range=f"bytes={offset}-{end - 1}"
            )
            with answer["Body"] as body:
                while chunk := body.read(chunk_bytes):
                    yield chunk

    def content(self, sha256: str) -> memoryview:
        """Copied to a file of this machine that has no name, and is kept for the next time."""
        return self._cache.get(sha256, lambda: self._fetch(sha256))

    def delete(self, sha256: str) -> None:
        self._cache.forget(sha256)
        with _told():
            self._client.delete_object(Bucket=self._bucket, Key=self._blob(sha256))

    def digests(self) -> Iterable[str]:
        prefix = f"{self._prefix}blobs/"
        with _told():
            for key, _ in self._list(prefix):
                yield key.removeprefix(prefix)

    def uploads(self) -> Iterable[str]:
        prefix = f"{self._prefix}uploads/"
        before = ""
        with _told():
            for key, _ in self._list(prefix):
                upload = key.removeprefix(prefix).partition("/")[0]
                if upload != before:
                    yield upload
                before = upload

    def _blob(self, sha256: str) -> str:
        return f"{self._prefix}blobs/{sha256}"

    def _uploads(self, upload: str) -> str:
        return f"{self._prefix}uploads/{upload}/"

    def _know(self, upload: str, end: int) -> None:
        with self._lock:
            self._ends[upload] = end
            self._ends.move_to_end(upload)
            while len(self._ends) > UPLOADS_KNOWN_MAX:
                self._ends.popitem(last=False)

    def _chunks(self, upload: str) -> Iterator[tuple[str, int]]:
        """Keys and sizes of what has arrived, up to the first gap: two servers that were sent the
        same at once may have cut it in different ways."""
        end = 0
        with _told():
            for key, size in self._list(self._uploads(upload)):
                if int(key.rpartition("/")[2]) != end:
                    return
                yield key, size
                end += size

    def _list(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Keys in order, and sizes."""
        pages = self._client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self._bucket, Prefix=prefix):
            for item in page.get("Contents", ()):
                yield item["Key"], item["Size"]

    def _read(self, keys: Iterable[str]) -> Iterator[bytes]:
        """Content of objects, in order, a few ahead."""
        ahead: list[Any] = []
        for key in keys:
            ahead.append(self._readers.submit(self._get, key))
            if len(ahead) >= READERS:
                yield ahead.pop(0).result()
        for waiting in ahead:
            yield waiting.result()

    def _fetch(self, sha256: str) -> memoryview:
        return mapped(self.chunks(sha256, 0, self.size(sha256), PART_BYTES))

    def _get(self, key: str) -> bytes:
        content: bytes = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        return content

    def _put_parts(
        self,
        target: dict[str, str],
        begun: list[bytes],
        rest: Iterator[bytes],
        found: Any,
        sha256: str,
    ) -> bool:
        """Write a blob of many parts, of which found has the first already; False, and nothing is
        written, if the digest is another."""
        number = self._client.create_multipart_upload(**target)["UploadId"]
        etags: list[dict[str, Any]] = []
        try:
            for index, part in enumerate(_chain(begun, rest), 1):
                if index > 1:
                    found.update(part)
                answer = self._client.upload_part(
                    **target, UploadId=number, PartNumber=index, Body=part
                )
                etags.append({"PartNumber": index, "ETag": answer["ETag"]})
            whole: bool = found.hexdigest() == sha256
            if whole:
                self._client.complete_multipart_upload(
                    **target, UploadId=number, MultipartUpload={"Parts": etags}
                )
                return True
        except BaseException:
            self._client.abort_multipart_upload(**target, UploadId=number)
            raise
        self._client.abort_multipart_upload(**target, UploadId=number)
        return False


def _parts(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Chunks put together to parts."""
    part = bytearray()
    for chunk in chunks:
        part += chunk
        while len(part) >= PART_BYTES:
            yield bytes(part[:PART_BYTES])
            del part[:PART_BYTES]
    if part:
        yield bytes(part)


def _until(is_abandoned: Callable[[], bool], parts: Iterator[bytes]) -> Iterator[bytes]:
    for part in parts:
        if is_abandoned():
            raise Abandoned
        yield part


def _chain(begun: list[bytes], rest: Iterator[bytes]) -> Iterator[bytes]:
    while begun:
        yield begun.pop(0)
    yield from rest


@contextmanager
def _told(sha256: str = "") -> Iterator[None]:
    """boto3's errors as ours: that the blob sha256 is not there, or that the service is not."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        if sha256 and error.response.get("Error", {}).get("Code") in _MISSING:
            raise BlobMissing(sha256) from None
        raise StoreUnavailable(f"the artifacts' bucket refused: {error}") from error
    except (BotoCoreError, OSError) as error:
        raise StoreUnavailable(f"the artifacts' bucket cannot be reached: {error}") from error
