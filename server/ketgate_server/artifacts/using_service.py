"""A service whose messages may refer to artifacts: each of its calls sees those of its tenant."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from ketgate_server.arrays import Arrays, using
from ketgate_server.rpc.call import Answer, Call, Later, Service, StreamFunction, UnaryFunction

ArraysOf = Callable[[Call], Arrays]


def with_arrays(service: Service, arrays_of: ArraysOf) -> Service:
    """The service with arrays.current() told in each call."""
    methods = {}
    for name, method in service.methods.items():
        if method.unary is not None:
            method = replace(method, unary=_unary(method.unary, arrays_of))
        elif method.stream is not None:
            method = replace(method, stream=_stream(method.stream, arrays_of))
        methods[name] = method
    return replace(service, methods=methods)


def _unary(function: UnaryFunction, arrays_of: ArraysOf) -> UnaryFunction:
    def unary(call: Call, request: object) -> Answer | Later:
        with using(arrays_of(call)):
            return function(call, request)

    return unary


def _stream(function: StreamFunction, arrays_of: ArraysOf) -> StreamFunction:
    def stream(call: Call, request: object) -> Iterator[Answer]:
        arrays = arrays_of(call)
        answers = function(call, request)
        try:
            while True:
                with using(arrays):  # not beyond a yield: another call may go on with this thread
                    answer = next(answers, None)
                if answer is None:
                    return
                yield answer
        finally:
            close = getattr(answers, "close", None)
            if close is not None:
                close()

    return stream
