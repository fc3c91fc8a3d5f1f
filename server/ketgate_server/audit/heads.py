"""Signed heads of the tree."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from ketgate._merkle import HASH_BYTES
from ketgate._tree_head import SIGNING_CONTEXT, log_id

from ketgate_server.audit import convert, keys, merkle, nodes
from ketgate_server.audit.signer import Reopen, Signer
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.store.base import Store

KEPT_S = 1.0
"""How long a head is given again while the tree does not grow; then it is signed anew, as its time
tells that the server still vouches for it."""


@dataclass(frozen=True)
class Head:
    """A signed head."""

    size: int
    tree_head: bytes
    """Bytes of a TreeHead, as signed."""
    signature: bytes
    signer: Signer


class Heads:
    """Makes heads. Threads may share it."""

    def __init__(
        self,
        store: Store,
        signer: Signer,
        reopen: Reopen,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """reopen: the signer of another key, which signs since a server of this store rotated."""
        self._store = store
        self._clock = clock
        self._signer = signer
        self._reopen = reopen
        self._lock = threading.Lock()
        self._last: tuple[Head, float] | None = None

    def at(self, size: int) -> Head:
        """The head of the first size entries; all of them are in the tree. Raises KEY_UNUSABLE when
        the key that signs by now is not to be had."""
        with self._lock:
            if self._last is not None:
                head, made_s = self._last
                if head.size == size and self._clock() - made_s < KEPT_S:
                    return head
            head = self._make(size)
            self._last = head, self._clock()
            return head

    def _make(self, size: int) -> Head:
        with self._store.read() as reader:
            first = nodes.commitments(reader, 0, 1)[0] if size else bytes(HASH_BYTES)
            root = merkle.root(nodes.StoredNodes(reader), size)
            active = keys.active(reader)
        if active not in ("", self._signer.key_id):
            self._signer = self._other(active)
        content = convert.tree_head(log_id(first), size, root, self._store.now_us())
        signature = self._signer.sign(SIGNING_CONTEXT + content)
        return Head(size, content, signature, self._signer)

    def _other(self, key_id: str) -> Signer:
        signer = self._reopen(key_id)
        if signer is None:
            raise KetgateError(
                Reason.KEY_UNUSABLE,
                f"the log is signed by the key {key_id[:16]} since that was rotated, and this server "
                "does not have it: its operator is to start it with the settings of the one that has",
            )
        return signer
