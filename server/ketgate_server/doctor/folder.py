"""The data folder and the files that the settings name: whether a server could use them, and nobody else read the
secrets in them."""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from ketgate_server.data_folder import ADMIN_TOKEN_FILE, LOCK_FILE
from ketgate_server.doctor.finding import Finding, State
from ketgate_server.settings import Settings

TOPIC = "data folder"
FREE_BYTES_MIN = 256 << 20
SECRET_FOLDERS = {"keys": "*", "tls": "*.key"}
FILES_MAX = 1_000


def findings(settings: Settings) -> Iterator[Finding]:
    folder = settings.data_dir
    yield from _folder(folder)
    if _is_folder(folder):
        for secret in _secrets(folder):
            yield from _secret(secret, str(secret.relative_to(folder)))
        yield from _holder(folder)
    for setting, path in _named(settings):
        if path is not None:
            yield from _secret(path, setting)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _folder(folder: Path) -> Iterator[Finding]:
    nearest = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    other = "choose another with --data-dir"
    if not nearest.is_dir():
        yield Finding(TOPIC, "data_dir", State.FAULT, f"{folder}: {nearest} is a file", other)
        return
    if not os.access(nearest, os.R_OK | os.W_OK | os.X_OK):
        told = f"{folder}: {nearest} cannot be written to"
        yield Finding(TOPIC, "data_dir", State.FAULT, told, other)
        return
    free = shutil.disk_usage(nearest).free
    if free < FREE_BYTES_MIN:
        told = (
            f"{folder}: {free / 1e6:,.0f} MB are free; a server needs {FREE_BYTES_MIN / 1e6:,.0f}"
        )
        yield Finding(TOPIC, "data_dir", State.FAULT, told, other)
        return
    if nearest is not folder:
        yield Finding(TOPIC, "data_dir", State.FINE, f"{folder}: made by the first start")
        return
    state = folder.stat()
    if state.st_uid != os.geteuid():
        told = f"{folder} belongs to user {state.st_uid}, and this is user {os.geteuid()}"
        yield Finding(TOPIC, "data_dir", State.FAULT, told, f"chown -R {os.geteuid()} {folder}")
    elif state.st_mode & 0o077:
        told = f"{folder} is open to others (mode {stat.S_IMODE(state.st_mode):04o})"
        yield Finding(TOPIC, "data_dir", State.FAULT, told, f"chmod 700 {folder}")
    else:
        yield Finding(TOPIC, "data_dir", State.FINE, f"{folder}: {free / 1e9:,.1f} GB free")


def _secrets(folder: Path) -> Iterator[Path]:
    found = [folder / ADMIN_TOKEN_FILE]
    for name, pattern in SECRET_FOLDERS.items():
        found += sorted((folder / name).glob(pattern))[:FILES_MAX]
    yield from (path for path in found if path.is_file())


def _named(settings: Settings) -> Iterator[tuple[str, Path | None]]:
    signing = settings.signing
    yield "tls_key_file", settings.tls_key_file
    yield "audit_key_file", settings.audit_key_file
    for name in (
        "kek_file",
        "passphrase_file",
        "previous_kek_file",
        "previous_passphrase_file",
    ):
        yield f"signing.{name}", getattr(signing, name)
    yield "signing.pkcs11.pin_file", signing.pkcs11.pin_file


def _secret(path: Path, name: str) -> Iterator[Finding]:
    """A file that only the server may read. Its content is not."""
    try:
        state = path.stat()
    except OSError as error:
        remedy = f"put {path} back, or name another"
        yield Finding(TOPIC, name, State.FAULT, f"{path}: {error.strerror}", remedy)
        return
    if not os.access(path, os.R_OK):
        told, remedy = f"{path} cannot be read by this user", f"chown {os.geteuid()} {path}"
        yield Finding(TOPIC, name, State.FAULT, told, remedy)
    elif state.st_mode & 0o077:
        told = f"{path} can be used by others (mode {stat.S_IMODE(state.st_mode):04o})"
        remedy = f"chmod 600 {path}, and weigh whether it is still secret"
        yield Finding(TOPIC, name, State.FAULT, told, remedy)
    else:
        yield Finding(TOPIC, name, State.FINE, "private")


def _holder(folder: Path) -> Iterator[Finding]:
    """The server that holds the folder, as far as can be told without taking its lock."""
    try:
        process = int((folder / LOCK_FILE).read_text(encoding="ascii").strip())
        os.kill(process, 0)
    except (OSError, ValueError):
        yield Finding(TOPIC, "server", State.FINE, "none runs on it")
    else:
        yield Finding(TOPIC, "server", State.FINE, f"process {process} runs on it")
