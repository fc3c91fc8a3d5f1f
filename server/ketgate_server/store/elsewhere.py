"""What a data folder says of a store that is not in it: a database by URL, without its password.

A command or a server that is started without the setting would else make an empty store in the
folder, and say that all is done.
"""

from pathlib import Path

from ketgate_server.files import write_whole
from ketgate_server.store.errors import StoreError

MARK_FILE = "store.place"


def note(data_dir: Path, place: str) -> None:
    """Keep where the store of the folder's server is. Raises OSError."""
    write_whole(data_dir / MARK_FILE, f"{place}\n".encode())


def check_here(data_dir: Path) -> None:
    """Raises StoreError where the store of the folder's server is elsewhere."""
    path = data_dir / MARK_FILE
    try:
        place = path.read_text(encoding="utf-8", errors="replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from error
    raise StoreError(
        f"store_url: expected the database that the server of {data_dir} uses, {place[:200]}, given "
        "none; set it as that server has it (KETGATE_STORE_URL, or --config FILE), or remove "
        f"{path} to begin with an empty store in the folder"
    )
