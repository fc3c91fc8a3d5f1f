"""Large content on a server, synchronously: `client.artifacts`."""

import os
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
from google.protobuf.message import Message
from numpy.typing import DTypeLike, NDArray

from ketgate import _artifact_asks as asks
from ketgate import _artifact_calls as calls
from ketgate import _references, _wire
from ketgate._artifact_asks import Artifact
from ketgate._artifact_calls import Downloading, OnBytes, Uploading
from ketgate._artifact_source import open_source
from ketgate._errors import KetgateError, PermissionDenied
from ketgate._methods import asked, listed

if TYPE_CHECKING:
    from ketgate._client import Client


class Artifacts:
    """Content that the server keeps for the token's tenant, under its SHA-256: `client.artifacts`.

    Arrays of a problem above 4 MiB are uploaded by themselves, and large arrays of a result are
    fetched; this is for whoever does so by hand. Needs the role "artifacts.user".

    >>> kept = client.artifacts.upload("covariance.bin")
    >>> client.artifacts.download(kept.name, "copy.bin")
    """

    def __init__(self, client: "Client") -> None:
        self._client = client

    def upload(
        self,
        source: "str | os.PathLike[str] | bytes | NDArray[Any]",
        *,
        progress: OnBytes | None = None,
    ) -> Artifact:
        """Upload a file, bytes or an array's elements. What the server has is not sent again, and
        what was cut goes on where it was, also in another process.

        progress: called with the bytes that are durable, and with all.
        """
        opened = open_source(source)
        try:
            uploading = Uploading(opened, self._client._retry, progress)
            while uploading.done is None:
                uploading.created(self._client._call(calls.CREATE, uploading.create()))
                if uploading.done is None:
                    self._fill(uploading)
            return uploading.done
        finally:
            opened.close()

    def download(
        self,
        name: str,
        path: str | os.PathLike[str],
        *,
        progress: OnBytes | None = None,
    ) -> Path:
        """Write an artifact to a file, which is whole or not there. One that was cut goes on where
        it was. Returns the path. Raises NotFound, DataLoss.
        """
        with calls.Part(path, name) as part:
            downloading = Downloading(name, part.write, self._client._retry, progress)
            downloading.resume(part.blocks())
            self._read(downloading)
            downloading.check()
        return part.target

    def content(self, name: str, *, progress: OnBytes | None = None) -> bytes:
        """An artifact's bytes."""
        content = bytearray()
        downloading = Downloading(name, content.extend, self._client._retry, progress)
        self._read(downloading)
        downloading.check()
        return bytes(content)

    def array(
        self, name: str, dtype: DTypeLike = np.float64, shape: tuple[int, ...] | None = None
    ) -> NDArray[Any]:
        """An artifact's bytes as elements: little-endian, row by row. shape: default one dimension."""
        flat = np.frombuffer(self.content(name), dtype=np.dtype(dtype).newbyteorder("<"))
        return flat if shape is None else flat.reshape(shape)

    get = asked(asks.get)
    list = listed(asks.list)
    delete = asked(asks.delete)

    def _refer(self, spec: _references.M) -> _references.M:
        """The message with its large arrays uploaded; as it is where the token may not."""
        large = _references.large(spec)
        if not large:
            return spec
        try:
            names = [self.upload(tensor.data).name for tensor in large]
        except PermissionDenied:
            return spec
        return _references.referring(spec, iter(names))

    def _fetch(self, message: Message) -> None:
        """Put the content in the place of each reference."""
        for tensor in _references.referred(message):
            tensor.data = self.content(tensor.artifact)

    def _fill(self, uploading: Uploading) -> None:
        """Send what is missing, and finish."""
        try:
            while True:
                try:
                    self._send(uploading)
                    request, more_s = uploading.finish()
                    limit_s = self._client._timeout_s + more_s
                    uploading.finished(self._client._call(calls.FINISH, request, limit_s))
                    return
                except KetgateError as error:
                    time.sleep(uploading.failed(error))
                uploading.stands(self._client._call(calls.STATE, uploading.state()))
        except KetgateError as error:
            uploading.over(error)

    def _send(self, uploading: Uploading) -> None:
        call = calls.WRITE.callable(self._client.channel)
        on_the_way: deque[Callable[[], Any]] = deque()
        try:
            while True:
                chunk = uploading.chunk() if len(on_the_way) < calls.IN_FLIGHT_MAX else None
                if chunk is not None:
                    on_the_way.append(self._begin(call, chunk))
                elif on_the_way:
                    uploading.wrote(on_the_way.popleft()())
                else:
                    return
        finally:
            while on_the_way:  # not to be overtaken by what is sent again
                try:
                    on_the_way.popleft()()
                except KetgateError:
                    pass

    def _begin(self, call: Any, request: Any) -> Callable[[], Any]:
        request_id, metadata = _wire.call_metadata(self._client._endpoint)
        future = call.future(request, timeout=self._client._timeout_s, metadata=metadata)

        def answer() -> Any:
            try:
                return future.result()
            except grpc.RpcError as error:
                raise self._client._failed(error, request_id) from None

        return answer

    def _read(self, downloading: Downloading) -> None:
        while not downloading.complete:
            request_id, metadata = _wire.call_metadata(self._client._endpoint)
            stream = calls.READ.callable(self._client.channel, stream=True)
            call = stream(downloading.request(), timeout=calls.STREAM_S, metadata=metadata)
            try:
                try:
                    for message in call:
                        downloading.add(message)
                except grpc.RpcError as error:
                    raise self._client._failed(error, request_id) from None
                finally:
                    call.cancel()
            except KetgateError as error:
                time.sleep(downloading.after(error))
