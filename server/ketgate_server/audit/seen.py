"""The newest state of the log that this server knows to be durable, in its data folder beside the store: a
store that was put back to an older copy has a log that does not continue it.

It is never ahead of the store. Restoring a back-up leaves it out, as that is meant to go back.
"""

import json
from pathlib import Path

from ketgate._merkle import HASH_BYTES
from ketgate._tree_head import log_id

from ketgate_server.audit import merkle, nodes, sequencer
from ketgate_server.files import write_whole
from ketgate_server.store.base import Reader, Store

FILE_NAME = "audit-seen.json"


class Seen:
    """The file, written as the tree grows."""

    def __init__(self, data_dir: Path, store: Store) -> None:
        self._path = data_dir / FILE_NAME
        self._store = store
        self._size = 0

    def update(self) -> int:
        """Remember the tree as it is now, if it has grown; its size. Raises OSError."""
        with self._store.read() as reader:
            size = sequencer.position(reader)
            if size <= self._size:
                return self._size
            state = _state(reader, size)
        write_whole(self._path, json.dumps(state).encode())
        self._size = size
        return size


def fault(reader: Reader, data_dir: Path) -> str:
    """How the log is not a continuation of what was seen of it; empty where it is, or nothing was."""
    try:
        seen = json.loads((data_dir / FILE_NAME).read_bytes())
        size, name = int(seen["size"]), str(seen["log_id"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    have = nodes.durable_size(reader)
    if have < size:
        return f"the audit log has {have} entries, and had {size} when this server last saw it"
    in_tree = sequencer.position(reader)
    if in_tree < size:
        return (
            f"the audit's tree has {in_tree} entries, and had {size} when this server last saw it"
        )
    try:
        if _state(reader, size) == seen:
            return ""
    except nodes.LogIncomplete as error:
        return str(error)
    return f"the first {size} entries of the audit log {name} are not those that this server saw"


def forget(data_dir: Path) -> None:
    """The store was put back on purpose. Raises OSError."""
    (data_dir / FILE_NAME).unlink(missing_ok=True)


def _state(reader: Reader, size: int) -> dict[str, object]:
    first = bytes(nodes.commitments(reader, 0, 1)[0]) if size else bytes(HASH_BYTES)
    root = merkle.root(nodes.StoredNodes(reader), size)
    return {"log_id": log_id(first), "size": size, "root": root.hex()}
