"""The job engine, put together: what the composition root starts and ends."""

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ketgate_server.artifacts.start import Artifacts
from ketgate_server.artifacts.using_service import with_arrays
from ketgate_server.job_settings import JobSettings
from ketgate_server.jobs import operations, service
from ketgate_server.jobs.base import Executor
from ketgate_server.jobs.dispatcher import Dispatcher, DispatcherSettings
from ketgate_server.jobs.dispatcher_thread import DispatcherThread
from ketgate_server.jobs.executors.attempt import Surroundings
from ketgate_server.jobs.executors.large_results import LargeResults
from ketgate_server.jobs.executors.local import LocalExecutor
from ketgate_server.jobs.hub import Hub
from ketgate_server.jobs.kinds import Kinds
from ketgate_server.jobs.policy import DAY_US, MINUTE_US, Policy, Retention
from ketgate_server.jobs.publisher import Publisher, Target
from ketgate_server.jobs.retainer import Retainer
from ketgate_server.jobs.store import JobStore
from ketgate_server.limits import Limit
from ketgate_server.parts import require_part
from ketgate_server.rpc.call import Service
from ketgate_server.store.base import Store

POLL_S = 0.2
"""How often other servers' changes are looked for."""


@dataclass
class Jobs:
    """A running job engine."""

    store: JobStore
    hub: Hub
    dispatcher: DispatcherThread
    executor: Executor
    retainer: Retainer
    publisher: Publisher | None
    services: list[Service]

    def begin_drain(self) -> None:
        """End watches and long polls: nothing that they wait for is lost, and others serve them."""
        self.hub.begin_drain()

    def close(self, limit_s: float) -> bool:
        """Let attempts end within limit_s, give back those that do not, and stop. To be called
        before the store is closed. Whether all ended."""
        self.retainer.stop()
        idle = self.dispatcher.drain(limit_s)
        self.retainer.close()
        self.hub.close()
        if self.publisher is not None:
            self.publisher.close()
        self.executor.close()
        return idle


def start(
    store: Store,
    kinds: Kinds,
    artifacts: Artifacts,
    *,
    server: str,
    settings: JobSettings,
    limits: Mapping[str, Limit],
    processors: int,
) -> Jobs:
    """Start to run jobs. What a former process of this server left half done is taken up again.

    server: its name, by which no other server of the store goes, and its own former processes do.
    Raises StoreError, and PartMissing for an executor that is not installed.
    """
    if settings.nats_url is not None:
        require_part("nats")  # before anything runs
    jobs = JobStore(store, _policy(limits), kinds=[kind.name for kind in kinds])
    jobs.recover(f"{server}/")
    shared = store.dialect != "sqlite"
    executor = LargeResults(
        _executor(kinds, settings, limits, processors, artifacts.url),
        artifacts.arrays_of_tenant,
        artifacts.inline_bytes_max,
    )

    def create(wake: Callable[[], None]) -> Dispatcher:
        names = DispatcherSettings(
            worker=f"{server}/{os.getpid()}-{os.urandom(4).hex()}",
            lease_s=settings.lease_s,
            poll_s=POLL_S if shared else math.inf,
        )
        return Dispatcher(jobs, executor, names, wake)

    dispatcher = DispatcherThread(create)
    hub = Hub(jobs, polls=shared)
    jobs.on_change(dispatcher.dispatcher.changed)
    jobs.on_change(hub.changed)
    store.listen(hub.changed_elsewhere)
    retainer = Retainer(jobs, _retention(settings, limits))
    hub.start()
    dispatcher.start()
    retainer.start()
    publisher = _publisher(jobs, settings, server, polls=shared)
    own = with_arrays(service.create_service(jobs, hub, kinds), artifacts.arrays_of_call)
    services = [own, operations.create_service(jobs, hub)]
    return Jobs(jobs, hub, dispatcher, executor, retainer, publisher, services)


def _publisher(
    jobs: JobStore, settings: JobSettings, server: str, *, polls: bool
) -> Publisher | None:
    if settings.nats_url is None:
        return None
    target = Target(
        settings.nats_url.get_secret_value(), settings.nats_subject_prefix, settings.nats_stream
    )
    holder = f"{server}/{os.getpid()}-{os.urandom(4).hex()}"
    publisher = Publisher(jobs, target, holder, polls=polls)
    publisher.start()
    return publisher


def _policy(limits: Mapping[str, Limit]) -> Policy:
    return Policy(
        unfinished_max=limits["jobs.unfinished_max"].value,
        attempts_max=limits["jobs.attempts_max"].value,
        losses_max=limits["jobs.losses_max"].value,
        losses_lived_us=limits["jobs.losses_lived_minutes"].value * MINUTE_US,
        provider_cancel_us=limits["jobs.provider_cancel_minutes"].value * MINUTE_US,
    )


def _retention(settings: JobSettings, limits: Mapping[str, Limit]) -> Retention:
    def kept_us(days: float) -> int | None:
        return round(days * DAY_US) or None

    return Retention(
        jobs_us=kept_us(settings.keep_jobs_days),
        events_us=kept_us(settings.keep_events_days),
        events_max=limits["jobs.events_max"].value,
        replies_us=kept_us(settings.keep_replies_days),
    )


def _executor(
    kinds: Kinds,
    settings: JobSettings,
    limits: Mapping[str, Limit],
    processors: int,
    artifacts_url: str,
) -> Executor:
    slots = settings.workers_at_once
    surroundings = Surroundings(
        threads=max(1, processors // 2), limits=limits, artifacts_url=artifacts_url
    )
    if settings.ray_address is not None:
        from ketgate_server.jobs.executors.ray import RayExecutor  # heavy

        return RayExecutor(slots, kinds, surroundings, settings.ray_address)
    return LocalExecutor(slots, kinds, surroundings, settings.isolation)
