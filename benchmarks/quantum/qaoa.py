"""QAOA on weighted 3-regular cuts: time a layer and memory beside lightning and qsim in the same run; gradients; one
layer in closed form.

    python benchmarks/quantum/qaoa.py [--n 12,16,20] [--threads 1,2] [--precisions c128,c64] [--json FILE]

Time a layer is (t(10 layers) - t(1 layer)) / 9, the best of a few runs each: set-up and the expectation drop out. Each
peer runs in a process of its own. Cut values must agree. Goals: PRECISION, n, threads -> ms a layer.
"""

import argparse
import importlib.util
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ketgate_native.qaoa import Qaoa
from ketgate_native.qaoa_p1 import ClosedForm
from numpy.typing import NDArray
from qaoa_angles import regular
from qaoa_peers import PEERS

GOALS_MS = {
    ("c128", 12, 1): 0.04,
    ("c128", 16, 1): 0.8,
    ("c128", 20, 1): 10.0,
    ("c128", 24, 2): 220.0,
    ("c64", 24, 2): 110.0,
}
GOAL_GRADIENT, GOAL_CLOSED_MS = 4.0, 1.0
TOLERANCE = {"c128": 1e-9, "c64": 2e-4}
RUNS, LAYERS, SEED = 5, 10, 7


def problem(n: int) -> tuple[list[tuple[int, int]], NDArray[np.float64]]:
    rng = np.random.default_rng(SEED)
    edges = [(int(i), int(j)) for i, j in regular(n, 3, rng)]
    return edges, rng.uniform(0.0, 1.0, len(edges))


def angles(layers: int) -> NDArray[np.float64]:
    steps = (np.arange(layers) + 0.5) / layers
    return np.array([0.6 * steps, 0.7 * (1.0 - steps)])


def best_s(run: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    run()
    times = []
    for _ in range(RUNS):
        started = clock()
        run()
        times.append(clock() - started)
    return min(times)


def measure_one(arguments: argparse.Namespace) -> None:
    """In the process of one peer: prints a line of JSON."""
    edges, weights = problem(int(arguments.n))
    prepare, _ = PEERS[arguments.one]
    try:
        evaluate = prepare(
            int(arguments.n), edges, weights, int(arguments.threads), arguments.precisions
        )
    except NotImplementedError as refusal:
        print(json.dumps({"refused": str(refusal)}))
        return
    one, many = angles(1), angles(LAYERS)
    seconds = best_s(lambda: evaluate(*many)) - best_s(lambda: evaluate(*one))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    row = {"layer_ms": 1e3 * seconds / (LAYERS - 1), "value": evaluate(*many), "peak_gb": peak}
    print(json.dumps(row))


def in_a_process(peer: str, n: int, threads: int, precision: str) -> Any:
    command = [sys.executable, __file__, "--one", peer, "--n", str(n), "--threads", str(threads)]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    command += ["--precisions", precision]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        return {"refused": (done.stderr.strip().splitlines() or ["it failed"])[-1][:100]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def measure(n: int, threads: int, precision: str) -> list[dict[str, Any]]:
    rows = []
    for name, (_, module) in PEERS.items():
        at = f"n {n:<3} {precision:<5} {threads} thread(s) {name:<22}"
        if importlib.util.find_spec(module) is None:
            print(f"{at} not installed")
            continue
        found = in_a_process(name, n, threads, precision)
        if "refused" in found:
            print(f"{at} {found['refused']}")
        else:
            row = {"solver": name, "n": n, "threads": threads, "precision": precision}
            rows.append(row | found)
    others = [r["layer_ms"] for r in rows if not r["solver"].startswith("ketgate")]
    goal = GOALS_MS.get((precision, n, threads))
    for row in rows:
        ours = row["solver"].startswith("ketgate")
        agrees = abs(row["value"] - rows[0]["value"]) <= TOLERANCE[precision] * n
        ratio = f"{min(others) / row['layer_ms']:7.1f}x best peer" if ours and others else ""
        met = (
            ""
            if not (ours and goal)
            else f"goal {goal} " + ("met" if row["layer_ms"] <= goal else "MISSED")
        )
        print(
            f"n {n:<3} {precision:<5} {threads} thread(s) {row['solver']:<22} {row['layer_ms']:10.4f} ms a layer"
            f" {row['peak_gb']:5.2f} GB {ratio} {met} {'' if agrees else 'OTHER VALUE'}",
            flush=True,
        )
    return rows


def measure_extras(n: int) -> list[dict[str, Any]]:
    """The gradient in evaluations, and the closed form."""
    edges, weights = problem(n)
    ends = np.array(edges)
    couplings = np.zeros(n), ends[:, 0], ends[:, 1], weights
    rows: list[dict[str, Any]] = []
    at = angles(LAYERS)
    for fold in (True, False):
        state = Qaoa(*couplings, fold=fold)
        # One thread: its processor time, so that other work on the machine does not count.
        gradient_s = best_s(lambda s=state: s.gradient(*at), time.process_time)
        ratio = gradient_s / best_s(lambda s=state: s.expectation(*at), time.process_time)
        rows.append({"n": n, "fold": fold, "gradient_in_evaluations": ratio})
        print(
            f"n {n:<3} gradient of {2 * LAYERS} angles, {'half' if fold else 'whole'} state: {ratio:.2f} evaluations"
            f" (goal {GOAL_GRADIENT})"
        )
    form = ClosedForm(*couplings)
    closed_ms = 1e3 * best_s(lambda: form.value(0.3, -0.4))
    rows.append({"n": n, "closed_form_ms": closed_ms})
    print(f"n {n:<3} one layer in closed form: {closed_ms:.4f} ms (goal {GOAL_CLOSED_MS})")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--n", default="12,16,20")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--precisions", default="c128,c64")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        measure_one(arguments)
        return
    rows = []
    for n in map(int, arguments.n.split(",")):
        for precision in arguments.precisions.split(","):
            for threads in map(int, arguments.threads.split(",")):
                rows += measure(n, threads, precision)
        rows += measure_extras(n)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
