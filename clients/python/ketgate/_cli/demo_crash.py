"""The demo's last part: a job whose server is killed while it runs, and what is left of both."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ketgate._cli.local_server import LocalServer
from ketgate._cli.show import proof
from ketgate._client import Client
from ketgate._job import JobEvent, JobState
from ketgate._jobs import DurableJob
from ketgate._portfolio_result import FrontierResult

POINTS = 1000
NAMES_MAX = 8
POSITION_MIN = 0.08
RUN_S = 0.3
"""How long its first attempt may run."""
AGREEMENT = 1e-9


@dataclass(frozen=True)
class Survived:
    """What became of the job."""

    job: str
    attempts: tuple[str, ...]
    """How each ended."""
    proven: bool
    as_direct: bool
    """Whether the frontier is that of a call that nobody disturbed."""
    audit_entries: int
    """Entries of the audit log, all verified."""


def survive(
    client: Client, server: LocalServer, prices: Any, line: Callable[[str], None]
) -> Survived:
    """Start a job, kill the server, start it again on the same folder, and watch all the while."""
    line(
        f"[bold]6. A job that outlives its server[/bold]: {POINTS:,} portfolios of at most "
        f"{NAMES_MAX} of the 20 names, each proven.\n"
        "   The server is ended by kill -9 amid the work, and started again on the same folder.\n"
        f"   {'seconds':>8}  revision"
    )
    options: dict[str, Any] = {
        "points": POINTS,
        "k": NAMES_MAX,
        "min_position": POSITION_MIN,
        "estimator": "ledoit_wolf",
        "time_limit": 30,
        "seed": 1,
    }
    begin_s = time.monotonic()
    job = client.optimize.frontier(prices, durable=True, labels={"story": "crash"}, **options)
    timeline = Timeline(begin_s, line)
    for event in client.jobs.watch(job.revision, names=[job.name]):
        timeline.tell(event)
        if event.state is JobState.RUNNING and not timeline.killed:
            time.sleep(RUN_S)
            timeline.kill(server)
        if event.last:
            break
    result: FrontierResult = job.result()
    return _compare(client, job, result, client.optimize.frontier(prices, **options), line)


class Timeline:
    """What happens, as it happens."""

    def __init__(self, begin_s: float, line: Callable[[str], None]) -> None:
        self.killed = False
        self._begin_s = begin_s
        self._line = line

    def tell(self, event: JobEvent) -> None:
        if event.progress is not None:
            return  # the portfolios themselves come at the end
        words = _WORDS.get(event.state, event.state.value)
        if event.state is JobState.RUNNING and event.attempt:
            words = f"{words}, attempt {event.attempt}"
        if event.state is JobState.QUEUED and self.killed:
            words = f"found without a worker: {event.reason}"
        self._row(event.revision, words)

    def kill(self, server: LocalServer) -> None:
        """SIGKILL, and a new process."""
        self.killed = True
        pid = server.pid
        server.kill()
        self._row("", f"[bold red]kill -9 {pid}[/bold red]: the server is gone")
        server.start_again()
        self._row("", f"a new process, {server.pid}, serves the same folder; the watch goes on")

    def _row(self, revision: object, words: str) -> None:
        self._line(f"   {time.monotonic() - self._begin_s:8.3f}  {revision!s:>8}  {words}")


_WORDS = {
    JobState.QUEUED: "accepted, and on disk",
    JobState.RUNNING: "running",
    JobState.SUCCEEDED: "[bold]done[/bold]",
}


def _compare(
    client: Client,
    job: DurableJob[FrontierResult],
    result: FrontierResult,
    direct: FrontierResult,
    line: Callable[[str], None],
) -> Survived:
    apart = np.abs(result.points.volatilities - direct.points.volatilities)
    as_direct = bool((apart <= AGREEMENT * direct.points.volatilities).all())
    with _private_pins():
        audit = client.audit.verify()
    line(
        f"   The result: {proof(result)}; {'the same' if as_direct else 'NOT the same'} as that of a "
        "call that nobody disturbed.\n"
        f"   The audit log: {audit.head.size} entries, every one verified against the signed head.\n"
    )
    return Survived(
        job.name,
        tuple(attempt.outcome for attempt in job.attempts),
        result.proven,
        as_direct,
        audit.head.size,
    )


@contextmanager
def _private_pins() -> Iterator[None]:
    """What is seen of this server's log need not be remembered: it goes with the demo."""
    kept = os.environ.get("XDG_STATE_HOME")
    with tempfile.TemporaryDirectory(prefix="ketgate-pins-") as folder:
        os.environ["XDG_STATE_HOME"] = folder
        try:
            yield
        finally:
            if kept is None:
                del os.environ["XDG_STATE_HOME"]
            else:
                os.environ["XDG_STATE_HOME"] = kept
