"""Public test vectors, as tests/vectors/signing keeps them (its README.md tells of each)."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[3] / "vectors" / "signing"


def names() -> list[str]:
    """Of every file."""
    return sorted(path.name.removesuffix(".json.gz") for path in FOLDER.glob("*.json.gz"))


def read(name: str) -> Any:
    """A file's content."""
    return json.loads(gzip.decompress((FOLDER / f"{name}.json.gz").read_bytes()))


def tests(name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """(group, test) of a file of ACVP or Wycheproof."""
    for group in read(name)["testGroups"]:
        for test in group["tests"]:
            yield group, test


def octets(text: str) -> bytes:
    return bytes.fromhex(text)
