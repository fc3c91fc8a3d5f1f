"""Where a liboqs is looked for, what is refused, and that liboqs-python takes it and nothing else."""

import ctypes.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ketgate_server.signing.providers import liboqs_library
from ketgate_server.signing.providers.liboqs_library import LibraryAbsent, find, load

from .subjects import provider

NOTHING: dict[str, str] = {}


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without liboqs: not in the system, not in a checkout."""
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    monkeypatch.setattr(liboqs_library, "_CHECKOUT", tmp_path)


@pytest.fixture(scope="module")
def built() -> Path:
    """The library that `make liboqs` built."""
    return Path(provider("liboqs").path)  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def other() -> str:
    """A shared library that is no liboqs."""
    found = ctypes.util.find_library("m")
    assert found is not None
    return found


@pytest.mark.usefixtures("nowhere")
def test_without_one_it_is_said_how_to_have_it() -> None:
    with pytest.raises(LibraryAbsent, match="no liboqs was found") as absent:
        find(environ=NOTHING)
    assert absent.value.install_command == "make liboqs"


def test_a_named_folder_without_it_is_told(tmp_path: Path) -> None:
    with pytest.raises(LibraryAbsent, match=r"signing\.liboqs = .*: there is no liboqs.so"):
        find(tmp_path, NOTHING)
    with pytest.raises(LibraryAbsent, match=r"OQS_INSTALL_PATH = .*: there is no liboqs.so"):
        find(environ={"OQS_INSTALL_PATH": str(tmp_path)})


def test_what_is_no_library_is_told(tmp_path: Path) -> None:
    file = tmp_path / "lib" / "liboqs.so"
    file.parent.mkdir()
    file.write_text("nothing")
    for named in (tmp_path, file):
        with pytest.raises(LibraryAbsent, match=r"signing\.liboqs"):
            find(named, NOTHING)


def test_an_older_or_other_library_is_refused_with_what_it_lacks(
    monkeypatch: pytest.MonkeyPatch, other: str, tmp_path: Path
) -> None:
    monkeypatch.setattr(liboqs_library, "_CHECKOUT", tmp_path)
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: other)
    with pytest.raises(LibraryAbsent, match=r"0\.14 or newer.*OQS_SIG_supports_ctx_str"):
        find(environ=NOTHING)


def test_one_of_the_system_that_cannot_be_used_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, other: str, built: Path, tmp_path: Path
) -> None:
    checkout = tmp_path / "checkout"
    (checkout / "build").mkdir(parents=True)
    (checkout / "build" / "liboqs").symlink_to(built.parents[1])
    (checkout / "pyproject.toml").touch()
    monkeypatch.setattr(liboqs_library, "_CHECKOUT", checkout)
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: other)
    assert find(environ=NOTHING).path == str(checkout / "build" / "liboqs" / "lib" / "liboqs.so")
    with pytest.raises(LibraryAbsent):  # but not one that somebody named
        find(environ={"OQS_INSTALL_PATH": str(tmp_path)})


def test_a_file_or_its_folder_is_taken_before_the_environment(built: Path, tmp_path: Path) -> None:
    elsewhere = {"OQS_INSTALL_PATH": str(tmp_path)}
    for named in (built, built.parent, built.parents[1]):
        found = find(named, elsewhere)
        assert Path(found.path) == built
        assert found.version.count(".") >= 1
    assert Path(find(environ={"OQS_INSTALL_PATH": str(built.parents[1])}).path) == built


def test_liboqs_python_takes_the_library_that_was_found(built: Path) -> None:
    library = find(built, NOTHING)
    first, second = load(library), load(library)
    assert first is second
    assert first.native()._name == str(built)
    assert first.oqs_version() == library.version


def test_another_library_in_the_same_process_is_refused(built: Path, tmp_path: Path) -> None:
    first = load(find(built, NOTHING))
    linked, copied = tmp_path / "linked", tmp_path / "copied"
    linked.symlink_to(built.parents[1])
    shutil.copytree(built.parents[1], copied)
    assert load(find(linked, NOTHING)) is first
    with pytest.raises(LibraryAbsent, match="not liboqs-python over this library"):
        load(find(copied, NOTHING))


SILENT = """
import sys
from pathlib import Path
from ketgate_server.signing.providers.liboqs_library import find, load
assert "oqs" not in sys.modules
load(find(Path(sys.argv[1])))
"""
GONE = """
import subprocess
from ketgate_server.signing.providers.liboqs_library import Library, LibraryAbsent, load
def run(*_arguments, **_options):
    raise SystemExit("liboqs-python would build one")
subprocess.run = run
try:
    load(Library("/nowhere/liboqs.so", "0.15.0"))
except LibraryAbsent as absent:
    print(absent)
"""


def test_it_is_loaded_without_a_word(built: Path) -> None:
    """liboqs-python tells on standard output that a handler of crashes is off, and warns of versions."""
    command = [sys.executable, "-W", "error", "-c", SILENT, str(built)]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert told.stdout == told.stderr == ""


def test_nothing_is_ever_built_by_liboqs_python() -> None:
    """Not even where the library goes away between being found and being loaded."""
    command = [sys.executable, "-c", GONE]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "cannot be imported" in told.stdout or "not installed" in told.stdout
    assert "would build" not in told.stdout
    assert not told.stderr
