"""functools.cached_property without its lock. In Python 3.11 that is one for all instances of a class,
held while the value is made: calls that read different messages waited for each other (3.12 has none
either)."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class cached_property(Generic[T]):  # noqa: N801 - as the standard library's
    """A value that is made when it is first asked for. Threads that ask at once may each make it."""

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self.__doc__ = make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> "cached_property[T]": ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> "cached_property[T] | T":
        if instance is None:
            return self
        value = self._make(instance)
        instance.__dict__[self._name] = value  # found before this the next time
        return value
