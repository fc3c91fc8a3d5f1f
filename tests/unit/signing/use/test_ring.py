"""Open keys in memory."""

from ketgate_server.signing.use.ring import Cache


def test_what_was_being_opened_when_keys_were_let_go_of_is_not_kept() -> None:
    """It may have been destroyed since, and would have stayed open until the next change of any key."""
    cache: Cache[str] = Cache(10)

    def opened() -> str:
        cache.clear()
        return "of before"

    assert cache.get("key", opened) == "of before"
    assert len(cache) == 0
    assert cache.get("key", lambda: "of now") == "of now"


def test_the_oldest_goes_and_each_is_made_once() -> None:
    cache: Cache[str] = Cache(2)
    for name in ("a", "b", "c"):
        assert cache.get(name, lambda: "first") == "first"
    assert len(cache) == 2
    assert cache.get("c", lambda: "second") == "first"
    assert cache.get("a", lambda: "second") == "second"
