"""The public keys that this user trusts, after having said so: $XDG_STATE_HOME/ketgate/key-pins.json."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ketgate._audit_pins import state_folder
from ketgate._errors import KetgateError
from ketgate._whole_file import written_whole

FORMAT = "ketgate key pins v1"


class KeyPins:
    """The file of trusted keys. Each change reads it anew and replaces it whole."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or state_folder() / "key-pins.json"

    def __contains__(self, fingerprint: str) -> bool:
        return fingerprint in self._read()

    def add(self, fingerprint: str, name: str) -> None:
        """Trust a key. name: what it was called when it was, for people."""
        keys = self._read()
        keys[fingerprint] = {"name": name, "time": datetime.now(UTC).isoformat(timespec="seconds")}
        self._write(keys)

    def _read(self) -> dict[str, Any]:
        try:
            whole = json.loads(self.path.read_bytes())
            if whole["format"] != FORMAT:
                raise ValueError(f"expected the format {FORMAT!r}")
            return dict(whole["keys"])
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self._unusable(str(error.strerror)) from None
        except (ValueError, KeyError, TypeError) as error:
            raise self._unusable(f"it cannot be read: {error}") from None

    def _write(self, keys: dict[str, Any]) -> None:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with written_whole(self.path, 0o600) as file:
                file.write(json.dumps({"format": FORMAT, "keys": keys}, indent=1).encode())
        except OSError as error:
            raise self._unusable(str(error.strerror)) from None

    def _unusable(self, why: str) -> KetgateError:
        return KetgateError(
            f"the trusted keys, {self.path}, cannot be used: {why}",
            reason="KEY_PINS_UNUSABLE",
            remedy="Set XDG_STATE_HOME to a folder of yours, or put the file back.",
        )
