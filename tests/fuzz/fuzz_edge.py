"""Fuzz the edge: python tests/fuzz/fuzz_edge.py --seconds 20 [--seed N].

Hostile bytes and hostile metadata to every method that the edge answers by itself (information,
health, reflection, methods that do not exist), through the same functions that grpcio calls.
Whatever comes, the answer is a message or a status that a client can read, never INTERNAL, and
nothing is left behind: no call, no place in a lane, no thread.
"""

# ruff: noqa: E402 - imported from this checkout, whose folders are put into the path first

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT / "server"), str(ROOT / "native")]

from google.rpc import error_details_pb2, status_pb2
from grpc_reflection.v1alpha import reflection_pb2
from ketgate_server.config import load
from ketgate_server.rpc import health, info, reflection
from ketgate_server.rpc.auth import Authenticator
from ketgate_server.rpc.edge import Edge
from ketgate_server.rpc.log import LogWriter
from ketgate_server.rpc.metrics import Metrics
from ketgate_server.tokens import TokenStore

ANSWERS_MAX = 3
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


class Aborted(Exception):  # noqa: N818
    """How a status leaves a handler."""


class Context:
    """As much of grpcio's context as the edge uses."""

    def __init__(self, metadata: list[tuple[str, Any]]) -> None:
        self._metadata = metadata
        self.trailers: dict[str, Any] = {}
        self.code: grpc.StatusCode | None = None

    def invocation_metadata(self) -> list[tuple[str, Any]]:
        return self._metadata

    def time_remaining(self) -> float | None:
        return None

    def is_active(self) -> bool:
        return True

    def add_callback(self, _: Any) -> bool:
        return True

    def peer(self) -> str:
        return "ipv4:127.0.0.1:1"

    def set_trailing_metadata(self, trailers: Any) -> None:
        self.trailers = dict(trailers)

    def abort(self, code: grpc.StatusCode, message: str) -> None:
        self.code = code
        message.encode()
        raise Aborted


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


def send(edge: Edge, method: str, requests: Iterator[bytes], context: Context) -> str:
    """The outcome in a word. Raises AssertionError, or whatever a fault of ours raises."""

    class Details:
        pass

    details = Details()
    details.method = method  # type: ignore[attr-defined]
    handler = edge.service(details)
    try:
        if handler.response_streaming:
            answers = handler.stream_stream(requests, context)
            # A health watch is silent after its first answer.
            for _, answer in zip(
                range(1 if "Watch" in method else ANSWERS_MAX), answers, strict=False
            ):
                assert isinstance(answer, bytes)
            answers.close()
        else:
            assert isinstance(handler.stream_unary(requests, context), bytes)
    except Aborted:
        pass
    if context.code is None:
        return "ok"
    assert context.code is not grpc.StatusCode.INTERNAL
    status = status_pb2.Status.FromString(context.trailers["grpc-status-details-bin"])
    reason = error_details_pb2.ErrorInfo.FromString(status.details[0].value).reason
    assert reason, "no ErrorInfo"
    return str(reason)


def run(seconds: float, seed: int) -> int:
    """Send until the time is over; the number of findings."""
    outcomes, findings, count = dict[str, int](), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        edge, secret = make_edge(Path(folder))
        methods = [*edge.methods, "/no.Such/Method", "", "/", "x" * 9000, "/\ud800/\x00"]
        end = time.monotonic() + seconds
        while time.monotonic() < end and findings < 10:
            rng = random.Random(f"{seed}/{count}")
            method = rng.choice(methods)
            sent = [mutated(rng.choice(SEEDS), rng) for _ in range(rng.choice([0, 1, 1, 1, 3]))]
            try:
                outcome = send(edge, method, iter(sent), Context(hostile_metadata(secret, rng)))
                assert edge.wait_idle(0), "a place in a lane is lost"
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
