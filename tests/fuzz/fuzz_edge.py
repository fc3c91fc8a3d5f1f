"""Fuzz the edge: python tests/fuzz/fuzz_edge.py --seconds 20 [--seed N].

Hostile bytes and hostile metadata to every method that the edge answers by itself (information,
health, reflection, methods that do not exist), through the same functions that the wire calls.
Whatever comes, the answer is a message or a status that a client can read, never INTERNAL, and
nothing is left behind: no call, no place in a lane, no thread.
"""

# ruff: noqa: E402 - imported from this checkout, whose folders are put into the path first

import argparse
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT / "server"), str(ROOT / "native")]

from google.rpc import error_details_pb2, status_pb2
from grpc_reflection.v1alpha import reflection_pb2
from ketgate_server.config import load
from ketgate_server.rpc import core, health, info, reflection
from ketgate_server.rpc.auth import Authenticator
from ketgate_server.rpc.edge import Edge
from ketgate_server.rpc.grpc_call import GrpcCall
from ketgate_server.rpc.log import LogWriter
from ketgate_server.rpc.metrics import Metrics
from ketgate_server.tokens import TokenStore

ANSWERS_MAX = 3
WATCH = f"/{health.SERVICE}/Watch".encode()
SEEDS = [
    b"",
    b"\x0a\x00",
    b"\x0a\x05ready",
    reflection_pb2.ServerReflectionRequest(list_services="*").SerializeToString(),
    reflection_pb2.ServerReflectionRequest(file_by_filename="x").SerializeToString(),
    reflection_pb2.ServerReflectionRequest(file_containing_symbol=info.SERVICE).SerializeToString(),
    reflection_pb2.ServerReflectionRequest(
        file_containing_extension=reflection_pb2.ExtensionRequest(
            containing_type="google.protobuf.FieldOptions", extension_number=1052
        )
    ).SerializeToString(),
]
TEXTS = ["", " ", "a", "\x00", "\ud800", "x" * 5000, "Bearer", "Bearer ", "bearer x", "é", "\r\n"]


class Wire:
    """As much of the core's call as the edge uses: requests in, answers and a status out."""

    def __init__(self, method: str, metadata: list[tuple[str, Any]], requests: list[bytes]) -> None:
        self.call = self
        self.call_details = SimpleNamespace(
            method=method.encode("utf-8", "surrogatepass"), deadline=float("inf")
        )
        self.invocation_metadata = metadata
        self.success = True
        self._requests = iter(requests)
        self._guard = threading.Lock()
        self.answers: list[bytes] = []
        self.status: tuple[Any, ...] | None = None
        self.answered, self.ended = threading.Event(), threading.Event()
        self._tag_of_end: Callable[[Any], Any] | None = None

    def peer(self) -> bytes:
        return b"ipv4:127.0.0.1:1"

    def cancel(self) -> None:
        self.ended.set()

    def go(self) -> None:
        """As a caller does who has seen enough."""
        assert self.answered.wait(30), "no answer"
        if self._tag_of_end is not None:
            self._tag_of_end(SimpleNamespace(batch_operations=[Operation("close", True)]))

    def start_server_batch(
        self, operations: "Sequence[Operation]", tag: Callable[..., Any]
    ) -> None:
        """Done at once, but for the end of the call, which has not come."""
        if operations and operations[0].kind == "close":
            self._tag_of_end = tag
            return
        success = True
        for operation in operations:
            if operation.kind == "receive":
                operation.content = next(self._requests, None)
            elif operation.kind == "message":
                self.answers.append(*operation.values[:1])
                success = len(self.answers) < ANSWERS_MAX
            elif operation.kind == "status":
                self.status = operation.values
        work = tag(SimpleNamespace(success=success, batch_operations=operations))
        if self.status is not None:
            self.ended.set()
        if self.answers or self.status is not None:
            self.answered.set()
        if work is not None:
            work()


class Operation:
    """Stands for an operation of the core."""

    def __init__(self, kind: str, *values: Any) -> None:
        self.kind, self.values, self.content = kind, values, None

    def message(self) -> bytes | None:
        return self.content

    def cancelled(self) -> bool:
        return bool(self.values[0]) if self.kind == "close" else False


