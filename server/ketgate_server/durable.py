"""What outlives the process, put together: the store, and the audit, artifacts and jobs on it.

Started from the inside out, and ended from the outside in: the store is the last to close.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field

from ketgate_server import __version__
from ketgate_server.artifacts import start as artifacts
from ketgate_server.audit import start as audit
from ketgate_server.audit_signer import open_signer
from ketgate_server.data_folder import server_name
from ketgate_server.jobs import start as jobs
from ketgate_server.jobs.base import JobKind
from ketgate_server.jobs.kinds import Kinds
from ketgate_server.rpc.call import Service
from ketgate_server.settings import Settings
from ketgate_server.signing import rollback, shared
from ketgate_server.store import elsewhere
from ketgate_server.store.base import Store, StoreUnavailable
from ketgate_server.store.database import open_store, place_of

HURRY_INTERVAL_S = 0.1

_log = logging.getLogger(__name__)


@dataclass
class Durable:
    """The running parts."""

    store: Store
    audit: audit.Audit
    artifacts: artifacts.Artifacts
    jobs: jobs.Jobs
    _drain: threading.Thread | None = field(default=None, init=False)
    _idle: bool = field(default=True, init=False)

    @property
    def services(self) -> list[Service]:
        return [*self.jobs.services, self.artifacts.service, self.audit.service]

    def begin_drain(self, limit_s: float) -> None:
        """End watches and long polls, start no more attempts, and let those that run end within
        limit_s, beside the calls that do."""
        self.jobs.begin_drain()
        self.artifacts.begin_drain()

        def drain() -> None:
            self._idle = self.jobs.close(limit_s)

        self._drain = threading.Thread(target=drain, name="jobs-drain", daemon=True)
        self._drain.start()

    def close(self, hurry: Callable[[], bool] = lambda: False) -> bool:
        """End, when no call runs any more. hurry: whether to give back at once what still runs.
        Whether all attempts ended."""
        if self._drain is None:
            self.begin_drain(0.0)
        assert self._drain is not None
        while self._drain.is_alive():
            self._drain.join(HURRY_INTERVAL_S)
            if hurry():
                now_s = time.monotonic()
                self.jobs.dispatcher.dispatcher.drain(now_s, now_s)
        self.artifacts.close()
        try:
            self.audit.close()
        except StoreUnavailable as error:
            _log.error("the end of this server is not in the audit: %s", error)
        shared.close(self.store)
        self.store.close()
        return self._idle


def start(settings: Settings, kinds: Iterable[JobKind]) -> Durable:
    """Raises StoreError, PartMissing and OSError; what was started until then is ended."""
    url = settings.store_url.get_secret_value() if settings.store_url else None
    server = server_name(settings.data_dir)
    with ExitStack() as started:
        store = open_store(settings.data_dir, url)
        started.callback(store.close)
        started.callback(shared.close, store)
        if url is not None:  # so that who is told no URL does not make a store of its own
            elsewhere.note(settings.data_dir, place_of(settings.data_dir, url))
        signer, reopen = open_signer(settings, store)
        older = shared.foundation(settings, store).rollback
        audited = audit.start(
            store,
            settings.data_dir,
            server=server,
            version=__version__,
            settings=settings.model_dump(mode="json"),
            signer=signer,
            reopen=reopen,
            checkpoint=rollback.checkpoint if older is None else lambda _: {},
            keep_seen=older is None,
        )
        started.callback(audited.close)
        kept = artifacts.start(
            store,
            settings.data_dir,
            settings.artifacts_url,
            server=server,
            limits=settings.limit_table,
        )
        started.callback(kept.close)
        running = jobs.start(
            store,
            Kinds(kinds),
            kept,
            server=server,
            settings=settings.jobs,
            limits=settings.limit_table,
            processors=settings.processors,
        )
        started.pop_all()
    return Durable(store, audited, kept, running)
