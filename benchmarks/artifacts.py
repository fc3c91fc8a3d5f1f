"""What artifacts cost: content up and down, beside a plain gRPC copy of the same bytes, in the same run.

    python benchmarks/artifacts.py [--megabytes 200] [--rounds 3] [--json FILE]

Both servers run in processes of their own, over TLS with the same certificate, and take turns. The
plain copy is grpcio's own server with one stream of 256 KiB chunks each way, to and from a file that
is synced once at its end: no checksums, no digest, no offsets, nothing durable on the way. Ours makes
every chunk durable before it answers, and hashes all of it three times: before it is sent, when it is
finished, and when it has arrived.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import grpc
import ketgate

CHUNK = 256 << 10
UP, DOWN = "/benchmark.Copy/Up", "/benchmark.Copy/Down"
START_TIMEOUT_S = 60.0
UNLIMITED = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


@dataclass
class Row:
    """One line of the table."""

    name: str
    mb_per_s: float
    of_plain: float
    """Ratio of the medians."""


class PlainCopy(grpc.GenericRpcHandler):
    """A stream to a file, and a file to a stream."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        if details.method == UP:
            return grpc.stream_unary_rpc_method_handler(self._up)
        return grpc.unary_stream_rpc_method_handler(self._down)

    def _up(self, chunks: Iterator[bytes], _: Any) -> bytes:
        with self._file.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        return b""

    def _down(self, _: bytes, __: Any) -> Iterator[bytes]:
        yield from pieces(self._file)


def pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def serve_plainly(folder: Path) -> None:
    """Serve copies until killed, and say where."""
    server = grpc.server(ThreadPoolExecutor(8), options=UNLIMITED)
    server.add_generic_rpc_handlers((PlainCopy(folder / "plain"),))
    pair = ((folder / "tls/server.key").read_bytes(), (folder / "tls/server.pem").read_bytes())
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


@contextmanager
def running(*command: str, **options: Any) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen([sys.executable, *command], text=True, **options)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def wait_for(file: Path, process: "subprocess.Popen[str]") -> None:
    end_s = time.monotonic() + START_TIMEOUT_S
    while not file.exists():
        if process.poll() is not None or time.monotonic() > end_s:
            raise RuntimeError("the server did not start")
        time.sleep(0.02)


def timed(work: Callable[[], object]) -> float:
    start_s = time.perf_counter()
    work()
    return time.perf_counter() - start_s


def measure(megabytes: int, rounds: int) -> list[Row]:
    size = megabytes * 1_000_000
    with tempfile.TemporaryDirectory(prefix="ketgate-bench-") as name:
        folder = Path(name)
        source, target, ready = folder / "source", folder / "target", folder / "ready.json"
        flags = ["--data-dir", name, "--listen", "127.0.0.1:0", "--ready-file", str(ready)]
        with (
            (folder / "log").open("w") as log,
            running("-m", "ketgate_server", *flags, stderr=log) as ours,
        ):
            wait_for(ready, ours)
            with (
                running(__file__, "--serve", name, stdout=subprocess.PIPE) as plain,
                ketgate.connect(ready_file=ready) as client,
            ):
                assert plain.stdout is not None
                credentials = grpc.ssl_channel_credentials((folder / "tls/ca.pem").read_bytes())
                address = f"127.0.0.1:{int(plain.stdout.readline())}"
                with grpc.secure_channel(address, credentials, UNLIMITED) as channel:
                    return compare(client, channel, source, target, size, rounds)


def compare(
    client: ketgate.Client,
    channel: grpc.Channel,
    source: Path,
    target: Path,
    size: int,
    rounds: int,
) -> list[Row]:
    up, down = channel.stream_unary(UP), channel.unary_stream(DOWN)

    def copy_down() -> None:
        with target.open("wb") as file:
            for chunk in down(b""):
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())

    times: dict[str, list[float]] = {}
    kept: list[ketgate.Artifact] = []
    for _ in range(rounds):
        with source.open("wb") as file:  # new content: what is there already is not sent
            for _ in range(0, size, 1 << 24):
                file.write(os.urandom(1 << 24))
            file.truncate(size)
        kept.clear()
        steps: dict[str, Callable[[], object]] = {
            "plain stream up": lambda: up(pieces(source)),
            "artifact up": lambda: kept.append(client.artifacts.upload(source)),
            "artifact up again": lambda: client.artifacts.upload(source),
            "plain stream down": copy_down,
            "artifact down": lambda: client.artifacts.download(kept[0].name, target),
        }
        for name, step in steps.items():
            times.setdefault(name, []).append(timed(step))
        client.artifacts.delete(kept[0].name)
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    return [
        Row(name, size / 1e6 / s, medians[f"plain stream {name.split()[-1]}"] / s)
        for name, s in medians.items()
        if name != "artifact up again"
    ] + [
        Row("artifact up again", size / 1e6 / medians["artifact up again"],
            medians["plain stream up"] / medians["artifact up again"])
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve is not None:
        serve_plainly(arguments.serve)
        return
    rows = measure(arguments.megabytes, arguments.rounds)
    print("| what | MB/s | of the plain copy |\n|---|---|---|")
    for row in rows:
        print(f"| {row.name} | {row.mb_per_s:,.0f} | {row.of_plain:.2f} |")
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))


if __name__ == "__main__":
    main()
