"""Where a liboqs is, and loading liboqs-python on top of it.

liboqs-python takes the first library that ctypes finds, before OQS_INSTALL_PATH, and clones and builds one from
the internet where it finds none. So the library is found and tried here, and liboqs-python is only imported once
it is sure to take that one.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib
import importlib.util
import logging
import os
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from ketgate_server.parts import PARTS

_CHECKOUT = Path(__file__).parents[4]
INSTALL_COMMAND = (
    "make liboqs"
    if (_CHECKOUT / ".ci" / "liboqs").is_file()
    else "install liboqs 0.14 or newer, and set signing.liboqs to it if the system does not find it"
)
BINDINGS_COMMAND = PARTS["liboqs"].install_command
NEEDED = (
    "OQS_version",
    "OQS_SIG_sign_with_ctx_str",
    "OQS_SIG_verify_with_ctx_str",
    "OQS_SIG_supports_ctx_str",
    "OQS_KEM_keypair_derand",
    "OQS_SIG_STFL_new",
)
"""What liboqs-python and this provider call: of liboqs 0.14 and newer; `make liboqs` adds to 0.13 what it
lacks."""

_FILE = "liboqs.so"
_once = threading.Lock()


@dataclass(frozen=True)
class Library:
    """A liboqs that can be used."""

    path: str
    """As the loader is given it: a file, or a name that the system knows."""
    version: str


class LibraryAbsent(Exception):  # noqa: N818 - a state of the machine
    """There is no liboqs that can be used, or no liboqs-python. The message says why."""

    def __init__(self, message: str, install_command: str) -> None:
        super().__init__(message)
        self.install_command = install_command


def find(named: Path | None = None, environ: Mapping[str, str] = os.environ) -> Library:
    """The library: where the settings say, or OQS_INSTALL_PATH, or the system, or build/liboqs of a checkout.

    named: the file, or a folder that has it. Only what was not named by anybody is passed over when it cannot
    be used. Raises LibraryAbsent.
    """
    if named is not None:
        return _tried(_in_folder(named), f"signing.liboqs = {named}")
    installed = environ.get("OQS_INSTALL_PATH")
    if installed:
        return _tried(_in_folder(Path(installed)), f"OQS_INSTALL_PATH = {installed}")
    refusals = []
    for path in (ctypes.util.find_library("oqs"), *_built()):
        if path is not None:
            try:
                return _tried(path, path)
            except LibraryAbsent as refusal:
                refusals.append(str(refusal))
    raise LibraryAbsent("; ".join(refusals) or "no liboqs was found", INSTALL_COMMAND)


def _in_folder(place: Path) -> str | None:
    if place.is_file():
        return str(place.absolute())
    folders = (place, place / "lib", place / "lib64")
    return next((str((f / _FILE).absolute()) for f in folders if (f / _FILE).is_file()), None)


def _built() -> Iterator[str]:
    """What `make liboqs` built, where this is a checkout."""
    made = _in_folder(_CHECKOUT / "build" / "liboqs")
    if made is not None and (_CHECKOUT / "pyproject.toml").is_file():
        yield made


def _tried(path: str | None, named: str) -> Library:
    if path is None:
        raise LibraryAbsent(f"{named}: there is no {_FILE}", INSTALL_COMMAND)
    try:
        library = ctypes.CDLL(path)
    except OSError as refusal:
        raise LibraryAbsent(f"{named}: {refusal}", INSTALL_COMMAND) from None
    lacking = [name for name in NEEDED if not hasattr(library, name)]
    if lacking:
        raise LibraryAbsent(
            f"{named}: a liboqs of 0.14 or newer is needed, and this one lacks {', '.join(lacking)}",
            INSTALL_COMMAND,
        )
    library.OQS_version.restype = ctypes.c_char_p
    return Library(path, library.OQS_version().decode("ascii", "replace"))


def load(library: Library) -> ModuleType:
    """liboqs-python over this library. Raises LibraryAbsent where it is not installed, or where this process
    already loaded it over another one."""
    with _once:
        if importlib.util.find_spec("oqs") is None:
            raise LibraryAbsent("liboqs-python is not installed", BINDINGS_COMMAND)
        try:
            ctypes.CDLL(library.path)  # else liboqs-python would set out to build one
            with _quietly(), _finding(library.path):
                oqs = importlib.import_module("oqs")
        except (Exception, SystemExit) as refusal:  # SystemExit: how it says that it found none
            raise LibraryAbsent(
                f"liboqs-python cannot be imported: {refusal}", BINDINGS_COMMAND
            ) from None
        if not hasattr(oqs, "native") or not _same(oqs.native()._name, library.path):
            raise LibraryAbsent(
                "the module oqs of this process is not liboqs-python over this library",
                BINDINGS_COMMAND,
            )
        return oqs


def _same(one: str, other: str) -> bool:
    try:
        return one == other or os.path.samefile(one, other)
    except OSError:  # a name that only the loader knows
        return False


@contextmanager
def _finding(path: str) -> Iterator[None]:
    """ctypes finds this library as "oqs": liboqs-python asks it first, and takes what it says."""
    real: Callable[[str], str | None] = ctypes.util.find_library
    ctypes.util.find_library = lambda name: path if name == "oqs" else real(name)
    try:
        yield
    finally:
        ctypes.util.find_library = real  # type: ignore[assignment]


@contextmanager
def _quietly() -> Iterator[None]:
    """Without its words on standard output, and without its warning that the versions differ: what it needs
    of the library was looked for."""
    logger = logging.getLogger("oqs.oqs")
    logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="liboqs version", category=UserWarning)
            yield
    finally:
        for handler in list(logger.handlers):
            logger.removeHandler(handler)
        logger.disabled = False
