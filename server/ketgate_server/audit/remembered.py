"""What this server last told the log about itself, so that a change of it is an entry.

It lies in the data folder, as settings are a server's own where several share a store. Losing the
file costs an entry that says "changed" with nothing before it.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ketgate_server.audit.log import Fact
from ketgate_server.audit.recorder import SERVER, cut
from ketgate_server.files import write_whole
from ketgate_server.settings import flatten

FILE_NAME = "audit-told.json"


def settings_digest(settings: Mapping[str, Any]) -> str:
    """SHA-256 of settings, secrets masked, as hexadecimal."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


class Remembered:
    """What was told, and what is to be told now. settings: as JSON, with secrets masked."""

    def __init__(self, data_dir: Path, settings: Mapping[str, Any]) -> None:
        self._path = data_dir / FILE_NAME
        self._settings = dict(flatten(settings))

    def changes(self) -> list[Fact]:
        """Entries about what is not as it was told."""
        old = told_settings(self._path.parent)
        if old is None or old == self._settings:
            return []
        return [Fact(SERVER, "", "settings.changed", facts=_differences(old, self._settings))]

    def told(self) -> None:
        """Remember; to be called once the entries are durable. Raises OSError."""
        now = {"settings": self._settings}
        write_whole(self._path, json.dumps(now, sort_keys=True).encode())


def told_settings(data_dir: Path) -> dict[str, Any] | None:
    """The settings of the last start in a data folder, by their dotted names; None if not known."""
    try:
        return dict(json.loads((data_dir / FILE_NAME).read_bytes())["settings"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, str]:
    names = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    return {name: cut(f"{old.get(name)} -> {new.get(name)}") for name in names}
