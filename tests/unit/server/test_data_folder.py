"""The administrator's token of servers that start on one empty database at the same moment."""

from ketgate_server.data_folder import admin_token
from ketgate_server.tokens import TokenStore


class Late(TokenStore):
    """Looked before the other server made its token."""

    def is_empty(self) -> bool:
        return True


def test_of_two_servers_that_start_together_one_has_the_token(store, tmp_path):
    """The second did not start, and left a file with a token that nobody knew."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    first = admin_token(tmp_path / "first", TokenStore(store, "server"))
    assert first is not None
    secret = first.read_text().strip()
    assert admin_token(tmp_path / "second", Late(store, "server")) is None
    assert list((tmp_path / "second").iterdir()) == []
    [token] = TokenStore(store).list()
    assert TokenStore(store).lookup(secret) == token
