"""Ising annealing: spin updates per second, values reached in a time limit, and time to a best known value, beside
dwave-samplers and openjij in the same run.

    python benchmarks/ising.py [--instances DIR] [--times 1,10] [--runs 3] [--json FILE]

DIR holds gset/ and orlib_bqp/; without it the few instances of tests/instances are used. One thread, pinned to one core
where the system allows. An update is one spin visited in one replica. Peers get two anneals of half the time each, with
sweeps from a calibration; building their model is not counted. Values are recomputed here from the spins.
"""

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from ising_instances import BEST_KNOWN, Instance, load
from ising_peers import PEERS, dwave_tabu_to, installed, rate, within
from ketgate_native.ising import Ising, anneal, search
from ketgate_native.monitor import Monitor

SETS = {
    "isa": ("base", "avx2", "avx512"),
    "rate": ("G22", "G55"),
    "value": ("G22", "G43", "G55", "G70"),
}
TO_TARGET = ("bqp1000_1", "bqp250_1")
GOALS = {
    ("G22", 1.0): 13358,
    ("G22", 10.0): 13359,
    ("G43", 1.0): 6660,
    ("G55", 1.0): 10280,
    ("G55", 10.0): 10296,
    ("G70", 10.0): 9575,
}
GOAL_RATE, GOAL_TARGET_S, SEEDS = 2e8, 0.2, 10
SWEEPS, PEER_SWEEPS, LIMIT_S = 1000, 3000, 5.0


def problem_of(instance: Instance) -> Ising:
    return Ising(instance.linear, instance.row, instance.col, instance.weight, instance.offset)


def pin() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def measure_rates(instance: Instance, runs: int) -> list[dict[str, Any]]:
    problem, rows = problem_of(instance), []
    for isa in SETS["isa"]:
        try:
            anneal(problem, sweeps=1, isa=isa)
        except ValueError:
            print(f"{instance.name:<10} ketgate {isa:<10} this CPU lacks it")
            continue
        rates = []
        for seed in range(runs):
            started = time.perf_counter()
            found = anneal(problem, sweeps=SWEEPS, replicas=32, seed=seed, isa=isa)
            rates.append(found.stats["work"] / (time.perf_counter() - started))
        rows.append({"solver": f"ketgate {isa}", "updates_per_s": statistics.median(rates)})
    for peer in PEERS:
        if installed(peer.module):
            rows.append(
                {"solver": peer.name, "updates_per_s": rate(peer, instance, PEER_SWEEPS, runs)}
            )
        else:
            print(f"{instance.name:<10} {peer.name:<18} not installed")
    best_peer = max(
        (r["updates_per_s"] for r in rows if "ketgate" not in r["solver"]), default=None
    )
    for row in rows:
        row["instance"] = instance.name
        ratio = f"{row['updates_per_s'] / best_peer:8.1f}x best peer" if best_peer else ""
        met = "goal met" if row["updates_per_s"] >= GOAL_RATE else ""
        print(
            f"{instance.name:<10} {row['solver']:<18} {row['updates_per_s']:12.3g} updates/s {ratio} {met}"
        )
    return rows


def measure_values(instance: Instance, limit_s: float, runs: int) -> list[dict[str, Any]]:
    problem, values, seconds = problem_of(instance), [], []
    for seed in range(runs):
        monitor = Monitor(instance.spins, time_limit_s=limit_s)
        started = time.perf_counter()
        found = search(problem, seed=seed, monitor=monitor)
        seconds.append(time.perf_counter() - started)
        values.append(instance.value(found.spins[0]))
    rows: list[dict[str, Any]] = [{"solver": "ketgate", "values": values, "seconds": max(seconds)}]
    for peer in PEERS:
        if installed(peer.module):
            value, taken = within(peer, instance, limit_s, 7)
            rows.append({"solver": peer.name, "values": [value], "seconds": taken})
    best, goal = BEST_KNOWN.get(instance.name), GOALS.get((instance.name, limit_s))
    for row in rows:
        row |= {
            "instance": instance.name,
            "limit_s": limit_s,
            "value": statistics.median(row["values"]),
        }
        print(
            f"{instance.name:<10} {limit_s:>5g} s {row['solver']:<16} median {row['value']:9.0f}"
            f" of {' '.join(f'{v:.0f}' for v in sorted(row['values'])):<20} best known {best}"
            f" goal {goal or '-'} used {row['seconds']:.2f} s"
        )
    return rows


def measure_time_to(instance: Instance) -> list[dict[str, Any]]:
    best = BEST_KNOWN[instance.name]
    problem, ours, rows = problem_of(instance), [], []
    for seed in range(SEEDS):
        monitor = Monitor(instance.spins, time_limit_s=LIMIT_S, target=-best)
        started = time.perf_counter()
        found = search(problem, seed=seed, monitor=monitor)
        reached = instance.value(found.spins[0]) >= best
        ours.append(time.perf_counter() - started if reached else float("inf"))
    rows.append({"solver": "ketgate", "seconds": ours})
    if installed("dwave.samplers"):
        theirs = [dwave_tabu_to(instance, best, LIMIT_S, seed) for seed in range(SEEDS)]
        rows.append({"solver": "dwave tabu", "seconds": theirs})
    for row in rows:
        ninth = float(np.sort(row["seconds"])[SEEDS - 2])
        row |= {"instance": instance.name, "value": best, "ninth_of_ten_s": ninth}
        median = statistics.median(row["seconds"])
        print(
            f"{instance.name:<10} to {best}: {row['solver']:<12} median {median:8.4f} s,"
            f" ninth of {SEEDS} {ninth:8.4f} s (goal {GOAL_TARGET_S} s)"
        )
    return rows


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--instances", type=Path)
    arguments.add_argument("--times", default="1,10", help="seconds, comma-separated")
    arguments.add_argument("--runs", type=int, default=3)
    arguments.add_argument("--json", type=Path)
    given = arguments.parse_args()
    pin()
    found = {
        name: instance
        for name in dict.fromkeys((*SETS["rate"], *SETS["value"], *TO_TARGET))
        if (instance := load(name, given.instances)) is not None
    }
    missing = {*SETS["rate"], *SETS["value"], *TO_TARGET} - set(found)
    if missing:
        print(f"not at hand (give --instances DIR): {', '.join(sorted(missing))}")
    results: dict[str, list[dict[str, Any]]] = {"rates": [], "values": [], "time_to_best_known": []}
    print(f"\nSpin updates per second, one core; goal {GOAL_RATE:.0e}")
    for name in [name for name in SETS["rate"] if name in found] or list(found)[:1]:
        results["rates"] += measure_rates(found[name], given.runs)
    print("\nValue reached within a time limit")
    for limit_s in map(float, given.times.split(",")):
        for name in [name for name in SETS["value"] if name in found]:
            results["values"] += measure_values(found[name], limit_s, given.runs)
    print("\nTime to the best known value")
    for name in [name for name in TO_TARGET if name in found]:
        results["time_to_best_known"] += measure_time_to(found[name])
    if given.json:
        given.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
