"""The connections that read: what goes wrong with one costs none of the others."""

from typing import Any

import pytest
from ketgate_server.store.base import StoreUnavailable
from ketgate_server.store.readers import Read, Readers


class DriverError(Exception):
    """As a driver raises it."""


class Connection:
    """One whose server is gone: nothing on it works, not even to close it."""

    def __init__(self, fails: set[str]) -> None:
        self._fails = fails

    def _do(self, what: str) -> None:
        if what in self._fails:
            raise DriverError(what)

    def begin(self) -> None:
        self._do("begin")

    def end(self) -> None:
        self._do("end")

    def close(self) -> None:
        self._do("close")


def readers(*fails: set[str]) -> Readers[Any]:
    """Of one connection at a time: the n-th fails in what the n-th set says."""
    connections = iter([Connection(some) for some in fails])
    return Readers(
        lambda: next(connections),
        lambda error: StoreUnavailable(str(error)) if isinstance(error, DriverError) else None,
        1,
    )


def test_a_connection_that_cannot_be_closed_gives_its_place_to_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ketgate_server.store.readers.TIMEOUT_S", 0.0)
    several = readers({"end", "close"}, {"begin", "close"}, set())
    with Read(several):
        pass  # what was read stands
    with pytest.raises(StoreUnavailable, match="begin"):
        several.begin()
    with Read(several):
        pass


def test_an_idle_connection_that_cannot_be_closed_does_not_hold_up_the_end() -> None:
    several = readers({"close"})
    with Read(several):
        pass
    several.close()
