"""Signed heads of the tree."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from ketgate._merkle import HASH_BYTES
from ketgate._tree_head import SIGNING_CONTEXT, log_id

from ketgate_server.audit import convert, merkle, nodes
from ketgate_server.audit.signer import Signer
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
        self, store: Store, signer: Signer, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._clock = clock
        self._signer = signer
        self._lock = threading.Lock()
        self._last: tuple[Head, float] | None = None

    def at(self, size: int) -> Head:
        """The head of the first size entries; all of them are in the tree."""
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
        content = convert.tree_head(log_id(first), size, root, self._store.now_us())
        signature = self._signer.sign(SIGNING_CONTEXT + content)
        return Head(size, content, signature, self._signer)
