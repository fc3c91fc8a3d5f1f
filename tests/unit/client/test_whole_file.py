"""Writing a file by a draft that takes its place. It once took the place of /dev/stdout: `ketgate sign -o /dev/stdout`,
run by root, left a regular file there, for every program of the machine."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ketgate import InvalidArgument
from ketgate._artifact_calls import Part
from ketgate._cli.files import write_file
from ketgate._document import SignedDocument
from ketgate._whole_file import written_whole
from ketgate.signing.v1 import signature_pb2

ARTIFACT = "artifacts/" + "a" * 64


def save_document(path: Path) -> None:
    SignedDocument(signature_pb2.SignedDocument(title="content")).save(path)


def save_bytes(path: Path) -> None:
    write_file(path, b"content")


WRITERS = pytest.mark.parametrize("write", [save_document, save_bytes])


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A pipe with a name, and its reading end."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield path, reading
    os.close(reading)


@WRITERS
@pytest.mark.parametrize("linked", [True, False])
def test_a_pipe_is_written_to_and_stays(
    pipe: tuple[Path, int], tmp_path: Path, write: Callable[[Path], None], linked: bool
) -> None:
    path, reading = pipe
    if linked:  # as /dev/stdout is
        path = tmp_path / "stdout"
        path.symlink_to("pipe")
    write(path)
    assert stat.S_ISFIFO(path.stat().st_mode)
    assert path.is_symlink() is linked
    assert b"content" in os.read(reading, 1 << 16)


@WRITERS
def test_a_link_stays_and_its_file_is_replaced(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "old").write_bytes(b"old")
    link = tmp_path / "link"
    link.symlink_to("folder/old")
    write(link)
    assert link.is_symlink()
    assert b"content" in (folder / "old").read_bytes()
    assert sorted(found.name for found in folder.iterdir()) == ["old"]


def test_what_failed_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    writing = written_whole(path)
    writing.__enter__().write(b"half of it")
    error = ZeroDivisionError()
    assert not writing.__exit__(ZeroDivisionError, error, None)
    assert path.read_bytes() == b"old"
    assert [found.name for found in tmp_path.iterdir()] == ["file"]


def test_two_writers_of_one_process_do_not_meet(tmp_path: Path) -> None:
    """Both had one draft: the second failed, and took the first one's away. So did a draft that a killed process of the
    same number left behind, as in containers, where it is always 1."""
    path = tmp_path / "file"
    with written_whole(path) as first:
        first.write(b"first")
        with written_whole(path) as second:
            second.write(b"second")
        assert path.read_bytes() == b"second"
    assert path.read_bytes() == b"first"
    assert [found.name for found in tmp_path.iterdir()] == ["file"]


def test_a_download_does_not_take_the_place_of_a_device(pipe: tuple[Path, int]) -> None:
    # it goes on after a cut, for which what arrived must be there to be read
    with pytest.raises(InvalidArgument, match=r"expected a file, given .*pipe") as caught:
        Part(pipe[0], ARTIFACT)
    assert caught.value.field == "path"
    assert stat.S_ISFIFO(pipe[0].stat().st_mode)
