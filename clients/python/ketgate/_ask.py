"""One question to a server, made once for both clients: the method, the request, and how to read the answer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec, TypeVar

from ketgate import _wire
from ketgate._errors import InvalidArgument, KetgateError

P = ParamSpec("P")
R = TypeVar("R")

_KINDS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "str | None": (str, type(None)),
    "int": (int,),
    "int | None": (int, type(None)),
    "bool": (bool,),
    "bool | None": (bool, type(None)),
}


@dataclass(frozen=True)
class Ask(Generic[R]):
    """A question. Where `pieces` is given, it is asked in pieces, made anew for each attempt; once only where it is
    not repeatable."""

    method: _wire.Method[Any, Any]
    request: Any
    read: Callable[[Any], R]
    pieces: Callable[[], Iterator[Any]] | None = None
    timeout_s: float | None = None
    repeatable: bool = True


def built(build: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """What build makes. A TypeError of protobuf, which tells no argument, becomes an InvalidArgument that does."""
    try:
        return build(*args, **kwargs)
    except TypeError:
        parameters = inspect.signature(build).parameters
        for name, given in _bound(build, args, kwargs).items():
            kinds = _KINDS.get(str(parameters[name].annotation))
            if kinds is not None and not isinstance(given, kinds):
                expected = kinds[0].__name__
                raise InvalidArgument(
                    f"{name}: expected {expected}, given {type(given).__name__}", field=name
                ) from None
        raise


def _bound(
    build: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """Arguments by name; none where they do not fit, which the TypeError at hand says better."""
    try:
        return inspect.signature(build).bind(*args, **kwargs).arguments
    except TypeError:
        return {}


DAMAGED = ("DIGEST_MISMATCH", "CHECKSUM_MISMATCH")
DAMAGES_MAX = 3


class Damages:
    """How often one question, or its answer, was damaged on its way."""

    def __init__(self, attempts_max: int, ask: Ask[Any]) -> None:
        self._left = min(DAMAGES_MAX, attempts_max) if ask.repeatable else 1

    def after(self, error: KetgateError) -> None:
        """Return where it is to be asked again; raise the error otherwise. What signs has a request id, and so signs
        once."""
        self._left -= 1
        if error.reason not in DAMAGED or self._left <= 0:
            raise error


@dataclass(frozen=True)
class AskPages(Generic[R]):
    """A list that comes in pages. read: the items of a page. page_size_max: to ask for as many as are wanted, up to
    that; 0: as many as the server likes."""

    method: _wire.Method[Any, Any]
    request: Any
    read: Callable[[Any], list[R]]
    limit: int | None = None
    page_size_max: int = 0
    timeout_s: float | None = None

    def __post_init__(self) -> None:
        self._ask_for(self.limit)

    def add(self, found: list[R], page: Any) -> bool:
        """Add a page, and whether it was the last that is wanted."""
        found += self.read(page)
        if self.limit is not None and len(found) >= self.limit:
            del found[self.limit :]
            return True
        self.request.page_token = page.next_page_token
        self._ask_for(None if self.limit is None else self.limit - len(found))
        return not page.next_page_token

    def _ask_for(self, items: int | None) -> None:
        if self.page_size_max:
            self.request.page_size = min(items or self.page_size_max, self.page_size_max)


def check_limit(limit: int | None) -> int | None:
    if limit is not None and limit < 1:
        raise InvalidArgument(
            f"limit: expected 1 or more, or None for all, given {limit}", field="limit"
        )
    return limit
