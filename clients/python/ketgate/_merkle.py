"""Merkle trees as RFC 9162, section 2.1, defines them: hashes, and the verifying of proofs.

Nothing here trusts what it is given: a proof of the wrong length or order is simply false.
"""

from collections.abc import Sequence
from hashlib import sha256

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()
LEAF_PREFIX = b"\x00"
NODE_PREFIX = b"\x01"


def leaf_hash(content: bytes) -> bytes:
    """Hash of a leaf (2.1.1): of a log's entry, content is its commitment."""
    return sha256(LEAF_PREFIX + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of a node above two others (2.1.1)."""
    return sha256(NODE_PREFIX + left + right).digest()


def fold(hashes: Sequence[bytes]) -> bytes:
    """Root over complete subtrees that stand side by side, each smaller than the one before; that
    of the empty tree for none."""
    if not hashes:
        return EMPTY_ROOT
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root)
    return root


class GrowingTree:
    """A tree that leaves are added to, of which only the right edge is kept.

    >>> tree = GrowingTree()
    >>> tree.append(leaf_hash(b"one"))
    >>> tree.root() == leaf_hash(b"one"), tree.size
    (True, 1)
    """

    def __init__(self) -> None:
        self.size = 0
        self.edge: list[bytes] = []
        """Its complete subtrees, the largest first."""

    def append(self, leaf: bytes) -> None:
        """leaf: a leaf's hash."""
        self.append_subtree(leaf, 1)

    def append_subtree(self, node: bytes, leaves: int) -> None:
        """Add a complete subtree, of as many leaves, a power of two that divides the size."""
        below = self.size // leaves
        while below & 1:
            node = node_hash(self.edge.pop(), node)
            below >>= 1
        self.edge.append(node)
        self.size += leaves

    def root(self) -> bytes:
        """Root of what was added so far."""
        return fold(self.edge)


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> bool:
    """Whether the proof shows that a leaf (its hash) is number index in the tree of this size and
    root (2.1.3.2)."""
    if not 0 <= index < size:
        return False
    number, last, node = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if number & 1 or number == last:
            node = node_hash(sibling, node)
            while number and not number & 1:
                number >>= 1
                last >>= 1
        else:
            node = node_hash(node, sibling)
        number >>= 1
        last >>= 1
    return last == 0 and node == root


def verify_consistency(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether the proof shows that the later tree begins with the earlier one (2.1.4.2). Every tree
    begins with the empty one and with itself, which takes no proof."""
    if not 0 <= old_size <= new_size:
        return False
    if old_size == 0 and old_root != EMPTY_ROOT:
        return False
    if old_size == new_size and old_root != new_root:
        return False
    if old_size in (0, new_size):
        return not proof
    path = list(proof)
    if old_size & (old_size - 1) == 0:
        path.insert(0, old_root)  # a complete subtree of the later tree, and known to the verifier
    if not path:
        return False
    number, last = old_size - 1, new_size - 1
    while number & 1:
        number >>= 1
        last >>= 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if number & 1 or number == last:
            old = node_hash(sibling, old)
            new = node_hash(sibling, new)
            while number and not number & 1:
                number >>= 1
                last >>= 1
        else:
            new = node_hash(new, sibling)
        number >>= 1
        last >>= 1
    return last == 0 and old == old_root and new == new_root
