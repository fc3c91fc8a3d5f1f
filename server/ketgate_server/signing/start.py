"""The signing domain, put together: keys, their uses, the services."""

from __future__ import annotations

from contextlib import suppress

from ketgate_server.admission import Admission
from ketgate_server.domain import Domain
from ketgate_server.errors import KetgateError
from ketgate_server.settings import Settings
from ketgate_server.signing import shared
from ketgate_server.signing.keys import service as keys_service
from ketgate_server.signing.keys.access import Access
from ketgate_server.signing.keys.due import Destruction
from ketgate_server.signing.keys.rates import Rates
from ketgate_server.signing.keys.service import KeyServicer
from ketgate_server.signing.keys.timers import Timers
from ketgate_server.signing.keys.token_keys import destroy_in_token
from ketgate_server.signing.metrics import SigningMetrics
from ketgate_server.signing.overheard import Overheard
from ketgate_server.signing.rollback import Watch
from ketgate_server.signing.use import service as use_service
from ketgate_server.signing.use.batches import Batches
from ketgate_server.signing.use.certification import Certification
from ketgate_server.signing.use.current import CurrentKeys
from ketgate_server.signing.use.encryption import Encryption
from ketgate_server.signing.use.ring import Ring
from ketgate_server.signing.use.service import SigningServicer
from ketgate_server.signing.use.signatures import Signatures
from ketgate_server.signing.use.uses import UseLog
from ketgate_server.store.base import Store


class Running:
    """What there is once the store is open."""

    def __init__(self, settings: Settings, store: Store, metrics: SigningMetrics) -> None:
        base = shared.foundation(settings, store)
        limits = settings.limit_values
        ring = Ring(base.keys, base.vault, base.providers, settings.signing.opened_keys_max)
        self.ring = ring
        self.watch = Watch(store, base.rollback)
        self.watch.look()
        current = CurrentKeys(base.keys, self._changed)
        rates = Rates()
        access, log = Access(current, rates), UseLog(store, current.refresh)
        batches = Admission(
            limits["signing.batches_max"], limits["signing.batches_queued_max"], "batches"
        )
        self.store = store
        self.signatures = Signatures(access, current, ring, log, metrics)
        self.encryption = Encryption(access, current, ring, log, self.signatures, metrics)
        metrics.open_keys = lambda: ring.open_keys
        metrics.batches = lambda: batches.running
        certification = Certification(self.signatures, base.providers)
        together = Batches(self.signatures, batches, settings.processors)
        self.uses = SigningServicer(
            self.signatures, together, self.encryption, certification, limits
        )
        self.managed = KeyServicer(base.keys, rates, limits)
        self.base = base
        self.current = current
        shared_store = settings.store_url is not None
        self._overheard = Overheard(store, base.journal) if shared_store else None
        self.timers = Timers(base.keys, self._before_destruction, self._look)
        if base.rollback is None:
            self.timers.start()

    def check(self) -> Running:
        """Itself. Raises KEY_STORE_ROLLED_BACK."""
        if self.watch.found is not None:
            raise self.watch.found.refusal()
        return self

    def _changed(self) -> None:
        """Raises KEY_STORE_ROLLED_BACK, so that the use in which it is noticed is the first that is
        refused."""
        self.ring.forget()
        self.watch.look()
        self.check()

    def _look(self) -> bool:
        """Once a second, for a server that is not asked to use keys: those that were destroyed, also by another
        server, do not stay open in its memory; and nothing is done to an older copy."""
        if self.watch.found is None:
            with suppress(KetgateError):  # the refusal, which the log has
                self.current.refresh()
        if self.watch.found is None and self._overheard is not None:
            self._overheard.look()
        return self.watch.found is None

    def _before_destruction(self, due: Destruction) -> None:
        self.base.journal.add(due)
        destroy_in_token(self.base.keys, due)

    def end(self) -> None:
        self.timers.close()
        self.ring.forget()


def create_domain(settings: Settings) -> Domain:
    """The domain. What its services do needs keys, which are there from start() on."""
    running: list[Running] = []
    metrics = SigningMetrics()

    def start(store: Store) -> None:
        running.append(Running(settings, store, metrics))

    def end() -> None:
        for one in running:
            one.end()

    def close() -> None:
        while running:
            shared.close(running.pop().store)

    services = (
        keys_service.create_service(lambda: running[0].check().managed),
        use_service.create_service(lambda: running[0].check().uses),
    )
    return Domain(services, (), start, close, metrics.show, end)
