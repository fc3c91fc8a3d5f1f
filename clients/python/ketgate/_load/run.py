"""The coordinator: starts the workers together, watches the server, adds up what was counted."""

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ketgate import _wire
from ketgate._connect import Endpoint
from ketgate._errors import InternalError, Unavailable
from ketgate._load.assignment import Assignment
from ketgate._load.process import Process
from ketgate._load.settings import CALLS_MAX, LoadSettings
from ketgate._load.tally import Tally, require_histograms

START_TIMEOUT_S = 60.0
LEAD_S = 0.2
"""From when all are ready to the start: more than a line to each worker takes."""
RESULT_EXTRA_S = 30.0
SAMPLE_EVERY_S = 0.1


@dataclass
class ServerCost:
    """What the server's process used while it was measured."""

    pid: int
    cpu_s: float = 0.0
    resident_bytes_before: int = 0
    resident_bytes_max: int = 0


@dataclass
class Report:
    """What a run measured."""

    settings: LoadSettings
    address: str
    measured_s: float
    """Time that was measured; shorter than asked when the run was interrupted."""
    tally: Tally
    client_cpu_share_max: float
    """Processor time over time, of the busiest worker."""
    server: ServerCost | None = None
    interrupted: bool = False


def run(
    endpoint: Endpoint,
    settings: LoadSettings,
    *,
    pid: int | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Report:
    """Put the server at endpoint under load. Ctrl-C ends the run early, with its report.

    pid: the server's process, to be watched. tell: is told how it goes. Raises InvalidArgument
    where HdrHistogram is missing, Unavailable where the server cannot be reached.
    """
    require_histograms()
    workers: list[_Worker] = []
    try:
        for number in range(settings.processes):  # one by one: if one fails, those before it end
            workers.append(_Worker(_assignment(endpoint, settings, number)))  # noqa: PERF401
        tell("connecting ...")
        for worker in workers:
            worker.read(START_TIMEOUT_S)
        start_s = time.monotonic() + LEAD_S
        for worker in workers:
            worker.say({"start_ns": int(start_s * 1e9)})
        watched = _Watched(settings, start_s, Process(pid) if pid else None)
        watched.watch(tell)
        if watched.interrupted:
            for worker in workers:
                worker.stop()
        return _report(
            endpoint,
            settings,
            watched,
            [w.read(settings.timeout_s + RESULT_EXTRA_S) for w in workers],
        )
    finally:
        for worker in workers:
            worker.end()


def _assignment(endpoint: Endpoint, settings: LoadSettings, number: int) -> Assignment:
    loops, more = divmod(settings.closed, settings.processes)
    return Assignment(
        address=endpoint.address,
        ca_certificates=endpoint.ca_certificates.decode() if endpoint.ca_certificates else None,
        token=endpoint.token,
        insecure=endpoint.insecure,
        scenario=settings.scenario,
        seed=settings.seed,
        worker=number,
        workers=settings.processes,
        rate=settings.rate,
        arrivals=settings.arrivals,
        loops=loops + (number < more),
        warm_up_s=settings.warm_up_s,
        duration_s=settings.duration_s,
        timeout_s=settings.timeout_s,
        in_flight_max=settings.in_flight_max,
        calls_max=CALLS_MAX // settings.processes,
        connections=settings.connections,
    )


@dataclass
class _Watched:
    """The time of the run, as the coordinator spends it: looking at the server."""

    settings: LoadSettings
    start_s: float
    process: Process | None
    cost: ServerCost | None = None
    measured_s: float = 0.0
    interrupted: bool = False

    def watch(self, tell: Callable[[str], None]) -> None:
        """Return when the measured time is over, or at Ctrl-C."""
        from_s = self.start_s + self.settings.warm_up_s
        cpu_s = 0.0
        try:
            tell(f"warming up for {self.settings.warm_up_s:g} s ...")
            _sleep_until(from_s)
            if self.process:
                resident = self.process.resident_bytes()
                self.cost = ServerCost(self.process.pid, 0.0, resident, resident)
                cpu_s = self.process.cpu_s()
            tell(f"measuring for {self.settings.duration_s:g} s ...")
            until_s = from_s + self.settings.duration_s
            while (now_s := time.monotonic()) < until_s:
                _sleep_until(min(now_s + SAMPLE_EVERY_S, until_s))
                if self.process and self.cost:
                    self.cost.resident_bytes_max = max(
                        self.cost.resident_bytes_max, self.process.resident_bytes()
                    )
        except KeyboardInterrupt:
            self.interrupted = True
        self.measured_s = min(max(time.monotonic() - from_s, 0.0), self.settings.duration_s)
        if self.process and self.cost:
            self.cost.cpu_s = max(self.process.cpu_s() - cpu_s, 0.0)


def _sleep_until(at_s: float) -> None:
    while (remaining_s := at_s - time.monotonic()) > 0:
        time.sleep(remaining_s)


def _report(
    endpoint: Endpoint, settings: LoadSettings, watched: _Watched, results: list[dict[str, Any]]
) -> Report:
    total = Tally()
    for result in results:
        total.add(Tally.from_json(result["tally"]))
    return Report(
        settings=settings,
        address=endpoint.address,
        measured_s=watched.measured_s,
        tally=total,
        client_cpu_share_max=max(result["cpu_share"] for result in results),
        server=watched.cost,
        interrupted=watched.interrupted,
    )


@dataclass
class _Worker:
    """A worker process and its lines."""

    assignment: Assignment
    _lines: "queue.Queue[str]" = field(default_factory=queue.Queue)

    def __post_init__(self) -> None:
        # In a session of its own: Ctrl-C reaches the coordinator alone, which asks for the rest.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ketgate._load.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
        threading.Thread(target=self._listen, daemon=True).start()
        self._write(self.assignment.to_line())

    def say(self, message: dict[str, Any]) -> None:
        self._write(json.dumps(message) + "\n")

    def read(self, timeout_s: float) -> dict[str, Any]:
        """What it says next. Raises Unavailable with its error, InternalError for silence."""
        try:
            line = self._lines.get(timeout=timeout_s)
        except queue.Empty:
            raise InternalError(f"a worker of the load said nothing for {timeout_s:g} s") from None
        if not line:
            raise InternalError(f"a worker of the load ended with status {self._process.wait(5)}")
        message: dict[str, Any] = json.loads(line)
        if "error" in message:
            raise Unavailable(
                message["error"],
                remedy="Check the address, and that the server runs: `ketgate info`.",
            )
        return message

    def stop(self) -> None:
        """It sends nothing more, waits for the answers, and tells its tally."""
        if self._process.stdin and not self._process.stdin.closed:
            try:
                self._process.stdin.close()
            except BrokenPipeError:
                pass  # it has already ended; read() says how

    def end(self) -> None:
        self.stop()
        try:
            self._process.wait(1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line)
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has already ended; read() says how

    def _listen(self) -> None:
        assert self._process.stdout is not None
        try:
            for line in self._process.stdout:
                self._lines.put(line)
        except ValueError:
            pass  # closed by end()
        self._lines.put("")


def server_version(endpoint: Endpoint) -> str:
    """The server's version. A refusal is raised as a KetgateError, before there is any load."""
    import grpc

    from ketgate._status import from_rpc

    secured = _wire.credentials(endpoint)
    make: Any = grpc.insecure_channel if secured is None else grpc.secure_channel
    arguments = (endpoint.address,) if secured is None else (endpoint.address, secured)
    with make(*arguments, options=_wire.CHANNEL_OPTIONS) as channel:
        _, metadata = _wire.call_metadata(endpoint)
        method = _wire.GET_SERVER_INFO
        try:
            answer = method.callable(channel)(
                method.request_type(), timeout=10.0, metadata=metadata
            )
        except grpc.RpcError as error:
            raise from_rpc(error, endpoint=endpoint) from None
        return str(answer.version)
