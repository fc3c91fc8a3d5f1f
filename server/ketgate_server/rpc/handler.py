"""From a service's method to bytes in, bytes out.

The edge parses by itself: a deserialiser of grpcio's would answer hostile bytes with INTERNAL.
"""

from collections.abc import Iterator
from itertools import chain
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from ketgate_server.errors import KetgateError, Reason
from ketgate_server.rpc.call import Answer, Answers, Call, Handler, Later, Method

_Message = TypeVar("_Message", bound=Message)


def wrap(method: Method) -> Handler:
    """The Handler of a method: parse the one request, or each, call, serialise. It raises
    KetgateError and what the method does."""
    request_type, unary, stream = method.request_type, method.unary, method.stream
    upload, mutates = method.upload, method.mutates
    if [unary, stream, upload].count(None) != 2:
        raise ValueError(
            f"exactly one of unary, stream and upload, for {request_type.DESCRIPTOR.full_name}"
        )

    def handle_unary(call: Call, requests: Iterator[bytes]) -> Answers:
        assert unary is not None
        request = parse(request_type, requests)
        if mutates:
            call.request = request
        answer = unary(call, request)
        yield answer if isinstance(answer, Later) else serialise(answer)

    def handle_stream(call: Call, requests: Iterator[bytes]) -> Answers:
        assert stream is not None
        request = parse(request_type, requests)
        if mutates:
            call.request = request
        for message in stream(call, request):
            yield serialise(message)

    def handle_upload(call: Call, requests: Iterator[bytes]) -> Answers:
        assert upload is not None
        first = parse(request_type, requests)
        if mutates:
            call.request = first
        yield serialise(upload(call, chain((first,), _parsed(request_type, requests))))

    if upload is not None:
        return handle_upload
    return handle_unary if unary is not None else handle_stream


def parse(request_type: type[_Message], requests: Iterator[bytes]) -> _Message:
    """The next request. Raises KetgateError MALFORMED_MESSAGE when it is none of this type, or
    there is none."""
    content = next(requests, None)
    if content is None:
        raise KetgateError(Reason.MALFORMED_MESSAGE, "the call ended without a request message")
    return _parse(request_type, content)


def _parsed(request_type: type[_Message], requests: Iterator[bytes]) -> Iterator[_Message]:
    for content in requests:
        yield _parse(request_type, content)


def _parse(request_type: type[_Message], content: bytes) -> _Message:
    try:
        request: _Message = request_type.FromString(content)
    except DecodeError as error:
        raise KetgateError(
            Reason.MALFORMED_MESSAGE,
            f"the {len(content)} bytes sent are no message of type {request_type.DESCRIPTOR.full_name}",
        ) from error
    return request


def serialise(answer: Answer) -> bytes:
    """What goes onto the wire."""
    # Entries of a map in order of their keys: in that of its table, as they come otherwise, a reader
    # takes a time with the square of their number (10 s for 640,000 counts).
    return answer if isinstance(answer, bytes) else answer.SerializeToString(deterministic=True)
