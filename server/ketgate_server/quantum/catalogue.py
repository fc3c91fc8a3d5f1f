"""Every back end that the server knows, and whether it can take work now.

What runs here is known from the start. Providers are asked by a thread of its own, now and then;
nobody's call waits for them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from ketgate_server.errors import KetgateError
from ketgate_server.parts import PARTS, part_version
from ketgate_server.quantum.base import (
    Backend,
    BackendKind,
    BackendStatus,
    Description,
    Provider,
)
from ketgate_server.quantum.breaker import Breaker
from ketgate_server.quantum.estimate import Speed
from ketgate_server.quantum.settings import QuantumSettings
from ketgate_server.quantum.work import matches

log = logging.getLogger("ketgate.quantum")

AGAIN_S = 30.0
"""When a provider is asked again that did not answer."""

UP = (BackendStatus.ONLINE, BackendStatus.PAUSED)


@dataclass(eq=False)
class Entry:
    """One back end: what runs here has a backend, what a cloud runs a provider."""

    name: str
    breaker: Breaker
    backend: Backend | None = None
    provider: Provider | None = None
    told: Description | None = None
    """What the provider told last."""
    speed: Speed = field(default_factory=Speed)
    is_visitor: bool = False
    """Whether one request brought it."""
    _described: Description | None = None

    @property
    def is_isolated(self) -> bool:
        return self.backend is None or self.backend.isolated

    @property
    def is_cold(self) -> bool:
        """Whether a worker would have to start first."""
        return not getattr(self.backend, "is_warm", True)

    @property
    def threads_max(self) -> int | None:
        """That a run uses; None: as many as it is given."""
        most: int | None = getattr(self.backend, "threads_max", None)
        return most

    def describe(self) -> Description:
        """With its status as it is now."""
        description = self.told or self._own()
        if description.status in UP:
            rest = self.breaker.rest
            if rest is not None:
                why = f"it failed often of late: {rest.cause}"
                description = replace(description, status=BackendStatus.BROKEN, status_message=why)
        return description

    def _own(self) -> Description:
        if self._described is None:
            assert self.backend is not None
            description = self.backend.describe()
            part = PARTS.get(description.part)
            if part is not None and part_version(part.name) is None:
                why = f"its part {part.name!r} is not installed; {part.install_command}"
                description = replace(
                    description, status=BackendStatus.UNAVAILABLE, status_message=why
                )
            self._described = description
        return self._described


class Catalogue:
    """The back ends by name."""

    def __init__(
        self,
        backends: Iterable[Backend],
        providers: Iterable[Provider] = (),
        settings: QuantumSettings | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings or QuantumSettings()
        self._clock = clock
        self._entries: dict[str, Entry] = {}
        for backend in backends:
            if not self._is_disabled(backend.name):
                self._entries[backend.name] = self._entry(backend.name, backend=backend)
        self._providers = [p for p in providers if not self._is_disabled(p.name)]
        for provider in self._providers:
            self._unasked(provider)
        self._sort()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to ask the providers, each from a thread of its own: one that hangs keeps no other
        from being asked."""
        for provider in self._providers:
            name = f"provider-{provider.name}"
            thread = threading.Thread(target=self._ask_often, args=(provider,), name=name)
            thread.daemon = True
            self._threads.append(thread)
            thread.start()

    def close(self) -> None:
        self._stop.set()

    def get(self, name: str) -> Entry | None:
        return self._entries.get(name)

    def standing_for(self, name: str) -> Entry | None:
        """What stands for a provider that has not told of its back ends yet, by the name of one of
        them."""
        entry = self._entries.get(name.partition("/")[0])
        return entry if entry is not None and entry.provider is not None else None

    def remembered(self, name: str, provider_name: str) -> Entry | None:
        """A back end that has work already: also where its provider does not tell of it now. None
        for a provider that is not configured any more."""
        entry = self._entries.get(name)
        if entry is not None and entry.provider is not None:
            return entry
        for provider in self._providers:
            if provider.name == provider_name:
                entry = self._entry(name, provider=provider)
                entry.told = Description(name, "", BackendKind.QPU, provider=provider_name)
                return entry
        return None

    def entries(self) -> list[Entry]:
        """By name."""
        return list(self._sorted)

    def visitor(self, backend: Backend) -> Entry:
        """A back end of one request, which is not kept."""
        entry = self._entry(backend.name, backend=backend)
        entry.is_visitor = True
        return entry

    def refresh(self, provider: Provider) -> bool:
        """Ask a provider now; whether it answered. Raises nothing: what is wrong stands in the
        status of its back ends."""
        try:
            told: Sequence[Description] = provider.backends()
        except KetgateError as error:
            self._mark(provider, error.message)
        except Exception as error:
            log.error("%s could not be asked", provider.name, exc_info=error)
            self._mark(provider, f"it could not be asked: {type(error).__name__}")
        else:
            self._take(provider, told)
            return True
        return False

    def _take(self, provider: Provider, told: Sequence[Description]) -> None:
        entries = dict(self._entries)
        known = {one.name for one in told}
        for name, entry in list(entries.items()):
            if entry.provider is provider and name not in known:
                del entries[name]
        for description in told:
            if self._is_disabled(description.name):
                continue
            asked = entries.get(description.name)
            if asked is None:
                asked = entries[description.name] = self._entry(description.name, provider=provider)
            asked.told = description
        self._entries = entries  # in one step: readers take no lock
        self._sort()

    def _sort(self) -> None:
        self._sorted = tuple(self._entries[name] for name in sorted(self._entries))

    def _mark(self, provider: Provider, why: str) -> None:
        """What was known stays, and cannot be used."""
        log.warning("%s: %s", provider.name, why)
        for entry in list(self._entries.values()):
            if entry.provider is provider and entry.told is not None:
                entry.told = replace(
                    entry.told,
                    status=BackendStatus.UNAVAILABLE,
                    status_message=why,
                    status_time_us=time.time_ns() // 1000,
                )

    def _unasked(self, provider: Provider) -> None:
        """Stands for a provider's back ends until it told of them."""
        entry = self._entry(provider.name, provider=provider)
        entry.told = Description(
            provider.name,
            f"The back ends of the provider {provider.name}",
            BackendKind.QPU,
            provider=provider.name,
            status=BackendStatus.UNAVAILABLE,
            status_message="it was not asked for its back ends yet",
        )
        self._entries[provider.name] = entry

    def _entry(
        self, name: str, backend: Backend | None = None, provider: Provider | None = None
    ) -> Entry:
        breaker = Breaker(self._settings.failures_max, self._settings.rest_s, self._clock)
        return Entry(name, breaker, backend, provider)

    def _is_disabled(self, name: str) -> bool:
        return any(matches(pattern, name) for pattern in self._settings.disabled)

    def _ask_often(self, provider: Provider) -> None:
        while not self._stop.is_set():
            answered = self.refresh(provider)
            refresh_s = self._settings.refresh_s
            self._stop.wait(refresh_s if answered else min(refresh_s, AGAIN_S))
