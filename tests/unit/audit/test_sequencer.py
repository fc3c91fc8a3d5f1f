"""The tree holds every durable entry once, whoever adds it and whenever they die."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest
from ketgate._merkle import GrowingTree, leaf_hash
from ketgate_server.audit import merkle, nodes
from ketgate_server.audit.nodes import LogIncomplete, StoredNodes
from ketgate_server.audit.sequencer import LEASE, LEASE_US, Sequencer, position
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.store.base import Store, StoreUnavailable, Transaction

from tests.unit.audit.conftest import append

T = TypeVar("T")


def roots(store: Store) -> tuple[int, bytes, bytes]:
    """The size of the tree, its root by its nodes, and by its entries."""
    with store.read() as reader:
        size = position(reader)
        growing = GrowingTree()
        for commitment in nodes.commitments(reader, 0, size):
            growing.append(leaf_hash(commitment))
        return size, merkle.root(StoredNodes(reader), size), growing.root()


def lease(store: Store) -> tuple[str, int]:
    with store.read() as reader:
        row = reader.row("SELECT holder, until_us FROM leases WHERE name = ?", (LEASE,))
    assert row is not None
    return row[0], row[1]


@pytest.mark.parametrize("batch", [1, 3, 255, 256, 257, 10_000])
def test_the_tree_is_that_of_the_entries(store: Store, batch: int) -> None:
    sequencer = Sequencer(store, "one", batch=batch)
    total = 0
    for count in (1, 1, 2, 5, 247, 1, 260, 511, 3):
        append(store, count)
        total += count
        assert sequencer.catch_up(60.0) == total
        size, stored, expected = roots(store)
        assert (size, stored) == (total, expected)


def test_no_node_is_stored_twice_or_beyond_its_place(store: Store, sequencer: Sequencer) -> None:
    append(store, 1000)
    sequencer.catch_up(60.0)
    with store.read() as reader:
        held = reader.rows("SELECT level, block, hashes FROM audit_nodes")
    by_level: dict[int, int] = {}
    for level, _, hashes in held:
        assert len(hashes) <= 256 * 32
        by_level[level] = by_level.get(level, 0) + len(hashes) // 32
    assert by_level == {level: 1000 >> level for level in range(1, 10)}


def test_an_empty_log_has_an_empty_tree(store: Store, sequencer: Sequencer) -> None:
    assert sequencer.catch_up(1.0) == 0
    assert sequencer.add() == 0
    sequencer.add_all()


class Dying:
    """A store whose process dies at a chosen step: every later step fails too."""

    def __init__(self, store: Store, step: int) -> None:
        self._store = store
        self._left = step
        self.dead = False

    def _step(self) -> None:
        self._left -= 1
        if self._left < 0:
            self.dead = True
            raise StoreUnavailable("killed")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def read(self) -> Any:
        self._step()
        return self._store.read()

    def run(self, operation: Callable[[Transaction], T]) -> T:
        self._step()  # before: nothing was committed
        done = self._store.run(operation)
        self._step()  # after: it was, and nobody heard
        return done


@pytest.mark.parametrize("step", range(14))
def test_killed_at_any_step_the_next_one_goes_on(store: Store, step: int) -> None:
    append(store, 300)
    dying = Dying(store, step)

    def live() -> None:
        while True:
            Sequencer(dying, "first", batch=100).catch_up(60.0)  # type: ignore[arg-type]
            append(store, 1)

    with pytest.raises(StoreUnavailable, match="killed"):
        live()
    assert dying.dead
    with store.read() as reader:
        wanted = nodes.durable_size(reader)
    assert Sequencer(store, "second", batch=77).catch_up(60.0) == wanted
    size, stored, expected = roots(store)
    assert (size, stored) == (wanted, expected)


def test_an_operation_that_fails_leaves_nothing_of_itself(store: Store) -> None:
    append(store, 10)

    class Failing:
        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        def run(self, operation: Callable[[Transaction], T]) -> T:
            def then_fails(tx: Transaction) -> T:
                operation(tx)
                raise RuntimeError("the disk is full")

            return store.run(then_fails)

    with pytest.raises(Exception, match="the disk is full"):
        Sequencer(Failing(), "one").add()  # type: ignore[arg-type]
    with store.read() as reader:
        assert position(reader) == 0
        assert reader.row("SELECT 1 FROM audit_nodes") is None
    assert Sequencer(store, "one").add() == 10


def test_what_another_added_meanwhile_is_not_added_again(store: Store) -> None:
    append(store, 10)
    other = Sequencer(store, "two", batch=7)

    class Interrupted:
        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        def run(self, operation: Callable[[Transaction], T]) -> T:
            assert other.add() == 7
            return store.run(operation)

    assert Sequencer(Interrupted(), "one", batch=4).add() == 7  # type: ignore[arg-type]
    assert other.catch_up(60.0) == 10
    size, stored, expected = roots(store)
    assert (size, stored) == (10, expected)


def test_many_sequencers_at_once(store: Store) -> None:
    sequencers = [Sequencer(store, f"server-{i}", batch=50) for i in range(4)]

    def work(number: int) -> int:
        for _ in range(10):
            append(store, 13)
            size = sequencers[number].catch_up(60.0)
        return size

    with ThreadPoolExecutor(4) as pool:
        assert max(pool.map(work, range(4))) == 4 * 10 * 13
    size, stored, expected = roots(store)
    assert (size, stored) == (520, expected)


def test_a_head_covers_what_was_durable_when_it_was_asked_for(store: Store) -> None:
    """Also while another server holds the lease and does nothing."""
    one, two = Sequencer(store, "one"), Sequencer(store, "two")
    append(store, 5)
    one.add_all()
    append(store, 5)
    two.add_all()
    with store.read() as reader:
        assert position(reader) == 5  # left to the holder
    assert two.catch_up(60.0) == 10
    assert lease(store)[0] == "one"


def test_a_lease_that_ran_out_is_taken_over(store: Store) -> None:
    one, two = Sequencer(store, "one"), Sequencer(store, "two")
    append(store, 5)
    one.add_all()
    append(store, 5)
    expired = store.now_us() - 1
    store.run(lambda tx: tx.execute("UPDATE leases SET until_us = ?", (expired,)))
    two.add_all()
    holder, until_us = lease(store)
    assert (holder, roots(store)[0]) == ("two", 10)
    assert expired < until_us <= store.now_us() + LEASE_US


def test_the_background_stops_when_told_and_yields_to_the_writer(store: Store) -> None:
    sequencer = Sequencer(store, "one", batch=1)
    append(store, 5)
    answers = iter([False, False, True])
    sequencer.add_all(lambda: next(answers))
    assert roots(store)[0] == 2

    class Full:
        has_room = False

        def __getattr__(self, name: str) -> Any:
            raise AssertionError(name)

    Sequencer(Full(), "one").add_all()  # type: ignore[arg-type]


def test_catching_up_has_a_limit(store: Store) -> None:
    append(store, 5)
    with pytest.raises(KetgateError, match="4 entries behind") as caught:
        Sequencer(store, "one", batch=1).catch_up(0.0)
    assert caught.value.reason is Reason.SERVER_BUSY
    assert caught.value.retry_after_s


def test_an_entry_that_was_taken_out_is_named(store: Store, sequencer: Sequencer) -> None:
    append(store, 10)
    store.run(lambda tx: tx.execute("DELETE FROM audit_entries WHERE idx = 4"))
    with pytest.raises(LogIncomplete, match="lacks its entry 4"):
        sequencer.add()


def test_nodes_that_were_taken_out_are_named(store: Store, sequencer: Sequencer) -> None:
    append(store, 300)
    sequencer.catch_up(60.0)
    store.run(lambda tx: tx.execute("DELETE FROM audit_nodes WHERE level = 1 AND block = 0"))
    with store.read() as reader, pytest.raises(LogIncomplete, match="entries 2 to 3"):
        merkle.inclusion_proof(StoredNodes(reader), 0, 300)
    append(store, 4)
    with pytest.raises(LogIncomplete, match="lacks nodes of level 1, block 0"):
        sequencer.add()
