"""Files with secrets: read only where nobody but their owner can."""

import os
import stat
from pathlib import Path

from ketgate_server.signing.kek.errors import KeyStoreSealed, SecretMissing
from ketgate_server.signing.kek.wiping import wipe

SECRET_BYTES_MAX = 4096


def read_secret(path: Path, what: str, setting: str) -> bytearray:
    """The content of a secret's file, the caller's to overwrite.

    what: the secret's name in messages; setting: that which names the file. Raises KeyStoreSealed for a
    file that others can read, that is not ours, or cannot be read; SecretMissing where there is none.
    """
    try:
        # Not blocking: a pipe without a writer would hang the start.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise SecretMissing(
            f"{what} {path} is not there; put it back from a copy, or say with the setting {setting} "
            "where it is"
        ) from None
    except OSError as error:
        raise KeyStoreSealed(
            f"{what} {path} cannot be read: {error.strerror}; see the setting {setting}"
        ) from error
    try:
        _check(os.fstat(descriptor), path, what, setting)
        content = bytearray(SECRET_BYTES_MAX + 1)
        count = 0
        while count < len(content):
            more = os.readv(descriptor, [memoryview(content)[count:]])
            if more == 0:
                break
            count += more
    finally:
        os.close(descriptor)
    if count > SECRET_BYTES_MAX:
        wipe(content)
        raise KeyStoreSealed(
            f"{what} {path}: expected at most {SECRET_BYTES_MAX} bytes; is it another file? "
            f"See the setting {setting}"
        )
    secret = content[:count]
    wipe(content)
    return secret


def read_text(path: Path, what: str, setting: str) -> str:
    """The content of a secret's file as text, without the end of its line. Raises KeyStoreSealed."""
    content = read_secret(path, what, setting)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise KeyStoreSealed(f"{what} {path}: expected text in UTF-8") from None
    finally:
        wipe(content)
    return text.removesuffix("\n").removesuffix("\r")


def _check(state: os.stat_result, path: Path, what: str, setting: str) -> None:
    if not stat.S_ISREG(state.st_mode):
        raise KeyStoreSealed(f"{what} {path} is no file; see the setting {setting}")
    if state.st_uid != os.geteuid():
        raise KeyStoreSealed(
            f"{what} {path} belongs to user {state.st_uid}, and the server runs as {os.geteuid()}; "
            f"expected a file of the server's own: chown {os.geteuid()} {path}"
        )
    if state.st_mode & 0o077:
        raise KeyStoreSealed(
            f"{what} {path} can be used by others (mode {stat.S_IMODE(state.st_mode):04o}); "
            f"expected 0600: chmod 600 {path}, and weigh whether it is still secret"
        )