OPERATIONS = {
    "ReceiveCloseOnServerOperation": "close",
    "ReceiveMessageOperation": "receive",
    "SendInitialMetadataOperation": "open",
    "SendMessageOperation": "message",
    "SendStatusFromServerOperation": "status",
}


def make_edge(folder: Path) -> tuple[Edge, str]:
    """An edge with all of its own methods, and a token."""
    settings, _ = load({"data_dir": str(folder)})
    store = TokenStore.open(folder)
    secret, _ = store.create("fuzz", roles=("admin",))
    log = LogWriter(os.open(os.devnull, os.O_WRONLY))
    edge = Edge(settings.limit_values, Authenticator(store), Metrics(), log, plaintext=False)
    vital = health.Health([info.SERVICE])
    endpoints = info.endpoints(settings.limit_table, 2, [info.SERVICE])
    endpoints |= vital.endpoints() | reflection.endpoints([info.SERVICE, health.SERVICE], "")
    for method, endpoint in endpoints.items():
        edge.add_endpoint(method, endpoint)
    return edge, secret


def mutated(content: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.3:
        return rng.randbytes(rng.choice([1, 3, 8, 40, 2000]))
    changed = bytearray(content)
    for _ in range(rng.randint(0, 3)):
        position = rng.randint(0, len(changed))
        if rng.random() < 0.5:
            changed[position:position] = rng.randbytes(rng.randint(1, 4))
        elif changed:
            del changed[position % len(changed)]
    return bytes(changed)


def hostile_metadata(secret: str, rng: random.Random) -> list[tuple[str, Any]]:
    metadata: list[tuple[str, Any]] = []
    if rng.random() < 0.9:
        good = rng.random() < 0.8
        header = f"Bearer {secret}" if good else rng.choice([*TEXTS, f"Bearer {rng.choice(TEXTS)}"])
        metadata.append(("authorization", header))
    for key in ("x-request-id", "traceparent", "user-agent"):
        if rng.random() < 0.3:
            metadata.append((key, rng.choice(TEXTS)))
    if rng.random() < 0.2:
        metadata.append(("x-odd-bin", rng.randbytes(5)))
    return metadata


def send(edge: Edge, wire: Wire) -> str:
    """The outcome in a word. Raises AssertionError, or whatever a fault of ours raises."""
    edge.take(GrpcCall(wire))
    if wire.call_details.method == WATCH:
        wire.go()
    assert wire.ended.wait(30), "no end"
    assert wire.status is not None, "broken off"
    trailers, code, message, _ = wire.status
    assert all(isinstance(answer, bytes) for answer in wire.answers)
    if code == 0:
        return "ok"
    assert code != grpc.StatusCode.INTERNAL.value[0]
    message.decode()
    status = status_pb2.Status.FromString(dict(trailers)["grpc-status-details-bin"])
    reason = error_details_pb2.ErrorInfo.FromString(status.details[0].value).reason
    assert reason, "no ErrorInfo"
    return str(reason)


def run(seconds: float, seed: int) -> int:
    """Send until the time is over; the number of findings."""
    outcomes, findings, count = dict[str, int](), 0, 0
    for name, kind in OPERATIONS.items():
        setattr(core, name, partial(Operation, kind))
    with tempfile.TemporaryDirectory() as folder:
        edge, secret = make_edge(Path(folder))
        methods = [*edge.methods, "/no.Such/Method", "", "/", "x" * 9000, "/\ud800/\x00"]
        end = time.monotonic() + seconds
        while time.monotonic() < end and findings < 10:
            rng = random.Random(f"{seed}/{count}")
            method = rng.choice(methods)
            sent = [mutated(rng.choice(SEEDS), rng) for _ in range(rng.choice([0, 1, 1, 1, 3]))]
            try:
                outcome = send(edge, Wire(method, hostile_metadata(secret, rng), sent))
                assert edge.wait_idle(10), "a place in a lane is lost"
            except Exception as error:
                findings += 1
                outcome = "finding"
                print(
                    f"seed {seed}/{count}: {type(error).__name__}: {error}; {method[:60]!r} {sent}"
                )
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
            count += 1
        edge.close()
    print(f"{count} calls, seed {seed}: {outcomes}; {findings} findings")
    return findings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    sys.exit(1 if run(arguments.seconds, arguments.seed) else 0)


if __name__ == "__main__":
    main()
