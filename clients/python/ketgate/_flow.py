"""What takes several questions to a server, written once for both clients: a generator that asks, is sent the answers,
and returns the result. What goes wrong is raised in it where it asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from functools import partial
from typing import Any, TypeVar, get_args, get_type_hints

from ketgate._ask import Ask

R = TypeVar("R")

Flow = Generator[Ask[Any], Any, R]


def run(flow: Flow[R], do: Callable[[Ask[Any]], Any]) -> R:
    """The result of a flow. do: asks the server."""
    step: Callable[[], Ask[Any]] = partial(next, flow)
    while True:
        try:
            ask = step()
        except StopIteration as end:
            result: R = end.value
            return result
        try:
            step = partial(flow.send, do(ask))
        except BaseException as error:  # also Ctrl-C: a draft of a file is to be removed
            step = partial(flow.throw, error)


async def run_aio(flow: Flow[R], do: Callable[[Ask[Any]], Awaitable[Any]]) -> R:
    """As run, awaited."""
    step: Callable[[], Ask[Any]] = partial(next, flow)
    while True:
        try:
            ask = step()
        except StopIteration as end:
            result: R = end.value
            return result
        try:
            step = partial(flow.send, await do(ask))
        except BaseException as error:
            step = partial(flow.throw, error)


def flow_result(build: Callable[..., Flow[R]]) -> Any:
    """R of a function that returns Flow[R]."""
    return get_args(get_type_hints(build)["return"])[2]
