"""The proving side of RFC 9162, section 2.1: roots and proofs of any size out of stored nodes, and
what nodes new leaves make.

A node (level, number) is the complete subtree over leaves number * 2^level and on, 2^level of them.
Only complete ones are stored, as these never change; what a proof needs of an incomplete one is
folded from those that it consists of.
"""

from collections.abc import Callable, Iterable, Sequence

from ketgate._merkle import EMPTY_ROOT, fold, node_hash

Node = tuple[int, int]
"""(level, number)."""

NodeSource = Callable[[Sequence[Node]], Sequence[bytes]]
"""The hashes of stored nodes, in the order asked for. Asked once for a proof."""

Growth = tuple[int, int, list[bytes]]
"""(level, number of the first, hashes): nodes that came to be."""


def root(source: NodeSource, size: int) -> bytes:
    """Root of the first size leaves (2.1.1)."""
    if size == 0:
        return EMPTY_ROOT
    return _fetch(source, [_subtrees(0, size)])[0]


def inclusion_proof(source: NodeSource, index: int, size: int) -> list[bytes]:
    """PATH of leaf index in the tree of the first size leaves (2.1.3.1); 0 <= index < size."""
    if not 0 <= index < size:
        raise ValueError(f"expected an index below the size {size}, given {index}")
    ranges = []
    begin, end = 0, size
    while end - begin > 1:
        middle = _split(begin, end)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((begin, middle))
            begin = middle
    return _fetch(source, [_subtrees(*r) for r in reversed(ranges)])


def consistency_proof(source: NodeSource, old_size: int, new_size: int) -> list[bytes]:
    """PROOF that the tree of new_size leaves begins with that of old_size (2.1.4.1); empty for the
    empty tree and for the tree itself."""
    if not 0 <= old_size <= new_size:
        raise ValueError(f"expected an old size of at most {new_size}, given {old_size}")
    if old_size in (0, new_size):
        return []
    ranges = []
    begin, end = 0, new_size
    while old_size != end:
        middle = _split(begin, end)
        if old_size <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((begin, middle))
            begin = middle
    if begin:  # otherwise it is the earlier tree as a whole, whose root the verifier has
        ranges.append((begin, end))
    return _fetch(source, [_subtrees(*r) for r in reversed(ranges)])


def grow(size: int, leaves: Iterable[bytes], edge: Callable[[int, int], bytes]) -> list[Growth]:
    """The nodes above the leaves that come to be when leaves (hashes) are added to a tree of this
    size; level by level from 1, as far as there are any. edge: the hash of a stored node, asked for
    at most once a level."""
    grown: list[Growth] = []
    level, first, hashes = 0, size, list(leaves)
    while hashes:
        if first & 1:
            first -= 1
            hashes = [edge(level, first), *hashes]
        level, first = level + 1, first >> 1
        pairs = iter(hashes)
        hashes = [node_hash(left, right) for left, right in zip(pairs, pairs, strict=False)]
        if hashes:
            grown.append((level, first, hashes))
    return grown


def _split(begin: int, end: int) -> int:
    """Where RFC 9162 divides the leaves begin to end: after the largest power of two below their
    count."""
    return begin + (1 << ((end - begin - 1).bit_length() - 1))


def _subtrees(begin: int, end: int) -> list[Node]:
    """The complete subtrees that leaves begin to end consist of, the largest first. begin is a
    multiple of a power of two that is not below their count, as it is for what _split gives."""
    nodes = []
    while begin < end:
        level = (end - begin).bit_length() - 1
        nodes.append((level, begin >> level))
        begin += 1 << level
    return nodes


def _fetch(source: NodeSource, groups: Sequence[Sequence[Node]]) -> list[bytes]:
    """The hash over each group of subtrees."""
    found = iter(source([node for group in groups for node in group]))
    return [fold([next(found) for _ in group]) for group in groups]
