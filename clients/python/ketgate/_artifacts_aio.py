"""Large content on a server, over grpc.aio: as `_artifacts.py`, each call to be awaited."""

import asyncio
import os
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc.aio
import numpy as np
from google.protobuf.message import Message
from numpy.typing import DTypeLike, NDArray

from ketgate import _artifact_asks as asks
from ketgate import _artifact_calls as calls
from ketgate import _artifacts, _references, _wire
from ketgate._artifact_asks import Artifact
from ketgate._artifact_calls import Downloading, OnBytes, Uploading
from ketgate._artifact_source import open_source
from ketgate._errors import KetgateError, PermissionDenied
from ketgate._methods_aio import asked, listed
from ketgate._signature import described_as

if TYPE_CHECKING:
    from ketgate.aio import Client


class Artifacts:
    """Content that the server keeps for the token's tenant, under its SHA-256: `client.artifacts`.

    Arrays of a problem above 4 MiB are uploaded by themselves, and large arrays of a result are
    fetched; this is for whoever does so by hand. Needs the role "artifacts.user".

    >>> kept = await client.artifacts.upload("covariance.bin")
    >>> await client.artifacts.download(kept.name, "copy.bin")
    """

    def __init__(self, client: "Client") -> None:
        self._client = client

    @described_as(_artifacts.Artifacts.upload)
    async def upload(
        self,
        source: "str | os.PathLike[str] | bytes | NDArray[Any]",
        *,
        progress: OnBytes | None = None,
    ) -> Artifact:
        opened = open_source(source)
        try:
            uploading = Uploading(opened, self._client._retry, progress)
            while uploading.done is None:
                uploading.created(await self._client._call(calls.CREATE, uploading.create()))
                if uploading.done is None:
                    await self._fill(uploading)
            return uploading.done
        finally:
            opened.close()

    @described_as(_artifacts.Artifacts.download)
    async def download(
        self,
        name: str,
        path: str | os.PathLike[str],
        *,
        progress: OnBytes | None = None,
    ) -> Path:
        with calls.Part(path, name) as part:
            downloading = Downloading(name, part.write, self._client._retry, progress)
            downloading.resume(part.blocks())
            await self._read(downloading)
            downloading.check()
        return part.target

    async def content(self, name: str, *, progress: OnBytes | None = None) -> bytes:
        """An artifact's bytes."""
        content = bytearray()
        downloading = Downloading(name, content.extend, self._client._retry, progress)
        await self._read(downloading)
        downloading.check()
        return bytes(content)

    async def array(
        self, name: str, dtype: DTypeLike = np.float64, shape: tuple[int, ...] | None = None
    ) -> NDArray[Any]:
        """An artifact's bytes as elements: little-endian, row by row. shape: default one dimension."""
        flat = np.frombuffer(await self.content(name), dtype=np.dtype(dtype).newbyteorder("<"))
        return flat if shape is None else flat.reshape(shape)

    get = asked(asks.get)
    list = listed(asks.list)
    delete = asked(asks.delete)

    async def _refer(self, spec: _references.M) -> _references.M:
        """The message with its large arrays uploaded; as it is where the token may not."""
        large = _references.large(spec)
        if not large:
            return spec
        try:
            names = [(await self.upload(tensor.data)).name for tensor in large]
        except PermissionDenied:
            return spec
        return _references.referring(spec, iter(names))

    async def _fetch(self, message: Message) -> None:
        """Put the content in the place of each reference."""
        for tensor in _references.referred(message):
            tensor.data = await self.content(tensor.artifact)

    async def _fill(self, uploading: Uploading) -> None:
        """Send what is missing, and finish."""
        try:
            while True:
                try:
                    await self._send(uploading)
                    request, more_s = uploading.finish()
                    limit_s = self._client._timeout_s + more_s
                    uploading.finished(await self._client._call(calls.FINISH, request, limit_s))
                    return
                except KetgateError as error:
                    await asyncio.sleep(uploading.failed(error))
                uploading.stands(await self._client._call(calls.STATE, uploading.state()))
        except KetgateError as error:
            uploading.over(error)

    async def _send(self, uploading: Uploading) -> None:
        call = calls.WRITE.callable(self._client.channel)
        on_the_way: deque[asyncio.Task[Any]] = deque()
        try:
            while True:
                chunk = uploading.chunk() if len(on_the_way) < calls.IN_FLIGHT_MAX else None
                if chunk is not None:
                    on_the_way.append(asyncio.create_task(self._write(call, chunk)))
                elif on_the_way:
                    uploading.wrote(await on_the_way.popleft())
                else:
                    return
        finally:  # not to be overtaken by what is sent again
            await asyncio.gather(*on_the_way, return_exceptions=True)

    async def _write(self, call: Any, request: Any) -> Any:
        request_id, metadata = _wire.call_metadata(self._client._endpoint)
        try:
            return await call(request, timeout=self._client._timeout_s, metadata=metadata)
        except grpc.RpcError as error:
            raise self._client._failed(error, request_id) from None

    async def _read(self, downloading: Downloading) -> None:
        while not downloading.complete:
            request_id, metadata = _wire.call_metadata(self._client._endpoint)
            stream = calls.READ.callable(self._client.channel, stream=True)
            call = stream(downloading.request(), timeout=calls.STREAM_S, metadata=metadata)
            try:
                try:
                    async for message in call:
                        downloading.add(message)
                except grpc.RpcError as error:
                    raise self._client._failed(error, request_id) from None
                finally:
                    call.cancel()
            except KetgateError as error:
                await asyncio.sleep(downloading.after(error))
