"""What a domain hands to the composition root."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from ketgate_server.jobs.base import JobKind
from ketgate_server.rpc.call import Service
from ketgate_server.store.base import Store


def _nothing(_: object = None) -> None:
    return None


@dataclass(frozen=True)
class Domain:
    """Made before anything runs; started when the store is open, and closed when no call runs any
    more."""

    services: Sequence[Service]
    kinds: Sequence[JobKind]
    start: Callable[[Store], object] = _nothing
    close: Callable[[], object] = _nothing
    show: Callable[[CollectorRegistry], object] = _nothing
    """Called once, with where the domain's metrics are to be shown."""
    end: Callable[[], object] = _nothing
    """Called when no call runs any more, while the store is still open."""
