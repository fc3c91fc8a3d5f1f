"""Roots and proofs: the vectors that every Certificate Transparency implementation is tested with, and
the recursive definitions of RFC 9162, section 2.1, as the oracle of any size."""

import random
from collections.abc import Sequence
from functools import cache
from hashlib import sha256

import pytest
from ketgate._merkle import (
    EMPTY_ROOT,
    GrowingTree,
    fold,
    leaf_hash,
    node_hash,
    verify_consistency,
    verify_inclusion,
)
from ketgate_server.audit import merkle

SIZE = 300

# github.com/google/certificate-transparency, merkletree/merkle_tree_test.cc; hashes as of SHA-256.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
PATHS = {
    (0, 1): [],
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
CONSISTENCIES = {
    (1, 1): [],
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}


class Oracle:
    """RFC 9162, 2.1.1, 2.1.3.1 and 2.1.4.1, word for word, over leaves[begin:end]."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.leaves = leaves
        self.mth = cache(self._mth)

    def _mth(self, begin: int, end: int) -> bytes:
        n = end - begin
        if n == 0:
            return sha256(b"").digest()
        if n == 1:
            return sha256(b"\x00" + self.leaves[begin]).digest()
        k = largest_power_below(n)
        return sha256(b"\x01" + self.mth(begin, begin + k) + self.mth(begin + k, end)).digest()

    def path(self, m: int, begin: int, end: int) -> list[bytes]:
        n = end - begin
        if n == 1:
            return []
        k = largest_power_below(n)
        if m < k:
            return [*self.path(m, begin, begin + k), self.mth(begin + k, end)]
        return [*self.path(m - k, begin + k, end), self.mth(begin, begin + k)]

    def proof(self, m: int, n: int) -> list[bytes]:
        return self._subproof(m, 0, n, True)

    def _subproof(self, m: int, begin: int, end: int, whole: bool) -> list[bytes]:
        n = end - begin
        if m == n:
            return [] if whole else [self.mth(begin, end)]
        k = largest_power_below(n)
        if m <= k:
            return [*self._subproof(m, begin, begin + k, whole), self.mth(begin + k, end)]
        return [*self._subproof(m - k, begin + k, end, False), self.mth(begin, begin + k)]


def largest_power_below(n: int) -> int:
    k = 1
    while 2 * k < n:
        k *= 2
    return k


class Tree:
    """What merkle.grow() made of leaves, kept by node, level 0 too."""

    def __init__(self) -> None:
        self.nodes: dict[merkle.Node, bytes] = {}
        self.size = 0

    def extend(self, contents: Sequence[bytes]) -> None:
        leaves = [leaf_hash(content) for content in contents]
        grown = merkle.grow(self.size, leaves, lambda *node: self.nodes[node])
        for level, first, hashes in [(0, self.size, leaves), *grown]:
            for number, value in enumerate(hashes, first):
                assert (level, number) not in self.nodes  # what is stored never changes
                self.nodes[level, number] = value
        self.size += len(leaves)

    def source(self, nodes: Sequence[merkle.Node]) -> list[bytes]:
        return [self.nodes[node] for node in nodes]


@pytest.fixture(scope="module")
def contents() -> list[bytes]:
    return [sha256(b"%d" % i).digest() for i in range(5000)]


@pytest.fixture(scope="module")
def oracle(contents: list[bytes]) -> Oracle:
    return Oracle(contents)


@pytest.fixture(scope="module")
def tree(contents: list[bytes]) -> Tree:
    """Grown in steps of every size up to 20, and then as it comes."""
    generator, grown = random.Random(1), Tree()
    for step in [*range(1, 21), *(generator.randint(1, 900) for _ in range(100))]:
        grown.extend(contents[grown.size : grown.size + step])
    assert grown.size == len(contents)
    return grown


def hexes(hashes: Sequence[bytes]) -> list[str]:
    return [value.hex() for value in hashes]


def test_the_reference_vectors() -> None:
    tree, growing = Tree(), GrowingTree()
    assert growing.root().hex() == ROOTS[0] == EMPTY_ROOT.hex()
    tree.extend(LEAVES)
    for size, leaf in enumerate(LEAVES, 1):
        growing.append(leaf_hash(leaf))
        assert growing.root().hex() == ROOTS[size]
        assert merkle.root(tree.source, size).hex() == ROOTS[size]
    for (index, size), path in PATHS.items():
        assert hexes(merkle.inclusion_proof(tree.source, index, size)) == path
    for (old, new), proof in CONSISTENCIES.items():
        assert hexes(merkle.consistency_proof(tree.source, old, new)) == proof


def test_every_root_and_inclusion_proof_up_to_300(tree: Tree, oracle: Oracle) -> None:
    for size in range(SIZE + 1):
        root = merkle.root(tree.source, size)
        assert root == oracle.mth(0, size)
        step = 1 if size <= 40 else 7
        for index in {*range(0, size, step), *range(max(0, size - 2), size)}:
            proof = merkle.inclusion_proof(tree.source, index, size)
            assert proof == oracle.path(index, 0, size)
            leaf = leaf_hash(oracle.leaves[index])
            assert verify_inclusion(leaf, index, size, proof, root)


def test_every_consistency_proof_up_to_300(tree: Tree, oracle: Oracle) -> None:
    for new in range(SIZE + 1):
        step = 1 if new <= 40 else 7
        for old in {*range(0, new + 1, step), *range(max(0, new - 2), new + 1)}:
            proof = merkle.consistency_proof(tree.source, old, new)
            assert proof == (oracle.proof(old, new) if old else [])
            assert verify_consistency(old, oracle.mth(0, old), new, oracle.mth(0, new), proof)


def test_larger_trees_at_random(tree: Tree, oracle: Oracle) -> None:
    generator = random.Random(2)
    for _ in range(300):
        size = generator.randint(1, tree.size)
        index, old = generator.randrange(size), generator.randint(1, size)
        assert merkle.root(tree.source, size) == oracle.mth(0, size)
        assert merkle.inclusion_proof(tree.source, index, size) == oracle.path(index, 0, size)
        assert merkle.consistency_proof(tree.source, old, size) == oracle.proof(old, size)


def mutations(proof: list[bytes]) -> list[list[bytes]]:
    """Proofs that are a little off."""
    other = sha256(b"other").digest()
    wrong = [[*proof, other], [other, *proof]]
    wrong += [[*proof[:i], other, *proof[i + 1 :]] for i in range(len(proof))]
    wrong += [proof[:i] + proof[i + 1 :] for i in range(len(proof))]
    wrong += [[*proof[:i], proof[i + 1], proof[i], *proof[i + 2 :]] for i in range(len(proof) - 1)]
    return wrong


def test_a_wrong_inclusion_proof_is_false(tree: Tree, oracle: Oracle) -> None:
    for size in (1, 2, 3, 7, 8, 13, 64, 100):
        root = oracle.mth(0, size)
        for index in {0, size // 2, size - 1}:
            proof = merkle.inclusion_proof(tree.source, index, size)
            leaf = leaf_hash(oracle.leaves[index])
            for wrong in mutations(proof):
                assert not verify_inclusion(leaf, index, size, wrong, root)
            assert not verify_inclusion(leaf_hash(b"other"), index, size, proof, root)
            assert not verify_inclusion(leaf, index, size, proof, leaf_hash(b"other"))
            for elsewhere in {*range(size)} - {index}:
                assert not verify_inclusion(leaf, elsewhere, size, proof, root)
            assert not verify_inclusion(leaf, size, size, proof, root)
            assert not verify_inclusion(leaf, -1, size, proof, root)


def test_a_wrong_consistency_proof_is_false(tree: Tree, oracle: Oracle) -> None:
    for new in (1, 2, 3, 7, 8, 13, 64, 100):
        later = oracle.mth(0, new)
        for old in {1, new // 2 or 1, new - 1 or 1, new}:
            earlier = oracle.mth(0, old)
            proof = merkle.consistency_proof(tree.source, old, new)
            assert verify_consistency(old, earlier, new, later, proof)
            for wrong in mutations(proof):
                assert not verify_consistency(old, earlier, new, later, wrong)
            rewritten = node_hash(earlier, earlier)
            assert not verify_consistency(old, rewritten, new, later, proof)
            assert not verify_consistency(old, earlier, new, rewritten, proof)
            assert not verify_consistency(new + 1, earlier, new, later, proof)


def test_only_the_empty_root_is_consistent_with_no_leaves(oracle: Oracle) -> None:
    later = oracle.mth(0, 5)
    assert verify_consistency(0, EMPTY_ROOT, 5, later, [])
    assert not verify_consistency(0, later, 5, later, [])
    assert not verify_consistency(0, EMPTY_ROOT, 5, later, [later])
    assert not verify_consistency(0, EMPTY_ROOT, 0, later, [])


def test_subtrees_append_as_their_leaves_do(tree: Tree, oracle: Oracle) -> None:
    growing = GrowingTree()
    for number in range(5):
        growing.append_subtree(tree.nodes[8, number], 256)
    growing.append(leaf_hash(oracle.leaves[1280]))
    assert growing.root() == oracle.mth(0, 1281)
    assert fold([]) == EMPTY_ROOT


def test_proofs_beyond_the_tree_are_refused(tree: Tree) -> None:
    with pytest.raises(ValueError, match="below the size 5, given 5"):
        merkle.inclusion_proof(tree.source, 5, 5)
    with pytest.raises(ValueError, match="at most 5, given 6"):
        merkle.consistency_proof(tree.source, 6, 5)
