"""What a data folder says of artifacts that are not in it, so that who is told of the folder and not
of the setting, as `ketgate backup` may be, knows of them."""

from pathlib import Path

from ketgate_server.files import write_whole

MARK_FILE = "artifacts.place"


def note(data_dir: Path, url: str) -> None:
    """Keep where the content of the folder's server lies. Raises OSError."""
    if noted(data_dir) != url:
        write_whole(data_dir / MARK_FILE, f"{url}\n".encode())


def noted(data_dir: Path) -> str | None:
    """Where it lies, if the server was ever told another place. Raises OSError."""
    try:
        return (data_dir / MARK_FILE).read_text(encoding="utf-8", errors="replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
