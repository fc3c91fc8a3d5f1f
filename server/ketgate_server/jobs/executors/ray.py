"""Attempts on a Ray cluster.

Each slot talks to the cluster from a process of its own, since Ray ends its driver when it loses the
cluster, and takes the process's signals. It keeps its actor, which takes seconds to start, for the
next attempt, and gives its processors back to the cluster when none comes.
"""

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from ketgate.jobs.v1 import job_pb2 as pb

from ketgate_server.jobs.base import Ending, Outcome
from ketgate_server.jobs.executors.attempt import Attempt, Surroundings
from ketgate_server.jobs.executors.channel import keep, unpack
from ketgate_server.jobs.executors.process import ProcessWorker
from ketgate_server.jobs.executors.ray_actor import Actor
from ketgate_server.jobs.executors.slots import SlotExecutor
from ketgate_server.jobs.faults import Stopped, failed, lost
from ketgate_server.jobs.kinds import Kinds
from ketgate_server.parts import require_part

PERFORMER = "ketgate_server.jobs.executors.ray:perform_remotely"
CONNECT_TIMEOUT_S = 2.0
CONNECT_INTERVAL_S = 5.0
"""Between tries to reach the cluster."""
IDLE_S = 10.0
"""How long an actor is kept for the next attempt."""
CALLS_AT_ONCE = 2
"""Of an actor: the run, and a stop."""
WHY_CHARACTERS_MAX = 300

log = logging.getLogger("ketgate.jobs")


class RayExecutor(SlotExecutor):
    """The executor "ray". The cluster's nodes must have this version of ketgate-server."""

    def __init__(self, slots: int, kinds: Kinds, surroundings: Surroundings, address: str) -> None:
        """slots: attempts at once, of this server. surroundings.threads: processors that each takes
        of the cluster. address: HOST:PORT of the cluster; its token, if it wants one, stands in the
        environment as RAY_AUTH_TOKEN. Raises PartMissing."""
        require_part("ray")
        options = {"address": address}
        super().__init__(
            slots, kinds, surroundings, lambda: ProcessWorker(surroundings, PERFORMER, options)
        )


def perform_remotely(attempt: Attempt, options: Mapping[str, Any]) -> Ending:
    """Run an attempt on the cluster, and wait for its end; never raises. While the cluster cannot be
    reached the attempt waits, so that an outage does not use up its tries."""
    import ray

    try:
        _connect(options["address"], attempt)
        return _parking.run(attempt)
    except Stopped:
        if attempt.handle is not None:  # its kind could not tell the provider: asked again later
            return lost(attempt.work.reference, "the cluster did not run it before it was to stop")
        return Ending(Outcome.STOPPED)
    except _NotBegun as error:
        return lost(attempt.work.reference, str(error))
    except ray.exceptions.RayTaskError as error:  # raised by what ran there
        return failed(error, attempt.work.reference)
    except ray.exceptions.RayError as error:
        return lost(attempt.work.reference, _why(error))
    except Exception as error:
        return failed(error, attempt.work.reference)
    finally:
        attempt.forget()


def _connect(address: str, attempt: Attempt) -> None:
    """Raises Stopped when the attempt is to stop meanwhile."""
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    stopped = threading.Event()
    attempt.on_stop(stopped.set)
    host, _, port = address.rpartition(":")
    tried = attempt.handle is None  # else once, to tell the provider
    while not ray.is_initialized():
        if stopped.is_set() and tried:
            raise Stopped
        tried = True
        try:
            # First, as Ray itself would try for minutes, and could not be told to stop meanwhile.
            socket.create_connection((host.strip("[]"), int(port)), CONNECT_TIMEOUT_S).close()
            ray.init(address=address, log_to_driver=False, configure_logging=False)
        except Exception as error:
            log.error("the Ray cluster %s cannot be reached: %s", address, _why(error))
            stopped.wait(CONNECT_INTERVAL_S)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # Ray would end this process with it


class _Parking:
    """The actor of this process, while it has nothing to do."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: _Remote | None = None
        self._timer: threading.Timer | None = None

    def run(self, attempt: Attempt) -> Ending:
        remote = self._take() or _Remote(attempt)
        kept = remote.alive
        try:
            ending = remote.run(attempt)
        except _NotBegun:
            if attempt.stopped and attempt.handle is None:
                raise Stopped from None
            if not kept:
                raise
            remote = _Remote(attempt)  # it died while it was idle, which harmed nobody
            ending = remote.run(attempt)
        self._keep(remote)
        return ending

    def _take(self) -> "_Remote | None":
        with self._lock:
            remote, self._idle = self._idle, None
            if self._timer is not None:
                self._timer.cancel()
        return remote

    def _keep(self, remote: "_Remote") -> None:
        with self._lock:
            self._idle = remote
            self._timer = threading.Timer(IDLE_S, self._release, (remote,))
            self._timer.daemon = True
            self._timer.start()

    def _release(self, remote: "_Remote") -> None:
        with self._lock:
            if self._idle is not remote:
                return
            self._idle = None
        remote.end()


_parking = _Parking()


class _NotBegun(Exception):  # noqa: N818 - a state of the actor
    """The actor ended before it began with the attempt."""


class _Remote:
    """An actor on the cluster."""

    def __init__(self, attempt: Attempt) -> None:
        import ray

        self._ray: Any = ray
        actor_class: Any = ray.remote(Actor)
        self._actor = actor_class.options(
            num_cpus=attempt.threads, max_concurrency=CALLS_AT_ONCE, max_restarts=0
        ).remote(attempt.surroundings)
        self.alive = False
        """It has begun with an attempt; before that it may wait for a node."""

    def run(self, attempt: Attempt) -> Ending:
        """Raises _NotBegun, and what Ray raises."""
        began = False
        work = attempt.work
        call = self._actor.run.options(num_returns="streaming")
        references = call.remote(work, attempt.remaining_s())
        attempt.on_stop(lambda: self._stop(attempt))
        try:
            for message in self._messages(references):
                match message:
                    case ("began",):
                        began = self.alive = True
                        if attempt.stopped:  # perhaps told just before: twice does no harm
                            self._stop(attempt)
                    case ("checkpoint", handle):
                        self._actor.kept.remote(work.reference, keep(attempt, handle))
                    case ("progress", progress):
                        attempt.progress(pb.JobProgress.FromString(progress))
                    case ("log", name, level, text):
                        logging.getLogger(name).log(level, "%s", text)
                    case ("end", packed, result):
                        return unpack(packed, result)
        except self._ray.exceptions.RayActorError as error:
            if began:
                raise
            raise _NotBegun(_why(error)) from error
        return lost(work.reference, "it ended without an answer")

    def end(self) -> None:
        self._ray.kill(self._actor)

    def _messages(self, references: Any) -> Iterator[tuple[Any, ...]]:
        for reference in references:
            yield self._ray.get(reference)

    def _stop(self, attempt: Attempt) -> None:
        if self.alive:
            self._actor.stop.remote(attempt.work.reference)
        elif attempt.handle is None:  # else it has to tell its provider
            self.end()


def _why(error: Exception) -> str:
    """The first line of what Ray says, which may be a page."""
    text = str(error).strip().partition("\n")[0][:WHY_CHARACTERS_MAX]
    return f"{type(error).__name__}: {text}"
