"""Files that commands write: whole or not at all, secrets for their owner only, nothing to spoil a terminal."""

import io
import stat
from pathlib import Path

import pytest
from ketgate import InvalidArgument
from ketgate._cli.files import read_file, write_file, write_output


class Output(io.TextIOWrapper):
    """A standard output, of a terminal or not."""

    def __init__(self, terminal: bool) -> None:
        super().__init__(io.BytesIO())
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    @property
    def written(self) -> bytes:
        content = self.buffer.getvalue()  # type: ignore[attr-defined]
        assert isinstance(content, bytes)
        return content


@pytest.mark.parametrize("secret", [True, False])
def test_secrets_are_for_their_owner_only(tmp_path: Path, secret: bool) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"old")
    path.chmod(0o644)
    write_file(path, b"new", secret=secret)
    assert path.read_bytes() == b"new"
    assert (stat.S_IMODE(path.stat().st_mode) == 0o600) is secret
    assert [found.name for found in tmp_path.iterdir()] == ["key"]


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"--output: .*nowhere.* cannot be written"):
        write_file(tmp_path / "nowhere" / "key", b"x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InvalidArgument, match="folder cannot be written"):
        write_file(tmp_path / "folder", b"x")
    assert [found.name for found in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize(("text", "secret"), [(False, False), (False, True), (True, True)])
def test_a_terminal_is_not_spoilt(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: bool, secret: bool
) -> None:
    monkeypatch.setattr("sys.stdout", terminal := Output(True))
    for output in (None, Path("-")):
        with pytest.raises(InvalidArgument, match="--output: expected a file"):
            write_output(b"content", output, text=text, secret=secret)
    assert terminal.written == b""
    assert write_output(b"content", tmp_path / "file", text=text, secret=secret)
    monkeypatch.setattr("sys.stdout", pipe := Output(False))
    assert not write_output(b"content", Path("-"), text=text, secret=secret)
    assert pipe.written == (b"content\n" if text else b"content")


def test_text_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", terminal := Output(True))
    write_output(b"-----BEGIN\n", None, text=True)
    assert terminal.written == b"-----BEGIN\n"


def test_files_have_a_size_that_is_checked(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert read_file(tmp_path / "file", "--file", 5) == b"12345"
    with pytest.raises(InvalidArgument, match="--file: expected at most 4 bytes"):
        read_file(tmp_path / "file", "--file", 4)
    with pytest.raises(InvalidArgument, match=r"--file: .* cannot be read"):
        read_file(tmp_path, "--file")
