"""The asynchronous client, over grpc.aio: `ketgate.aio.connect()`.

The same methods as the synchronous one, each to be awaited. Cancelling the task ends the solve on
the server; to have the best so far instead, pass a progress function that returns False when it is
to end.

>>> async with ketgate.aio.connect() as client:
...     print(await client.optimize.portfolio(prices, k=10))
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from types import TracebackType
from typing import (
    Any,
    ParamSpec,
    Self,
    TypeVar,
)

import grpc
import grpc.aio

from ketgate import _client_asks as asks
from ketgate import _wire
from ketgate._artifacts_aio import Artifacts
from ketgate._ask import Ask, Damages
from ketgate._audit_aio import Audit
from ketgate._calls import Caller
from ketgate._connect import Endpoint, resolve
from ketgate._errors import DataLoss, InvalidArgument, KetgateError
from ketgate._jobs_aio import DurableJob, Jobs
from ketgate._methods_aio import asked, flowing, listed
from ketgate._optimize_aio import Optimize
from ketgate._quantum_aio import Algorithms, Learning, Quantum
from ketgate._retry import Retry
from ketgate._signing_aio import Signing

__all__ = [
    "Algorithms",
    "Artifacts",
    "Audit",
    "Client",
    "DurableJob",
    "Jobs",
    "Learning",
    "Optimize",
    "Quantum",
    "Signing",
    "connect",
]

P = ParamSpec("P")
R = TypeVar("R")


def connect(
    address: str | None = None,
    *,
    ca_file: str | os.PathLike[str] | None = None,
    token: str | None = None,
    token_file: str | os.PathLike[str] | None = None,
    ready_file: str | os.PathLike[str] | None = None,
    insecure: bool | None = None,
    timeout_s: float = 10.0,
    retry: Retry | None = None,
) -> "Client":
    """As `ketgate.connect`, for use in a running event loop."""
    endpoint = resolve(
        address,
        ca_file=ca_file,
        token=token,
        token_file=token_file,
        ready_file=ready_file,
        insecure=insecure,
    )
    return Client(endpoint, timeout_s=timeout_s, retry=retry)


class Client(Caller):
    """A connection to a server, for one event loop. Made by `connect`."""

    def __init__(
        self, endpoint: Endpoint, *, timeout_s: float = 10.0, retry: Retry | None = None
    ) -> None:
        secure = _wire.credentials(endpoint)
        channel = (
            grpc.aio.insecure_channel(endpoint.address, _wire.CHANNEL_OPTIONS)
            if secure is None
            else grpc.aio.secure_channel(endpoint.address, secure, _wire.CHANNEL_OPTIONS)
        )
        super().__init__(endpoint, channel, timeout_s, retry)
        self.optimize = Optimize(self)
        self.jobs = Jobs(self)
        self.artifacts = Artifacts(self)
        self.audit = Audit(self)
        self.quantum = Quantum(self)
        self.algorithms = Algorithms(self)
        self.learning = Learning(self)
        self.signing = Signing(self)

    info = asked(asks.info)
    solvers = listed(asks.solvers)
    sign = flowing(asks.sign)

    async def close(self) -> None:
        """End the connection; calls in progress are cancelled."""
        self._closed = True
        await self.channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<ketgate.aio.Client of {self.address}>"

    async def _do(self, ask: Ask[R]) -> R:
        damages = Damages(self._retry.attempts_max, ask)
        while True:
            try:
                return ask.read(await self._answer(ask))
            except (DataLoss, InvalidArgument) as error:
                damages.after(error)

    async def _answer(self, ask: Ask[Any]) -> Any:
        if ask.pieces is not None:
            call = self._call_with_stream
            return await call(ask.method, ask.pieces, repeatable=ask.repeatable)
        return await self._call(ask.method, ask.request, ask.timeout_s)

    async def _call(
        self, method: _wire.Method[Any, Any], request: Any, timeout_s: float | None = None
    ) -> Any:
        return await self._repeat(lambda: self._once(method, request, timeout_s), method)

    async def _once(
        self, method: _wire.Method[Any, Any], request: Any, timeout_s: float | None = None
    ) -> Any:
        """One attempt."""
        self._check_open()
        call = method.callable(self.channel)
        request_id, metadata = _wire.call_metadata(self._endpoint)
        try:
            answer = await call(request, timeout=timeout_s or self._timeout_s, metadata=metadata)
        except grpc.RpcError as error:
            raise self._failed(error, request_id) from None
        self._met = True
        return answer

    async def _call_with_stream(
        self,
        method: _wire.Method[Any, Any],
        requests: Callable[[], Iterator[Any]],
        *,
        repeatable: bool,
    ) -> Any:
        """Call a method that is asked in pieces."""

        async def once() -> Any:
            self._check_open()
            call = method.callable(self.channel, requests=True)
            request_id, metadata = _wire.call_metadata(self._endpoint)
            try:
                return await call(requests(), timeout=_wire.STREAM_TIMEOUT_S, metadata=metadata)
            except grpc.RpcError as error:
                raise self._failed(error, request_id) from None

        return await (self._repeat(once, method) if repeatable else once())

    async def _repeat(
        self, attempt: Callable[[], Awaitable[R]], method: _wire.Method[Any, Any] | None = None
    ) -> R:
        """Run attempt, again where that may help and nothing has come of it yet."""
        attempts = self._attempts(method)
        while True:
            try:
                return await attempt()
            except KetgateError as error:
                delay_s = attempts.after(error)
            await asyncio.sleep(delay_s)
