"""State vectors: whole circuits from |0...0> to <Z_0>, beside Aer, qsim, Qulacs and lightning in the same run.

    python benchmarks/quantum/statevector.py [--n 20,22] [--threads 1,2] [--circuits random,qft] [--json FILE]

random: ten layers of a random gate on each qubit and cx on random pairs. qft: the Fourier transform of a basis state,
with its swaps. Each peer runs in a process of its own, so that its threads are its own; the median of a few runs after
a first one. Our time holds fusion and planning of the circuit, the peers' only running. The values must agree.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from statevector_peers import PEERS, Gate, installed

LAYERS, SEED = 10, 11
TOLERANCE = {"double": 1e-9, "single": 1e-4}


def random_circuit(n: int) -> list[Gate]:
    rng = np.random.default_rng(SEED)
    gates: list[Gate] = []
    for _ in range(LAYERS):
        for qubit in range(n):
            angles = rng.uniform(0.0, 2.0 * math.pi, 3)
            gates.append(("u", (qubit,), tuple(angles.tolist())))
        order = rng.permutation(n).tolist()
        pairs = zip(order[0 : 2 * (n // 2) : 2], order[1 : 2 * (n // 2) : 2], strict=True)
        gates += [("cx", pair, ()) for pair in pairs]
    return gates


def qft(n: int) -> list[Gate]:
    gates: list[Gate] = [("h", (qubit,), ()) for qubit in range(0, n, 3)]
    for qubit in reversed(range(n)):
        gates.append(("h", (qubit,), ()))
        gates += [("cp", (k, qubit), (math.pi / 2 ** (qubit - k),)) for k in range(qubit)]
    gates += [("swap", (qubit, n - 1 - qubit), ()) for qubit in range(n // 2)]
    return gates


CIRCUITS = {"random": random_circuit, "qft": qft}


def measure_one(arguments: argparse.Namespace) -> None:
    """In the process of one peer: prints a line of JSON."""
    peer = next(peer for peer in PEERS if peer.name == arguments.one)
    n, threads = int(arguments.n), int(arguments.threads)
    gates = CIRCUITS[arguments.circuits](n)
    try:
        run = peer.prepare(n, gates, threads, arguments.precision)
    except NotImplementedError as refusal:
        print(json.dumps({"refused": str(refusal)}))
        return
    value, seconds = run(), []
    for _ in range(arguments.runs):
        started = time.perf_counter()
        value = run()
        seconds.append(time.perf_counter() - started)
    print(json.dumps({"seconds": statistics.median(seconds), "value": value}))


def in_a_process(peer: str, circuit: str, n: int, threads: int, precision: str, runs: int) -> Any:
    command = [sys.executable, __file__, "--one", peer, "--circuits", circuit, "--n", str(n)]
    command += ["--threads", str(threads), "--precision", precision, "--runs", str(runs)]
    count = str(threads)
    environment = os.environ | {"OMP_NUM_THREADS": count, "QULACS_NUM_THREADS": count}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        return {"refused": (done.stderr.strip().splitlines() or ["it failed"])[-1][:100]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def measure(circuit: str, n: int, threads: int, precision: str, runs: int) -> list[dict[str, Any]]:
    rows = []
    for peer in PEERS:
        if not installed(peer.module):
            print(f"{circuit:<7} n {n} {peer.name:<10} not installed")
            continue
        found = in_a_process(peer.name, circuit, n, threads, precision, runs)
        if "refused" not in found:
            rows.append(
                {"solver": peer.name, "circuit": circuit, "n": n, "threads": threads, **found}
            )
        elif peer.name == "ketgate" or "only" not in found["refused"]:
            print(f"{circuit:<7} n {n} {peer.name:<10} {found['refused']}")
    ours = next(row for row in rows if row["solver"] == "ketgate")
    fastest = min((row["seconds"] for row in rows if row is not ours), default=math.nan)
    for row in rows:
        agrees = abs(row["value"] - ours["value"]) <= TOLERANCE[precision]
        ratio = f"{fastest / row['seconds']:6.2f}x fastest peer" if row is ours else ""
        print(
            f"{circuit:<7} n {n} {precision:<7} {threads} thread(s) {row['solver']:<10}"
            f" {1e3 * row['seconds']:10.1f} ms {ratio} {'' if agrees else 'OTHER VALUE'}",
            flush=True,
        )
        row["precision"] = precision
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", default="20,22")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--circuits", default="random,qft")
    parser.add_argument("--precision", default="double,single")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        measure_one(arguments)
        return
    rows = []
    for circuit in arguments.circuits.split(","):
        for n in map(int, arguments.n.split(",")):
            for precision in arguments.precision.split(","):
                for threads in map(int, arguments.threads.split(",")):
                    rows += measure(circuit, n, threads, precision, arguments.runs)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
