"""Back-ups: one tar file with the database and the data folder's files, and what makes them whole.

A back-up is made while the server runs. Content that never changes is copied before the database,
as what a job refers to may be deleted with the job while the rest is being copied. The manifest is
the last member: a back-up that was cut off has none and is refused.
"""

import hashlib
import io
import json
import os
import re
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any

from ketgate_server import __version__
from ketgate_server.files import make_private_folder
from ketgate_server.store.database import FILE_NAME, SCHEMA_HEAD, open_database
from ketgate_server.store.errors import StoreError

FORMAT = 1
MANIFEST_FILE = "manifest.json"
MANIFEST_BYTES_MAX = 1 << 30
DUMP_FILE = "ketgate.pgdump"
BLOCK_BYTES = 1 << 20

_DATABASE_FILES = {FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm", f"{FILE_NAME}-journal"}
_LEFT_OUT = _DATABASE_FILES | {
    "migrate.lock",
    "server.lock",
    "ready.json",
    MANIFEST_FILE,
    DUMP_FILE,
}
"""Of the top of the data folder: the database, which is copied as such, and what is of a process."""

_NEVER_CHANGES = re.compile(r"(.*/)?[0-9a-f]{2}/[0-9a-f]{62}")
"""Content under its SHA-256."""


@dataclass
class Manifest:
    """What a back-up holds."""

    version: str
    """Of Ketgate, that made it."""
    dialect: str
    schema_revision: str
    create_time: str
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By path: sha256 and size_bytes."""
    format: int = FORMAT


def back_up(
    target: Path,
    data_dir: Path,
    url: str | None = None,
    *,
    finish: Callable[[Manifest], None] = lambda _: None,
) -> tuple[Path, Manifest]:
    """Write a back-up of a data folder, and of the database at url if there is one. A running server
    is not disturbed.

    target: a file that is not there, or a folder to put one in, named by the time. finish: called
    when all is written, and before the file is there. Returns the file.
    Raises StoreError, and OSError where files cannot be read or written.
    """
    if not data_dir.is_dir():
        raise StoreError(f"there is no data folder {data_dir}")
    now = datetime.now(UTC)
    if target.is_dir():
        target = target / f"ketgate-{now:%Y%m%dT%H%M%SZ}.tar"
    if target.exists():
        raise StoreError(f"{target} is there already; name another file")
    dialect = "sqlite" if url is None else "postgresql"
    manifest = Manifest(__version__, dialect, SCHEMA_HEAD, now.isoformat(timespec="seconds"))
    with tempfile.TemporaryDirectory(prefix=".ketgate-backup-", dir=target.parent) as folder:
        unfinished = Path(folder) / target.name
        with unfinished.open("xb") as file:
            os.fchmod(file.fileno(), 0o600)  # it holds keys
            with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
                writer = _Archive(tar, manifest)
                for path, name in _files(data_dir):
                    if _NEVER_CHANGES.fullmatch(name):
                        writer.add(path, name)
                writer.add(*_database(data_dir, url, Path(folder)))
                for path, name in _files(data_dir):
                    if name not in manifest.files:
                        writer.add(path, name)
                writer.end()
            file.flush()
            os.fsync(file.fileno())
        finish(manifest)
        unfinished.rename(target)  # whole or not at all
        _sync_folder(target.parent)
    return target, manifest


def restore(
    source: Path,
    data_dir: Path,
    url: str | None = None,
    *,
    finish: Callable[[Path, Manifest], None] = lambda *_: None,
) -> Manifest:
    """Make the data folder, and fill the empty database at url if the back-up is of one.

    Nothing is changed unless every file has the digest that the manifest says. finish: called with
    the folder that is about to become the data folder. Raises StoreError:
    the folder or the database is not empty, or the back-up is damaged, of a newer version, or of
    the other kind of database; and OSError.
    """
    if data_dir.exists() and (not data_dir.is_dir() or any(data_dir.iterdir())):
        raise StoreError(f"{data_dir} is not empty; restore into a folder that is, or is not there")
    make_private_folder(data_dir.parent)
    with tempfile.TemporaryDirectory(prefix=".ketgate-restore-", dir=data_dir.parent) as folder:
        unpacked = Path(folder) / "data"
        unpacked.mkdir(mode=0o700)
        manifest = _unpack(source, unpacked)
        _check(source, manifest, url)
        if url is not None:
            from ketgate_server.store import dump  # needs the extra [postgres]

            dump.load(url, unpacked / DUMP_FILE)
            (unpacked / DUMP_FILE).unlink()
        finish(unpacked, manifest)
        if data_dir.exists():
            data_dir.rmdir()
        unpacked.rename(data_dir)
        _sync_folder(data_dir.parent)
    return manifest


class _Archive:
    """A tar file that is being written, and its manifest."""

    def __init__(self, tar: tarfile.TarFile, manifest: Manifest) -> None:
        self._tar = tar
        self._manifest = manifest

    def add(self, path: Path, name: str) -> None:
        """Add a file as it is now, unless it is gone. One that grows is added as far as it is."""
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return
        with file:
            state = os.fstat(file.fileno())
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.mode = state.st_size, int(state.st_mtime), 0o600
            reader = _Hashing(file)
            self._tar.addfile(member, reader)
        digest = reader.hash.hexdigest()
        self._manifest.files[name] = {"sha256": digest, "size_bytes": member.size}

    def end(self) -> None:
        content = json.dumps(asdict(self._manifest), indent=1, sort_keys=True).encode()
        member = tarfile.TarInfo(MANIFEST_FILE)
        member.size, member.mode = len(content), 0o600
        self._tar.addfile(member, io.BytesIO(content))


class _Hashing:
    """A file that is hashed as it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(size)
        self.hash.update(content)
        return content


def _files(data_dir: Path) -> Iterator[tuple[Path, str]]:
    """The files of a data folder, by their name in the back-up. Hidden ones are being written."""
    for folder, folders, names in os.walk(data_dir):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(folder, name)
            relative = path.relative_to(data_dir).as_posix()
            if relative not in _LEFT_OUT and not name.startswith(".") and path.is_file():
                yield path, relative


def _database(data_dir: Path, url: str | None, folder: Path) -> tuple[Path, str]:
    """A copy of the database at one instant, and its name in the back-up."""
    if url is not None:
        from ketgate_server.store import dump  # needs the extra [postgres]

        copy = folder / DUMP_FILE
        dump.save(url, copy)
        return copy, DUMP_FILE
    copy = folder / FILE_NAME
    try:
        # Opened as a server does: what an older version wrote is brought up to date first.
        with closing(open_database(data_dir)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
            found = target.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        raise StoreError(f"cannot copy the store {data_dir / FILE_NAME}: {error}") from error
    if found != "ok":
        raise StoreError(f"the store {data_dir / FILE_NAME} is damaged: {found}")
    return copy, FILE_NAME


def _unpack(source: Path, folder: Path) -> Manifest:
    """Write the members of a back-up into a folder; the manifest, which they were compared with."""
    found: dict[str, dict[str, Any]] = {}
    manifest: Manifest | None = None
    try:
        with tarfile.open(source, mode="r:") as tar:
            for member in tar:
                content = tar.extractfile(member)
                if content is None or not _is_inside(member.name) or manifest is not None:
                    raise StoreError(f"{source} is no back-up: it holds {member.name!r:.100}")
                if member.name == MANIFEST_FILE:
                    manifest = _read_manifest(source, content, member.size)
                else:
                    found[member.name] = _write(folder / member.name, content)
    except tarfile.TarError as error:
        raise StoreError(f"{source} is no back-up, or damaged: {error}") from error
    if manifest is None:
        raise StoreError(f"{source} has no manifest: it was cut off, or is no back-up")
    if found != manifest.files:
        every = found.keys() | manifest.files.keys()
        names = {name for name in every if found.get(name) != manifest.files.get(name)}
        raise StoreError(f"{source} is damaged: {min(names)!r:.100} is not what was written")
    return manifest


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts


def _read_manifest(source: Path, content: IO[bytes], size: int) -> Manifest:
    try:
        if size > MANIFEST_BYTES_MAX:
            raise ValueError("it is too large")
        fields = json.loads(content.read())
        if fields["format"] != FORMAT:
            raise StoreError(
                f"{source} was written by a newer version of Ketgate ({fields['version']}); "
                "restore it with that version"
            )
        return Manifest(**fields)
    except (ValueError, TypeError, KeyError) as error:
        raise StoreError(f"{source} is damaged: its manifest cannot be read ({error})") from error


def _write(path: Path, content: IO[bytes]) -> dict[str, Any]:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    reader = _Hashing(content)
    with path.open("xb") as file:
        os.fchmod(file.fileno(), 0o600)
        shutil.copyfileobj(reader, file, BLOCK_BYTES)
        file.flush()
        os.fsync(file.fileno())
        size = file.tell()
    return {"sha256": reader.hash.hexdigest(), "size_bytes": size}


def _check(source: Path, manifest: Manifest, url: str | None) -> None:
    if manifest.schema_revision > SCHEMA_HEAD:
        raise StoreError(
            f"{source} was written by a newer version of Ketgate ({manifest.version}); "
            "restore it with that version"
        )
    if manifest.dialect == "postgresql" and url is None:
        raise StoreError(
            f"{source} is of a PostgreSQL database: set store_url to an empty one, for example with "
            "KETGATE_STORE_URL"
        )
    if manifest.dialect == "sqlite" and url is not None:
        raise StoreError(f"{source} is of a SQLite store: restore it without store_url")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
