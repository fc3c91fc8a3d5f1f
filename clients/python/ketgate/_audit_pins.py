"""What this user saw of audit logs before: a server that rewrites one has to explain itself.

A log is known by its name, with the key that signs it and the last heads; a server by its address
and its private authority, with the log that it had. The file is $XDG_STATE_HOME/ketgate/
audit-pins.json.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from ketgate._audit_entry import Seen, TreeHead
from ketgate._connect import Endpoint
from ketgate._errors import KetgateError
from ketgate._whole_file import written_whole

HEADS_MAX = 16
"""Heads kept of a log: more tell better where a change is."""
EARLIER_KEYS_MAX = 64

FORMAT = "ketgate audit pins v1"


@dataclass(frozen=True)
class LogPin:
    """What was seen of a log."""

    key_id: str
    heads: tuple[Seen, ...]
    """By size, the largest last; at least one."""
    earlier_key_ids: tuple[str, ...] = ()
    """Keys that signed before and vouched for the next, oldest first."""

    def has_seen(self, size: int, root: bytes) -> bool:
        """Whether this very head was seen."""
        return any((one.size, one.root) == (size, root) for one in self.heads)


class Pins:
    """The file of pins. Each change reads it anew and replaces it whole."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or default_path()

    def log(self, log_id: str) -> LogPin | None:
        """What was seen of a log."""
        told = self._read()["logs"].get(log_id)
        if told is None:
            return None
        try:
            heads = tuple(
                Seen(int(size), bytes.fromhex(root), datetime.fromisoformat(time))
                for size, root, time in told["heads"]
            )
            heads[-1]  # there is one
            earlier = tuple(str(key_id) for key_id in told.get("earlier_key_ids", ()))
            return LogPin(str(told["key_id"]), heads, earlier)
        except (IndexError, KeyError, TypeError, ValueError) as error:
            raise self._unusable(f"what it says of log {log_id} cannot be read: {error}") from None

    def log_of(self, server: str) -> str | None:
        """Name of the log that a server had; see server_name()."""
        told = self._read()["servers"].get(server)
        return None if told is None else str(told)

    def add(self, server: str, head: TreeHead, followed: Iterable[str] = ()) -> None:
        """Remember a head that was found consistent with what was known. followed: keys that led from the
        known one to the head's, without that."""
        whole = self._read()
        pin = whole["logs"].setdefault(head.log_id, {"heads": []})
        pin["key_id"] = head.key_id
        earlier = dict.fromkeys([*pin.get("earlier_key_ids", ()), *followed])
        if earlier:
            pin["earlier_key_ids"] = list(earlier)[-EARLIER_KEYS_MAX:]
        others = [item for item in pin["heads"] if item[0] != head.size]
        newest = [head.size, head.root.hex(), head.time.isoformat()]
        pin["heads"] = sorted([*others, newest])[-HEADS_MAX:]
        whole["servers"][server] = head.log_id
        self._write(whole)

    def forget(self, server: str, log_id: str) -> None:
        """Forget what is known of a server and of a log."""
        whole = self._read()
        whole["servers"].pop(server, None)
        whole["logs"].pop(log_id, None)
        self._write(whole)

    def _read(self) -> dict[str, Any]:
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return {"format": FORMAT, "logs": {}, "servers": {}}
        except OSError as error:
            raise self._unusable(str(error.strerror)) from None
        try:
            whole = json.loads(content)
        except ValueError as error:
            raise self._unusable(f"it is no JSON: {error}") from None
        if (
            not isinstance(whole, dict)
            or whole.get("format") != FORMAT
            or not isinstance(whole.get("logs"), dict)
            or not isinstance(whole.get("servers"), dict)
        ):
            raise self._unusable(f"expected the format {FORMAT!r}")
        return whole

    def _write(self, whole: dict[str, Any]) -> None:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with written_whole(self.path, 0o600) as file:
                file.write(json.dumps(whole, indent=1).encode())
        except OSError as error:
            raise self._unusable(str(error.strerror)) from None

    def _unusable(self, why: str) -> KetgateError:
        return KetgateError(
            f"the pins of audit logs, {self.path}, cannot be used: {why}",
            reason="AUDIT_PINS_UNUSABLE",
            remedy="Set XDG_STATE_HOME to a folder of yours, or put the file back; without it, a "
            "rewritten log cannot be told from a new one.",
        )


def state_folder() -> Path:
    """Where this package keeps what it is to remember for this user."""
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "ketgate"


def default_path() -> Path:
    """Where this user's pins are."""
    return state_folder() / "audit-pins.json"


def server_name(endpoint: Endpoint) -> str:
    """A server as it is known: its address, and its authority where that is a private one."""
    if endpoint.insecure or endpoint.ca_certificates is None:
        return endpoint.address
    return f"{endpoint.address} {sha256(endpoint.ca_certificates).hexdigest()[:16]}"
