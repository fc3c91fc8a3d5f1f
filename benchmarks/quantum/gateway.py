"""What the gateway costs around a simulation: time of a call over TLS less the time that the back end
says it ran.

    python benchmarks/quantum/gateway.py [--calls 500] [--rounds 8] [--backends native,aer] [--json FILE]

One server, one client in a closed loop; cases in turns, so that what else the machine does falls on
all. "floor" is GetServerInfo: what TLS, gRPC and the edge cost without a gateway. Goals: for a small
circuit on a local back end p50 below 1 ms and p99 below 10 ms.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import grpc
from ketgate.quantum.v1 import quantum_service_pb2 as pb
from ketgate.quantum.v1 import quantum_service_pb2_grpc as services
from ketgate.server.v1 import server_service_pb2, server_service_pb2_grpc

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
from edge import started  # noqa: E402 - found by the path

WARM_UP = 30
TIMEOUT_S = 120.0
HEADER = 'OPENQASM 3.0; include "stdgates.inc";\n'
BELL = HEADER + "qubit[2] q; bit[2] c; h q[0]; cx q[0], q[1]; c = measure q;"
LAYERS = HEADER + (
    "qubit[5] q; bit[5] c; for int layer in [1:4] { "
    "for int i in [0:4] { ry(0.1 * layer + 0.3 * i) q[i]; } "
    "for int i in [0:3] { cx q[i], q[i + 1]; } } c = measure q;"
)
INPUT = HEADER + "input float theta; qubit[5] q; h q; rz(theta) q; cx q[0], q[1]; h q;"


@dataclass
class Row:
    """One line of the table, in microseconds."""

    case: str
    backend: str
    call_us_p50: float
    running_us_p50: float
    overhead_us_p50: float
    overhead_us_p99: float


Case = Callable[[], float]
"""Makes one call; the seconds that its back end ran."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=500, help="calls of a round")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--backends", default="native", help="names with commas between")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with server() as (channel, metadata):
        cases = {("floor", ""): floor(channel, metadata)}
        for backend in options.backends.split(","):
            cases |= {(name, backend): case for name, case in runs(channel, metadata, backend)}
        rows = measure(cases, options.calls, options.rounds)
    print(
        f"{'case':24} {'back end':20} {'call p50':>9} {'run p50':>9} {'over p50':>9} {'over p99':>9}"
    )
    for row in rows:
        print(
            f"{row.case:24} {row.backend:20} {row.call_us_p50:9.0f} {row.running_us_p50:9.0f} "
            f"{row.overhead_us_p50:9.0f} {row.overhead_us_p99:9.0f}"
        )
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    return 0


@contextmanager
def server() -> Iterator[tuple[grpc.Channel, tuple[tuple[str, str], ...]]]:
    with tempfile.TemporaryDirectory(prefix="ketgate-gateway-") as name:
        folder = Path(name)
        ready_file = folder / "ready.json"
        command = [sys.executable, "-m", "ketgate_server", "--data-dir", str(folder / "store")]
        command += ["--listen", "127.0.0.1:0", "--ready-file", str(ready_file)]
        command += ["--log-level", "warning"]
        with started(command, ready_file, folder / "log") as ready:
            ca = Path(str(ready["ca_file"])).read_bytes()
            token = Path(str(ready["token_file"])).read_text().strip()
            credentials = grpc.ssl_channel_credentials(ca)
            with grpc.secure_channel(str(ready["address"]), credentials) as channel:
                yield channel, (("authorization", f"Bearer {token}"),)


def floor(channel: grpc.Channel, metadata: tuple[tuple[str, str], ...]) -> Case:
    stub = server_service_pb2_grpc.ServerServiceStub(channel)
    request = server_service_pb2.GetServerInfoRequest()

    def call() -> float:
        stub.GetServerInfo(request, metadata=metadata, timeout=TIMEOUT_S)
        return 0.0

    return call


def runs(
    channel: grpc.Channel, metadata: tuple[tuple[str, str], ...], backend: str
) -> Iterator[tuple[str, Case]]:
    stub = services.QuantumServiceStub(channel)

    def running_s(evidence: pb.RunEvidence) -> float:
        times = evidence.times
        return (times.running.ToNanoseconds() + times.compiling.ToNanoseconds()) / 1e9

    def circuits(program: str) -> Case:
        def call() -> float:
            spec = {"circuits": [{"openqasm": program}], "shots": 1024, "seed": 1}
            spec["backend"] = {"backend": backend}
            request = pb.RunCircuitsRequest(spec=spec)
            answer = stub.RunCircuits(request, metadata=metadata, timeout=TIMEOUT_S)
            return running_s(answer.result.evidence)

        return call

    yield "Bell, 1,024 shots", circuits(BELL)
    yield "5 qubits, 1,024 shots", circuits(LAYERS)
    turn = iter(range(10**9))

    def fresh() -> float:
        circuit = {"openqasm": INPUT, "parameters": {"theta": 1e-6 * next(turn)}}
        spec = {
            "circuits": [circuit],
            "observables": [{"terms": [{"coefficient": 1, "paulis": "ZZ"}]}],
        }
        spec["backend"] = {"backend": backend}
        request = pb.EstimateObservablesRequest(spec=spec)
        answer = stub.EstimateObservables(request, metadata=metadata, timeout=TIMEOUT_S)
        return running_s(answer.result.evidence)

    yield "expectation, new angle", fresh


def measure(cases: dict[tuple[str, str], Case], calls: int, rounds: int) -> list[Row]:
    taken: dict[tuple[str, str], list[tuple[float, float]]] = {key: [] for key in cases}
    for case in cases.values():
        for _ in range(WARM_UP):
            case()
    for _ in range(rounds):
        for key, case in cases.items():
            for _ in range(calls // rounds):
                start_s = time.perf_counter()
                running_s = case()
                taken[key].append((time.perf_counter() - start_s, running_s))
    return [row(key, times) for key, times in taken.items()]


def row(key: tuple[str, str], times: list[tuple[float, float]]) -> Row:
    over = sorted(call - running for call, running in times)
    return Row(
        *key,
        call_us_p50=1e6 * statistics.median(call for call, _ in times),
        running_us_p50=1e6 * statistics.median(running for _, running in times),
        overhead_us_p50=1e6 * statistics.median(over),
        overhead_us_p99=1e6 * over[min(len(over) - 1, round(0.99 * len(over)))],
    )


if __name__ == "__main__":
    sys.exit(main())
