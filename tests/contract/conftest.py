"""An edge in this process, with a service that does what a test tells it to."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from ketgate.server.v1 import server_service_pb2 as pb
from ketgate_server.config import load
from ketgate_server.rpc import tls
from ketgate_server.rpc.auth import Authenticator
from ketgate_server.rpc.call import Call, Method, Service
from ketgate_server.rpc.edge import Edge
from ketgate_server.rpc.log import LogWriter
from ketgate_server.rpc.metrics import Metrics
from ketgate_server.rpc.server import GrpcServer
from ketgate_server.tokens import TokenStore

TIMEOUT_S = 200.0
DETAILS = {
    name: getattr(error_details_pb2, name)
    for name in ("ErrorInfo", "BadRequest", "RetryInfo", "QuotaFailure")
}


class Refusal:
    """What a refused call came back with."""

    def __init__(self, error: grpc.RpcError) -> None:
        self.code: grpc.StatusCode = error.code()
        self.message: str = error.details()
        self.trailers = dict(error.trailing_metadata())
        self.status = status_pb2.Status.FromString(self.trailers["grpc-status-details-bin"])
        self.details: dict[str, Any] = {}
        for packed in self.status.details:
            for name, kind in DETAILS.items():
                if packed.Is(kind.DESCRIPTOR):
                    self.details[name] = kind.FromString(packed.value)
        assert self.status.code == self.code.value[0]
        assert self.status.message == self.message
        assert self.info.domain == "ketgate.dev"
        assert self.info.metadata["request_id"] == self.trailers["x-request-id"]

    @property
    def info(self) -> error_details_pb2.ErrorInfo:
        return self.details["ErrorInfo"]

    @property
    def reason(self) -> str:
        return str(self.info.reason)


def refused(call: Callable[[], Any]) -> Refusal:
    """Make a call that must be refused."""
    with pytest.raises(grpc.RpcError) as caught:  # noqa: PT012
        answer = call()
        if hasattr(answer, "__next__"):
            list(answer)
    return Refusal(caught.value)


@pytest.fixture(name="refused")
def refused_fixture() -> Callable[[Callable[[], Any]], Refusal]:
    return refused


class Puppet:
    """A service whose methods do what a test sets, and the edge that serves it over TLS."""

    def __init__(self, folder: Path, limits: dict[str, int]) -> None:
        self.unary: Callable[[Call], pb.GetServerInfoResponse] = lambda _: (
            pb.GetServerInfoResponse()
        )
        self.stream: Callable[[Call], Iterator[pb.GetServerInfoResponse]] = lambda _: iter(())
        self.upload: Callable[[Call, Iterator[pb.GetServerInfoRequest]], pb.GetServerInfoResponse]
        self.upload = lambda _, requests: pb.GetServerInfoResponse(version=str(len([*requests])))
        self.settings, _ = load({"data_dir": str(folder), "limits": limits})
        self.store = TokenStore.open(folder)
        self.log_file = folder / "log.jsonl"
        self._log_file = self.log_file.open("wb")
        self.log = LogWriter(self._log_file.fileno())
        self.metrics = Metrics()
        values = self.settings.limit_values
        self.edge = Edge(values, Authenticator(self.store), self.metrics, self.log, plaintext=False)
        self.edge.add_service(
            Service(
                "test.Puppet",
                {
                    "Unary": Method(
                        pb.GetServerInfoRequest,
                        "optimization.user",
                        unary=lambda c, _: self.unary(c),
                    ),
                    "Stream": Method(
                        pb.GetServerInfoRequest,
                        "optimization.user",
                        stream=lambda c, _: self.stream(c),
                    ),
                    "Upload": Method(
                        pb.GetServerInfoRequest,
                        "optimization.user",
                        upload=lambda c, requests: self.upload(c, requests),
                    ),
                },
            )
        )
        self.server = GrpcServer(self.edge, values)
        certificate = tls.development(folder / "tls", "127.0.0.1")
        port = self.server.listen("127.0.0.1", 0, certificate)
        self.server.start()
        secret, _ = self.store.create("user")
        self.metadata = (("authorization", f"Bearer {secret}"),)
        assert certificate.ca_file is not None
        self.channel = grpc.secure_channel(
            f"127.0.0.1:{port}",
            grpc.ssl_channel_credentials(certificate.ca_file.read_bytes()),
            [("grpc.use_local_subchannel_pool", 1)],
        )

    def call_unary(self, content: bytes = b"", **options: Any) -> bytes:
        options = {"metadata": self.metadata, "timeout": TIMEOUT_S} | options
        return self.channel.unary_unary("/test.Puppet/Unary")(content, **options)

    def call_stream(self, content: bytes = b"", **options: Any) -> Any:
        options = {"metadata": self.metadata, "timeout": TIMEOUT_S} | options
        return self.channel.unary_stream("/test.Puppet/Stream")(content, **options)

    def call_upload(self, contents: Iterator[bytes], **options: Any) -> bytes:
        options = {"metadata": self.metadata, "timeout": TIMEOUT_S} | options
        return self.channel.stream_unary("/test.Puppet/Upload")(contents, **options)

    def future(self, **options: Any) -> grpc.Future:
        options = {"metadata": self.metadata, "timeout": TIMEOUT_S} | options
        return self.channel.unary_unary("/test.Puppet/Unary").future(b"", **options)

    def close(self) -> None:
        self.channel.close()
        self.server.stop()
        self.log.close()
        self._log_file.close()
        self.store.close()


MakePuppet = Callable[..., Puppet]


@pytest.fixture
def make_puppet(tmp_path: Path) -> Iterator[MakePuppet]:
    """Makes puppets; limits by name."""
    made: list[Puppet] = []

    def make(**limits: int) -> Puppet:
        named = {f"rpc.{name}": value for name, value in limits.items()}
        made.append(Puppet(tmp_path / f"puppet-{len(made)}", named))
        return made[-1]

    yield make
    for puppet in made:
        puppet.close()


@pytest.fixture
def puppet(make_puppet: MakePuppet) -> Puppet:
    return make_puppet()


class Gate:
    """A method that says when it was entered and waits until it is let go."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.open = threading.Event()
        self.cancelled = threading.Event()

    def unary(self, call: Call) -> pb.GetServerInfoResponse:
        self._wait(call)
        return pb.GetServerInfoResponse(version="best so far" if call.cancelled else "done")

    def stream(self, call: Call) -> Iterator[pb.GetServerInfoResponse]:
        yield pb.GetServerInfoResponse(version="first")
        yield self.unary(call)

    def wait_entered(self, count: int = 1) -> None:
        for _ in range(count):
            assert self.entered.acquire(timeout=TIMEOUT_S)

    def _wait(self, call: Call) -> None:
        def cancelled() -> None:
            self.cancelled.set()
            self.open.set()

        call.on_cancel(cancelled)
        self.entered.release()
        assert self.open.wait(TIMEOUT_S)


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open.set()
