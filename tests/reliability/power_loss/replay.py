"""Records a workload and plays it back, cut at every sync and at everything that was acknowledged."""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import ROOT, server_environment

from .check import Promises, check
from .disk import Disk, Kept, Record, read_log

COMPILER = next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), None)
SOURCE = Path(__file__).with_name("record_writes.c")


def build(folder: Path) -> Path:
    """The library that is preloaded."""
    assert COMPILER is not None
    library = folder / "record_writes.so"
    command = [COMPILER, "-O1", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True)
    return library


def record(library: Path, folder: Path, bug: str = "") -> list[Record]:
    """What the workload does to its data folder."""
    root, log = folder / "recorded", folder / "log"
    root.mkdir()
    environment = server_environment() | {
        "LD_PRELOAD": str(library),
        "KETGATE_RECORD_ROOT": str(root),
        "KETGATE_RECORD_LOG": str(log),
    }
    command = [sys.executable, "-m", "tests.reliability.power_loss.workload", str(root)]
    subprocess.run([*command, "--bug", bug], check=True, env=environment, cwd=ROOT)
    return read_log(log)


def cuts(records: list[Record]) -> Iterator[tuple[int, Kept]]:
    """Where the power fails, before which record, and what is kept of what was not synced."""
    for index, found in enumerate(records):
        if found.kind in "SD":  # in the midst of it
            yield index, Kept.ALL
            yield index, Kept.SOME
        elif found.kind == "K" and "done" in json.loads(found.first):
            yield index + 1, Kept.NOTHING
            yield index + 1, Kept.SOME


def replay(
    records: list[Record], seed: int, *, until_broken: bool = False
) -> tuple[int, list[str]]:
    """How many cuts were looked at, and what was broken."""
    disk, promises, generator = Disk(), Promises(), random.Random(seed)
    wrong: list[str] = []
    position, count = 0, 0
    for before, kept in cuts(records):
        for found in records[position:before]:
            if found.kind == "K":
                promises.add(json.loads(found.first))
            else:
                disk.take(found)
        position, count = before, count + 1
        with tempfile.TemporaryDirectory(prefix="ketgate-power-", dir=_fast_folder()) as name:
            disk.image(kept, generator, Path(name))
            found_wrong = check(Path(name), promises)
        wrong += [f"cut {before} of {len(records)}, {kept.value} kept: {w}" for w in found_wrong]
        if wrong and until_broken:
            break
    return count, wrong


def _fast_folder() -> str | None:
    """In memory, where there is such a place: what is tested here is not this disk."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
