"""Methods of the synchronous client, made of what is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from ketgate._ask import Ask, AskPages, built
from ketgate._flow import Flow, flow_result, run
from ketgate._signature import describe_as, prepared_result

P = ParamSpec("P")
R = TypeVar("R")

Method = Callable[Concatenate[Any, P], R]
"""Of a client, or of a part of one, whose `_client` is the client."""


def asked(build: Callable[P, Ask[R]]) -> Method[P, R]:
    """A method of build's name, signature and description, which asks what it makes."""

    def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> R:
        result: R = _client(self)._do(built(build, *args, **kwargs))
        return result

    return describe_as(method, build, bound=True, returns=prepared_result(build))


def listed(build: Callable[P, AskPages[R]]) -> Method[P, list[R]]:
    """As asked, of what is asked page by page."""

    def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> list[R]:
        ask, found = built(build, *args, **kwargs), list[R]()
        while not ask.add(found, _client(self)._call(ask.method, ask.request, ask.timeout_s)):
            pass
        return found

    return describe_as(method, build, bound=True, returns=list[prepared_result(build)])  # type: ignore[misc] # a type that is known at run time


def flowing(build: Callable[P, Flow[R]]) -> Method[P, R]:
    """As asked, of what takes several questions."""

    def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return run(built(build, *args, **kwargs), _client(self)._do)

    return describe_as(method, build, bound=True, returns=flow_result(build))


def _client(one: Any) -> Any:
    return getattr(one, "_client", one)
