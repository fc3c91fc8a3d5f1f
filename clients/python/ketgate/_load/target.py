"""The server under load: sends a shot, and counts what comes back."""

import time
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import grpc

from ketgate import _wire
from ketgate._connect import Endpoint
from ketgate._errors import KetgateError
from ketgate._load.assignment import Assignment
from ketgate._load.scenarios import SCENARIOS, Operation, Shot
from ketgate._load.tally import FIRST_EVENT, WRONG_ANSWER, Tally
from ketgate._status import from_rpc

CONNECT_TIMEOUT_S = 10.0


class Target:
    """Connections to the server, and the window of time in which calls count."""

    def __init__(self, assignment: Assignment, tally: Tally) -> None:
        self.tally = tally
        self.operations: Sequence[Operation] = [
            operation for _, operation in SCENARIOS[assignment.scenario].shares
        ]
        self._timeout_s = assignment.timeout_s
        self._metadata = (
            (("authorization", f"Bearer {assignment.token}"),) if assignment.token else ()
        )
        self._channels = [_channel(assignment) for _ in range(assignment.connections)]
        self._calls = [
            [_callable(channel, operation) for operation in self.operations]
            for channel in self._channels
        ]
        self._turn = count()
        self._from_ns = self._until_ns = 0

    def connect(self) -> None:
        """Wait until every connection stands. Raises grpc.FutureTimeoutError."""
        for channel in self._channels:
            grpc.channel_ready_future(channel).result(timeout=CONNECT_TIMEOUT_S)

    def measure(self, from_ns: int, until_ns: int) -> None:
        """Count the calls that are due from then on; answers count as throughput until then."""
        self._from_ns, self._until_ns = from_ns, until_ns

    def measured(self, due_ns: int) -> bool:
        return due_ns >= self._from_ns

    def begin(self, shot: Shot, due_ns: int, done: Callable[[], None]) -> None:
        """Send a shot whose answer is no stream. done runs when it has come, in any thread."""
        future = self._call(shot).future(
            self._request(shot), timeout=self._timeout_s, metadata=self._metadata
        )

        def finish(ended: Any) -> None:
            ended_ns = time.monotonic_ns()
            try:
                self._count(shot, due_ns, ended_ns, ended.result)
            finally:
                done()

        future.add_done_callback(finish)

    def finish(self, shot: Shot, due_ns: int) -> None:
        """Send a shot and wait for its answer, or for the end of its stream."""
        call = self._call(shot)
        if not self.operations[shot.operation].stream:
            self._count(shot, due_ns, None, lambda: self._answer(call, shot))
            return
        self._count(shot, due_ns, None, lambda: self._last_event(call, shot, due_ns))

    def close(self) -> None:
        for channel in self._channels:
            channel.close()

    def _call(self, shot: Shot) -> Any:
        calls = self._calls[next(self._turn) % len(self._calls)]
        return calls[shot.operation]

    def _request(self, shot: Shot) -> bytes:
        return shot.request + self.operations[shot.operation].added()

    def _answer(self, call: Any, shot: Shot) -> Any:
        return call(self._request(shot), timeout=self._timeout_s, metadata=self._metadata)

    def _last_event(self, call: Any, shot: Shot, due_ns: int) -> Any:
        last = None
        for event in self._answer(call, shot):
            if last is None and self.measured(due_ns):
                name = self.operations[shot.operation].name + FIRST_EVENT
                self.tally.answered(name, time.monotonic_ns() - due_ns)
            last = event
        return last

    def _count(
        self, shot: Shot, due_ns: int, ended_ns: int | None, answer: Callable[[], Any]
    ) -> None:
        """ended_ns: when the answer came; None: when answer() returns."""
        operation = self.operations[shot.operation]
        try:
            received = answer()
        except grpc.RpcError as error:
            if self.measured(due_ns):
                refused = from_rpc(error)
                self.tally.failed((refused.code, refused.reason or "-"), refused.message)
            return
        except grpc.FutureCancelledError:
            return  # by us, at the end
        ended_ns = ended_ns or time.monotonic_ns()
        if not self.measured(due_ns):
            return
        try:
            wrong = operation.check(received) if received is not None else "a stream without events"
        except KetgateError as error:  # an array that contradicts itself
            wrong = error.message
        if wrong:
            self.tally.failed(WRONG_ANSWER, wrong)
            return
        self.tally.answered(operation.name, ended_ns - due_ns, in_time=ended_ns < self._until_ns)


def _channel(assignment: Assignment) -> Any:
    # Without a pool of its own a second channel to an address shares the first one's connection.
    options = [*_wire.CHANNEL_OPTIONS, ("grpc.use_local_subchannel_pool", 1)]
    certificates = assignment.ca_certificates.encode() if assignment.ca_certificates else None
    secured = _wire.credentials(
        Endpoint(assignment.address, certificates, assignment.token, assignment.insecure)
    )
    if secured is None:
        return grpc.insecure_channel(assignment.address, options)
    return grpc.secure_channel(assignment.address, secured, options)


def _callable(channel: Any, operation: Operation) -> Any:
    make = channel.unary_stream if operation.stream else channel.unary_unary
    return make(
        operation.method.path, response_deserializer=operation.method.response_type.FromString
    )
