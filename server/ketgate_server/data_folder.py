"""What a data folder holds beside the store: the lock of the one server that uses it, and the
administrator's token."""

import fcntl
import os
import re
import socket
from pathlib import Path

from ketgate_server.files import make_private_folder, write_whole
from ketgate_server.store.errors import TokenError
from ketgate_server.tokens import TokenStore, new_secret

ADMIN_TOKEN_FILE = "admin.token"  # noqa: S105 - a file's name
LOCK_FILE = "server.lock"
SERVER_ID_FILE = "server.id"
_SERVER_ID = re.compile("[0-9a-f]{16}")


class FolderInUse(Exception):  # noqa: N818 - a state of the folder
    """Another server uses the data folder; the message says which process."""


class FolderUnusable(Exception):  # noqa: N818 - a state of the folder
    """The data folder cannot be made or written to; the message says why."""


def lock_folder(data_dir: Path) -> int:
    """Make the folder where it is missing, and take it: one server a data folder. The lock ends
    with the process, so none is ever stale.

    Raises FolderInUse and FolderUnusable.
    """
    try:
        make_private_folder(data_dir)
        descriptor = os.open(data_dir / LOCK_FILE, os.O_CREAT | os.O_RDWR, 0o600)
    except (FileExistsError, NotADirectoryError):
        blocking = next(path for path in (data_dir, *data_dir.parents) if path.exists())
        raise FolderUnusable(
            f"data_dir: expected a folder, given {data_dir}, where {blocking} is a file; "
            "choose another with --data-dir"
        ) from None
    except OSError as error:
        raise FolderUnusable(
            f"data_dir: expected a folder that can be made and written to, given {data_dir}: "
            f"{error.strerror}; choose another with --data-dir"
        ) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise FolderInUse(
            f"another server (process {holder}) uses the data folder {data_dir}; "
            "stop it, or choose another folder with --data-dir"
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def admin_token(data_dir: Path, store: TokenStore) -> Path | None:
    """The administrator token's file: made with the first token, never again, as its absence may be
    the operator's wish."""
    path = data_dir / ADMIN_TOKEN_FILE
    if store.is_empty():
        # Written before it is valid: a crash between the two leaves a file that the next start
        # replaces.
        secret = new_secret()
        write_whole(path, f"{secret}\n".encode())
        try:
            store.create("admin", roles=("admin",), secret=secret)
        except TokenError:  # another server of the same database was quicker: it has the token
            path.unlink()
    return path if path.exists() else None


def server_name(data_dir: Path) -> str:
    """Name of the server of this folder among those that share a store: the host's, for people, and
    a random part that is kept in the folder, so that no two are alike."""
    path = data_dir / SERVER_ID_FILE
    try:
        identity = path.read_text(encoding="ascii").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        identity = ""
    if not _SERVER_ID.fullmatch(identity):
        identity = os.urandom(8).hex()
        write_whole(path, f"{identity}\n".encode())
    host = "".join(c if c.isalnum() else "-" for c in socket.gethostname().partition(".")[0])
    return f"{host[:40]}-{identity}"
