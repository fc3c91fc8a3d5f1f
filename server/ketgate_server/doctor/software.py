"""Packages: those that the server cannot do without, and its optional parts."""

import platform
from collections.abc import Iterator
from importlib import metadata

from ketgate_server import __version__
from ketgate_server.doctor.finding import Finding, State
from ketgate_server.parts import PARTS, part_version

NEEDED = ("grpcio", "protobuf", "numpy", "scipy", "sqlalchemy", "cryptography")


def findings() -> Iterator[Finding]:
    yield Finding("server", "ketgate-server", State.FINE, __version__)
    yield Finding("server", "Python", State.FINE, platform.python_version())
    for name in NEEDED:
        yield _needed(name)
    for name, part in PARTS.items():
        version = part_version(name)
        if version is not None:
            # A part is what it does, a version is that of a package: liboqs-python's is not liboqs's.
            told = version if name == part.distribution else f"{part.distribution} {version}"
            yield Finding("parts", name, State.FINE, told)
        else:
            state = State.FAULT if name == "native" else State.ABSENT
            yield Finding("parts", name, state, part.purpose, part.install_command)


def _needed(distribution: str) -> Finding:
    try:
        return Finding("server", distribution, State.FINE, metadata.version(distribution))
    except metadata.PackageNotFoundError:
        return Finding(
            "server", distribution, State.FAULT, "not installed", f"pip install {distribution}"
        )
