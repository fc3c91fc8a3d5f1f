"""Looking for secrets in whatever a server leaves: in files, databases, back-ups, logs and answers."""

import base64
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path

SHORTEST = 8


def spellings(secret: bytes) -> set[bytes]:
    """A secret as it may be written: raw, in hexadecimal, in base64 at any place of a longer text, as Python
    and JSON escape it."""
    assert len(secret) >= SHORTEST, "too short to be told from chance"
    found = {
        secret,
        secret.hex().encode(),
        secret.hex().upper().encode(),
        repr(secret)[2:-1].encode(),
    }
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + secret)
        inner = text[(0, 2, 3)[shift] : len(text) - 4]  # what neighbours do not change
        found |= {inner, inner.replace(b"+", b"-").replace(b"/", b"_")}
    found.add("".join(f"\\u{byte:04x}" for byte in secret).encode())
    return {spelling for spelling in found if len(spelling) >= SHORTEST}


def found_in(content: bytes, secrets: Mapping[str, bytes]) -> list[str]:
    """Names of the secrets that stand in a content."""
    return [
        name
        for name, secret in secrets.items()
        if any(spelling in content for spelling in spellings(secret))
    ]


def contents(folder: Path, left_out: set[Path]) -> Iterator[tuple[str, bytes]]:
    """What lies in a folder: each file as it is, and of databases each value, as long ones are torn apart in
    the file."""
    for path in sorted(folder.rglob("*")):
        if path in left_out or not path.is_file():
            continue
        yield str(path), path.read_bytes()
        if path.suffix == ".db":
            yield f"{path} (values)", b"\0".join(_values(path))


def _values(path: Path) -> Iterator[bytes]:
    connection = sqlite3.connect(path)
    try:
        tables = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'"
        ).fetchall()
        for (table,) in tables:
            for row in connection.execute(f'SELECT * FROM "{table}"'):
                for value in row:
                    yield value if isinstance(value, bytes) else str(value).encode()
    finally:
        connection.close()
