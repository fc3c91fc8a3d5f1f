"""What the audit log costs: entries recorded, entries added to the tree, proofs out of a large one.

    python benchmarks/audit.py [--entries 1000000] [--callers 64] [--json FILE]

In process, on SQLite in a temporary folder, every commit synced to disk. Beside it, in the same run,
what is written instead where there is no such log: a table whose rows hash the row before (a chain),
one transaction an entry. Goals: 20,000 entries recorded a second by 64 callers, each waiting until its
own is durable; 20,000 a second added to the tree; a proof out of 1,000,000 entries in 1 ms.
"""

import argparse
import hashlib
import json
import random
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from ketgate._merkle import leaf_hash, verify_consistency, verify_inclusion
from ketgate_server.audit import log, merkle, nodes
from ketgate_server.audit.log import Fact
from ketgate_server.audit.nodes import StoredNodes
from ketgate_server.audit.sequencer import Sequencer
from ketgate_server.store.base import Store, Transaction
from ketgate_server.store.database import open_store

ROUNDS = 5
ROUND_S = 1.0
PROOFS = 2_000
FILL_BATCH = 1_000


@dataclass
class Row:
    """One line of the table."""

    name: str
    measured: float
    unit: str
    goal: str = ""


def fact(number: int) -> Fact:
    return Fact(
        "desk-1",
        "default",
        "/ketgate.jobs.v1.JobService/CreateJob",
        resource=f"jobs/{number:026d}",
        request_digest=bytes(32),
        call_id=f"{number:032x}",
    )


def appends(store: Store, callers: int) -> float:
    """Entries a second, each caller waiting for its own."""

    def one(number: int) -> None:
        written = fact(number)
        store.run(lambda tx: log.record_many(tx, (written,)))

    return together(callers, one)


def appends_beside_effects(store: Store, callers: int) -> float:
    """As appends, with all that wait given to one operation, as jobs are created."""

    def operation(tx: Transaction, facts: list[Fact]) -> list[int]:
        first = log.record_many(tx, facts)
        return list(range(first, first + len(facts)))

    return together(callers, lambda number: store.run_batched(operation, fact(number)))


def together(callers: int, one: Callable[[int], object]) -> float:
    """Calls a second of so many threads."""
    counts = [0] * callers
    end_s = time.perf_counter() + ROUND_S

    def work(caller: int) -> None:
        while time.perf_counter() < end_s:
            one(counts[caller])
            counts[caller] += 1

    threads = [threading.Thread(target=work, args=(caller,)) for caller in range(callers)]
    start_s = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - start_s)


def chain(connection: sqlite3.Connection) -> float:
    """Entries a second of a hash chain in a table, one transaction an entry."""
    last, count, start_s = bytes(32), 0, time.perf_counter()
    while time.perf_counter() - start_s < ROUND_S:
        payload = json.dumps({"actor": "desk-1", "resource": f"jobs/{count:026d}"})
        last = hashlib.sha256(last + payload.encode()).digest()
        connection.execute("INSERT INTO chain (hash, payload) VALUES (?, ?)", (last, payload))
        count += 1
    return count / (time.perf_counter() - start_s)


def open_chain(folder: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(folder / "chain.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE chain (id INTEGER PRIMARY KEY, hash BLOB, payload TEXT)")
    return connection


def recording(store: Store, folder: Path, callers: int) -> list[Row]:
    """In turns, so that what else the machine does falls on all; the median of the rounds."""
    connection = open_chain(folder)
    rounds = [
        (appends(store, callers), appends_beside_effects(store, callers), chain(connection))
        for _ in range(ROUNDS)
    ]
    connection.close()
    one_by_one, with_effect, chained = (
        statistics.median(rates) for rates in zip(*rounds, strict=True)
    )
    name = f"{callers} callers"
    return [
        Row(f"recorded, {name}", one_by_one, "entries/s", "20,000"),
        Row(f"recorded with their effect, {name}", with_effect, "entries/s", "20,000"),
        Row("a hash chain in a table, one by one", chained, "entries/s"),
        Row("recorded with their effect / hash chain", with_effect / chained, "times"),
    ]


def fill(store: Store, entries: int) -> None:
    with store.read() as reader:
        begin = nodes.durable_size(reader)
    for start in range(begin, entries, FILL_BATCH):
        facts = [fact(number) for number in range(start, min(start + FILL_BATCH, entries))]
        store.run(lambda tx, facts=facts: log.record_many(tx, facts))  # type: ignore[misc]


def proofs(store: Store, size: int) -> dict[str, list[float]]:
    """Milliseconds of each, the read of the store included; every proof is verified."""
    generator = random.Random(1)
    taken: dict[str, list[float]] = {"inclusion": [], "consistency": []}
    with store.read() as reader:
        root = merkle.root(StoredNodes(reader), size)
    for _ in range(PROOFS):
        index, old = generator.randrange(size), generator.randint(1, size)
        start_s = time.perf_counter()
        with store.read() as reader:
            path = merkle.inclusion_proof(StoredNodes(reader), index, size)
        taken["inclusion"].append((time.perf_counter() - start_s) * 1e3)
        start_s = time.perf_counter()
        with store.read() as reader:
            proof = merkle.consistency_proof(StoredNodes(reader), old, size)
        taken["consistency"].append((time.perf_counter() - start_s) * 1e3)
        with store.read() as reader:
            leaf = leaf_hash(nodes.commitments(reader, index, index + 1)[0])
            old_root = merkle.root(StoredNodes(reader), old)
        assert verify_inclusion(leaf, index, size, path, root)
        assert verify_consistency(old, old_root, size, root, proof)
    return taken


def measure(entries: int, callers: int) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="ketgate-bench-") as name:
        store = open_store(Path(name) / "store")
        rows = recording(store, Path(name), callers)
        fill(store, entries)
        sequencer = Sequencer(store, "benchmark")
        start_s, cpu_s = time.perf_counter(), time.process_time()
        size = sequencer.catch_up(600.0)
        seconds, cpu = time.perf_counter() - start_s, time.process_time() - cpu_s
        rows.append(Row("added to the tree", size / seconds, "entries/s", "20,000"))
        rows.append(Row("processor time of that, an entry", cpu / size * 1e6, "us"))
        for kind, taken in proofs(store, size).items():
            p50, p99 = np.percentile(taken, [50, 99]).tolist()
            rows.append(Row(f"{kind} proof out of {size:,}, p50", p50, "ms", "1"))
            rows.append(Row(f"{kind} proof out of {size:,}, p99", p99, "ms", "1"))
        store.close()
        used = sum(file.stat().st_size for file in (Path(name) / "store").iterdir())
        rows.append(Row("on disk, an entry with its nodes", used / size, "bytes"))
        return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--callers", type=int, default=64)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = measure(arguments.entries, arguments.callers)
    print("| what | measured | unit | goal |\n|---|---|---|---|")
    for row in rows:
        figure = f"{row.measured:,.0f}" if row.measured >= 100 else f"{row.measured:.2f}"
        print(f"| {row.name} | {figure} | {row.unit} | {row.goal} |")
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))


if __name__ == "__main__":
    main()
