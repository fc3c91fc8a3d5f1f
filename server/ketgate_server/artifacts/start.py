"""The artifacts of a server, put together: what the composition root starts and ends."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ketgate_server.arrays import Arrays
from ketgate_server.artifacts import place, service
from ketgate_server.artifacts.blobs import CACHE_MAX, folder_url, open_blobs
from ketgate_server.artifacts.collector import Collector
from ketgate_server.artifacts.index import Asker, Quota
from ketgate_server.artifacts.store import HOUR_US, ArtifactStore, Policy
from ketgate_server.artifacts.tenant_arrays import REFERENCED_MAX, TenantArrays
from ketgate_server.limits import Limit
from ketgate_server.rpc.call import Call, Service
from ketgate_server.store.base import Store, StoreUnavailable

_log = logging.getLogger(__name__)

FOLDER = "blobs"
"""In the data folder, unless the settings say another place."""
JOBS = "jobs"
"""Who keeps the arrays of jobs' results, for the audit."""


@dataclass
class Artifacts:
    """Running."""

    store: ArtifactStore
    url: str
    """Where the content lies."""
    service: Service
    inline_bytes_max: int
    """Arrays of results that are larger become artifacts."""
    _collector: Collector
    _referenced_bytes_max: int

    def arrays_of_call(self, call: Call) -> Arrays:
        """The artifacts that a call may use."""
        asker = Asker(call.identity.tenant, call.identity.subject, call.method, call.request_id)
        return TenantArrays(self.store, asker, self._referenced_bytes_max)

    def arrays_of_tenant(self, tenant: str) -> Arrays:
        """As arrays_of_call, for a tenant's jobs."""
        asker = Asker(tenant, "server", JOBS)
        return TenantArrays(self.store, asker, self._referenced_bytes_max)

    def begin_drain(self) -> None:
        """Remove nothing more."""
        self._collector.stop()

    def close(self) -> None:
        """To be called before the store is closed."""
        self._collector.close()


def start(
    store: Store, data_dir: Path, url: str | None, *, server: str, limits: Mapping[str, Limit]
) -> Artifacts:
    """url: where the content lies; None: in data_dir. server: its name among those of the store.
    Raises StoreError, PartMissing and OSError."""
    if url is None and store.dialect != "sqlite":
        _log.warning(
            "artifacts lie in this server's own data_dir, so other servers of the database cannot read "
            "them; name a place that all share with artifacts_url"
        )
    told = url
    url = url or folder_url(data_dir / FOLDER)
    policy = Policy(
        bytes_max=limits["artifacts.bytes_max"].value,
        quota=Quota(
            bytes_max=limits["artifacts.tenant_bytes_max"].value,
            uploads_max=limits["artifacts.uploads_max"].value,
        ),
        unused_us=limits["artifacts.unused_hours_max"].value * HOUR_US,
    )
    blobs = open_blobs(url, limits[CACHE_MAX].value)
    _remember(data_dir, told)
    artifacts = ArtifactStore(store, blobs, policy, server=server)
    collector = Collector(artifacts, server)
    try:
        collector.end_own_deletions()
    except StoreUnavailable as error:
        _log.warning("deletions that were cut short are ended later: %s", error)
    collector.start()
    return Artifacts(
        artifacts,
        url,
        service.create_service(artifacts),
        limits["artifacts.inline_bytes_max"].value,
        collector,
        limits[REFERENCED_MAX].value,
    )


def _remember(data_dir: Path, url: str | None) -> None:
    """Leave the place in the data folder, or tell that it was another until now."""
    if url is not None:
        place.note(data_dir, url)
        return
    before = place.noted(data_dir)
    if before is not None:
        _log.warning(
            "artifacts_url is not set, and artifacts until now lie in %s: those cannot be read; set it "
            "again, or, if they were moved here, remove %s",
            before,
            data_dir / place.MARK_FILE,
        )
