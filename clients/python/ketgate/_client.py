"""The synchronous client."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import (
    Any,
    ParamSpec,
    Self,
    TypeVar,
)

import grpc

from ketgate import _client_asks as asks
from ketgate import _wire
from ketgate._algorithms import Algorithms, Learning
from ketgate._artifacts import Artifacts
from ketgate._ask import Ask, Damages
from ketgate._audit import Audit
from ketgate._calls import Caller
from ketgate._connect import Endpoint, resolve
from ketgate._errors import DataLoss, InvalidArgument, KetgateError
from ketgate._jobs import Jobs
from ketgate._methods import asked, flowing, listed
from ketgate._optimize import Optimize
from ketgate._quantum import Quantum
from ketgate._retry import Retry
from ketgate._signing import Signing

P = ParamSpec("P")
R = TypeVar("R")

_CLOSE_LIMIT_S = 1.0


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
    """A client of the server at address (host:port), or of the local one.

    What is not given is taken from the environment (KETGATE_ADDRESS, KETGATE_CA_FILE,
    KETGATE_TOKEN, KETGATE_TOKEN_FILE, KETGATE_READY_FILE, KETGATE_DATA_DIR, KETGATE_INSECURE), then
    from ~/.config/ketgate/config.toml (or KETGATE_CONFIG), then from the ready file of the local
    server. insecure: plaintext, on loopback only. timeout_s: deadline of small calls; a solve has
    its time limit and a grace. Nothing is sent before the first call.

    >>> with ketgate.connect() as client:
    ...     print(client.optimize.portfolio(prices, k=10))
    """
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
    """A connection to a server. Threads may share it. Made by `connect`."""

    def __init__(
        self, endpoint: Endpoint, *, timeout_s: float = 10.0, retry: Retry | None = None
    ) -> None:
        secure = _wire.credentials(endpoint)
        channel = (
            grpc.insecure_channel(endpoint.address, _wire.CHANNEL_OPTIONS)
            if secure is None
            else grpc.secure_channel(endpoint.address, secure, _wire.CHANNEL_OPTIONS)
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

    def close(self) -> None:
        """End the connection; calls in progress are cancelled."""
        self._closed = True
        self.channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None or not issubclass(kind, KeyboardInterrupt):
            self.close()
            return
        # grpc waits for ever for the end of a call that Ctrl-C interrupted as it began.
        closing = threading.Thread(target=self.close, daemon=True)
        closing.start()
        closing.join(_CLOSE_LIMIT_S)

    def __repr__(self) -> str:
        return f"<ketgate.Client of {self.address}>"

    def _do(self, ask: Ask[R]) -> R:
        damages = Damages(self._retry.attempts_max, ask)
        while True:
            try:
                return ask.read(self._answer(ask))
            except (DataLoss, InvalidArgument) as error:
                damages.after(error)

    def _answer(self, ask: Ask[Any]) -> Any:
        if ask.pieces is not None:
            call = self._call_with_stream
            return call(ask.method, ask.pieces, repeatable=ask.repeatable)
        return self._call(ask.method, ask.request, ask.timeout_s)

    def _call(
        self, method: _wire.Method[Any, Any], request: Any, timeout_s: float | None = None
    ) -> Any:
        return self._repeat(lambda: self._once(method, request, timeout_s), method)

    def _once(
        self, method: _wire.Method[Any, Any], request: Any, timeout_s: float | None = None
    ) -> Any:
        """One attempt."""
        self._check_open()
        call = method.callable(self.channel)
        request_id, metadata = _wire.call_metadata(self._endpoint)
        try:
            answer = call(request, timeout=timeout_s or self._timeout_s, metadata=metadata)
        except grpc.RpcError as error:
            raise self._failed(error, request_id) from None
        self._met = True
        return answer

    def _call_with_stream(
        self,
        method: _wire.Method[Any, Any],
        requests: Callable[[], Iterator[Any]],
        *,
        repeatable: bool,
    ) -> Any:
        """Call a method that is asked in pieces."""

        def once() -> Any:
            self._check_open()
            call = method.callable(self.channel, requests=True)
            request_id, metadata = _wire.call_metadata(self._endpoint)
            try:
                return call(requests(), timeout=_wire.STREAM_TIMEOUT_S, metadata=metadata)
            except grpc.RpcError as error:
                raise self._failed(error, request_id) from None

        return self._repeat(once, method) if repeatable else once()

    def _repeat(self, attempt: Callable[[], R], method: _wire.Method[Any, Any] | None = None) -> R:
        """Run attempt, again where that may help and nothing has come of it yet."""
        attempts = self._attempts(method)
        while True:
            try:
                return attempt()
            except KetgateError as error:
                delay_s = attempts.after(error)
            time.sleep(delay_s)
