"""Methods of the asynchronous client, made of what is asked: as `_methods.py`, awaited."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from ketgate._ask import Ask, AskPages, built
from ketgate._flow import Flow, flow_result, run_aio
from ketgate._signature import describe_as, prepared_result

P = ParamSpec("P")
R = TypeVar("R")

Method = Callable[Concatenate[Any, P], Awaitable[R]]
"""Of a client, or of a part of one, whose `_client` is the client."""


def asked(build: Callable[P, Ask[R]]) -> Method[P, R]:
    """A method of build's name, signature and description, which asks what it makes."""

    async def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> R:
        result: R = await _client(self)._do(built(build, *args, **kwargs))
        return result

    made = describe_as(method, build, bound=True, returns=prepared_result(build))
    return cast(Method[P, R], made)


def listed(build: Callable[P, AskPages[R]]) -> Method[P, list[R]]:
    """As asked, of what is asked page by page."""

    async def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> list[R]:
        ask, found = built(build, *args, **kwargs), list[R]()
        while not ask.add(found, await _client(self)._call(ask.method, ask.request, ask.timeout_s)):
            pass
        return found

    made = describe_as(method, build, bound=True, returns=list[prepared_result(build)])  # type: ignore[misc] # a type that is known at run time
    return cast(Method[P, list[R]], made)


def flowing(build: Callable[P, Flow[R]]) -> Method[P, R]:
    """As asked, of what takes several questions."""

    async def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await run_aio(built(build, *args, **kwargs), _client(self)._do)

    made = describe_as(method, build, bound=True, returns=flow_result(build))
    return cast(Method[P, R], made)


def _client(one: Any) -> Any:
    return getattr(one, "_client", one)
