"""Servers over one PostgreSQL database hear of each other's commits without looking for them."""

import queue
from collections.abc import Iterator

import pytest
from ketgate_server.store import postgres_notices
from ketgate_server.store.database import open_store

from .test_operations import add_event

TIMEOUT_S = 100.0


@pytest.fixture
def url(postgres_server):
    return postgres_server.new_database()


@pytest.fixture
def pair(url, tmp_path, monkeypatch) -> Iterator[tuple]:
    """Two servers' stores, and what the first one hears: a word for each notice."""
    monkeypatch.setattr(postgres_notices, "RETRY_S", 0.001)
    one, other = open_store(tmp_path, url), open_store(tmp_path, url)
    heard: queue.Queue[str] = queue.Queue()
    one.listen(lambda: heard.put("notice"))
    assert heard.get(timeout=TIMEOUT_S)  # it listens, and looks at what was before
    yield one, other, heard
    one.close()
    other.close()


def test_a_revision_of_another_server_is_heard_of(pair):
    _, other, heard = pair
    other.run(add_event)
    assert heard.get(timeout=TIMEOUT_S)


def test_what_is_no_news_is_not_told(pair):
    """Its own revisions, and what took no revision; notices come in the order of commits."""
    one, other, heard = pair
    one.run(add_event)
    other.run(lambda tx: tx.take("audit"))
    other.run(add_event)
    assert heard.get(timeout=TIMEOUT_S)
    assert heard.empty()


def test_what_was_not_committed_is_not_told(pair):
    _, other, heard = pair

    def fail(tx):
        add_event(tx)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        other.run(fail)
    other.run(add_event)
    assert heard.get(timeout=TIMEOUT_S)
    assert heard.empty()


def test_a_lost_connection_is_made_again_and_what_was_missed_is_looked_for(
    pair, url, postgres_server
):
    _, other, heard = pair
    postgres_server.break_connections(url)
    assert heard.get(timeout=TIMEOUT_S)
    other.run(add_event)
    assert heard.get(timeout=TIMEOUT_S)


def test_it_ends_while_the_database_is_gone(url, tmp_path, monkeypatch):
    store = open_store(tmp_path, url)

    def refuse(_):
        raise postgres_notices.StoreUnavailable("gone")

    monkeypatch.setattr(postgres_notices.Door, "connect", refuse)
    store.listen(lambda: None)
    store.close()
