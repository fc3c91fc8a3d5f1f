"""Programs beside the server: for back-ups, for clients in other languages, for tests."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ketgate_server.doctor.finding import Finding, State


@dataclass(frozen=True)
class Program:
    """One program."""

    name: str
    purpose: str
    command: str
    """That installs it; of Debian, to be run as root."""
    folders: tuple[str, ...] = ()
    """Where it lies when it is not on the path; patterns below the root."""


PROGRAMS = (
    Program(
        "pg_dump", "back-ups of a store on PostgreSQL", "apt-get install postgresql-client",
        ("usr/lib/postgresql/*/bin",),
    ),
    Program(
        "initdb", "tests on PostgreSQL", "apt-get install postgresql",
        ("usr/lib/postgresql/*/bin",),
    ),
    Program("softhsm2-util", "tests of PKCS #11 tokens", "apt-get install softhsm2"),
    Program("go", "the Go client", "apt-get install golang", ("usr/local/go/bin",)),
    Program(
        "grpcurl", "calls by hand, and tests of reflection",
        "go install github.com/fullstorydev/grpcurl/cmd/grpcurl@latest",
    ),
    Program("cargo", "building liboqs: make liboqs", "apt-get install cargo"),
    Program("cmake", "building liboqs: make liboqs", "apt-get install cmake"),
    Program("cc", "building the kernels and liboqs", "apt-get install gcc"),
)  # fmt: skip


def findings(programs: tuple[Program, ...] = PROGRAMS, root: Path = Path("/")) -> Iterator[Finding]:
    for program in programs:
        place = shutil.which(program.name) or _beside(program, root)
        if place is None:
            yield Finding(
                "programs", program.name, State.ABSENT, f"for {program.purpose}", program.command
            )
        else:
            yield Finding("programs", program.name, State.FINE, place)


def _beside(program: Program, root: Path) -> str | None:
    for folder in program.folders:
        for place in sorted(root.glob(f"{folder}/{program.name}"), reverse=True):
            if os.access(place, os.X_OK):
                return str(place)
    return None
