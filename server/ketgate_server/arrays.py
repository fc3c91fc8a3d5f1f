"""Arrays that lie outside of a message: how whoever reads or writes one gets at its content.

Whoever answers a call, or runs a job, says in whose name that is with `using`; what reads the
message deep below asks `current`. Not passed from function to function, as all that lies between
has no part in it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from ketgate_server.errors import FieldError

Content = bytes | memoryview


class Arrays(Protocol):
    """The artifacts that one tenant's work may use."""

    def read(self, name: str, size_bytes: int, path: str) -> memoryview:
        """The content of the artifact "artifacts/SHA256", without a copy where that can be; read-only.

        path: of the field that names it. Raises FieldError where it is no name or its size is
        another, RESOURCE_NOT_FOUND, and LIMIT_EXCEEDED.
        """

    def keep(self, content: Content) -> str:
        """Keep content as an artifact and return its name. Raises QUOTA_EXCEEDED, and what the
        store raises."""


class _NoArrays:
    def read(self, name: str, size_bytes: int, path: str) -> memoryview:  # noqa: ARG002
        raise FieldError(
            path,
            expected="the elements in data, doubles or integers",
            given=name,
            hint="artifacts cannot be used here",
        )

    def keep(self, content: Content) -> str:  # noqa: ARG002
        raise RuntimeError("nothing keeps arrays here")


_arrays: ContextVar[Arrays] = ContextVar("arrays")
_none: Arrays = _NoArrays()


def current() -> Arrays:
    """The arrays of the work under way; where nobody said, every name is refused."""
    return _arrays.get(_none)


@contextmanager
def using(arrays: Arrays) -> Iterator[None]:
    """Within this, current() is arrays."""
    token = _arrays.set(arrays)
    try:
        yield
    finally:
        _arrays.reset(token)
