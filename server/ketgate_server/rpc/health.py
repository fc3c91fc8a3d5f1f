"""grpc.health.v1, open to everybody: whether the server, and each of its services, takes calls.

Our own, as the public servicer keeps an entry for every name that anybody ever watched.
"""

import threading
from collections.abc import Iterable, Iterator

from grpc_health.v1 import health_pb2

from ketgate_server.errors import KetgateError, Reason, echo
from ketgate_server.rpc.call import Answers, Call
from ketgate_server.rpc.endpoint import Endpoint
from ketgate_server.rpc.handler import parse

SERVICE = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name


def _encoded(status: int) -> bytes:
    content: bytes = health_pb2.HealthCheckResponse(status=status).SerializeToString()
    return content


_SERVING = _encoded(health_pb2.HealthCheckResponse.SERVING)
_NOT_SERVING = _encoded(health_pb2.HealthCheckResponse.NOT_SERVING)
_UNKNOWN = _encoded(health_pb2.HealthCheckResponse.SERVICE_UNKNOWN)


class Health:
    """The health of a server whose services start and stop together."""

    def __init__(self, services: Iterable[str]) -> None:
        self._known = {"", SERVICE, *services}
        self._changed = threading.Condition()
        self._serving = False

    def set_serving(self, serving: bool) -> None:
        with self._changed:
            self._serving = serving
            self._changed.notify_all()

    def endpoints(self) -> dict[str, Endpoint]:
        return {
            f"/{SERVICE}/Check": Endpoint(self._check),
            f"/{SERVICE}/Watch": Endpoint(self._watch, streams=True),
        }

    def _check(self, _: Call, requests: Iterator[bytes]) -> Answers:
        service = parse(health_pb2.HealthCheckRequest, requests).service
        if service not in self._known:
            raise KetgateError(
                Reason.SERVICE_UNKNOWN, f"the server has no service {echo(service)!r}"
            )
        yield _SERVING if self._serving else _NOT_SERVING

    def _watch(self, call: Call, requests: Iterator[bytes]) -> Answers:
        service = parse(health_pb2.HealthCheckRequest, requests).service
        call.on_cancel(self._wake)
        sent = None
        while not call.cancelled:
            with self._changed:
                answer = self._answer(service)
                while answer is sent and not call.cancelled:
                    self._changed.wait()
                    answer = self._answer(service)
            if answer is not sent:
                sent = answer
                yield answer

    def _answer(self, service: str) -> bytes:
        if service not in self._known:
            return _UNKNOWN
        return _SERVING if self._serving else _NOT_SERVING

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
