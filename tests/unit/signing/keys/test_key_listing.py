"""Pages of keys and versions, and the filter language."""

import base64

import pytest
from ketgate_server.errors import FieldError, KetgateError, NotFound, Reason
from ketgate_server.rpc.call import Identity
from ketgate_server.signing.keys import filters, listing
from ketgate_server.signing.keys.listing import page_of_keys, page_of_versions
from ketgate_server.signing.keys.record import Grant, Policy, Use

from .conftest import EMMA, Bench

ONLY_ANN = Policy(grants=(Grant(frozenset({"ann"}), frozenset({Use.MANAGE})),))
ONLY_USE = Policy(grants=(Grant(frozenset({"emma"}), frozenset({Use.SIGN})),))


def ids(bench: Bench, identity: Identity = EMMA, size: int = 0, text: str = "") -> list[str]:
    """All that a caller lists, page by page."""
    found, token = [], ""
    while True:
        page = page_of_keys(
            bench.keys, identity, page_size=size, page_token=token, filter_text=text
        )
        assert len(page.keys) <= (size or listing.PAGE_SIZE_DEFAULT)
        found += [key.id for key in page.keys]
        token = page.next_page_token
        if not token:
            return found


@pytest.fixture
def filled(bench: Bench) -> Bench:
    bench.create("a", labels={"desk": "fx"})
    bench.create("b", policy=ONLY_ANN)
    bench.create("c", "ML_DSA_65", labels={"desk": "fx", "tier": "1"})
    bench.create("d", "ML_KEM_768")
    bench.create("e", policy=ONLY_USE)
    return bench


@pytest.mark.parametrize("size", [1, 2, 3, 0])
def test_keys_come_by_name_and_those_of_others_are_left_out(filled: Bench, size: int) -> None:
    assert ids(filled, size=size) == ["a", "c", "d"]
    assert ids(filled, Identity("ann", "red", frozenset()), size) == ["a", "b", "c", "d"]
    assert ids(filled, Identity("root", "red", frozenset({"admin"})), size) == list("abcde")
    assert ids(filled, Identity("ann", "blue", frozenset({"admin"})), size) == []


def test_a_page_ends_where_enough_was_looked_at(
    filled: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "SCAN_MAX", 2)
    monkeypatch.setattr(listing, "_PIECE", 2)
    text = "purpose = ENCAPSULATE"
    page = page_of_keys(filled.keys, EMMA, page_size=0, page_token="", filter_text=text)
    assert not page.keys
    assert page.next_page_token
    assert ids(filled, text=text) == ["d"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("algorithm = ML_DSA_65", ["c"]),
        ("algorithm=ALGORITHM_ED25519", ["a"]),
        ("purpose = SIGN", ["a", "c"]),
        ('labels.desk = "fx"', ["a", "c"]),
        ("labels.desk = fx AND labels.tier = 1", ["c"]),
        ('labels.desk = "f x"', []),
        ("algorithm = ML_DSA_65 AND algorithm = ED25519", []),
        ("  ", ["a", "c", "d"]),
    ],
)
def test_filters(filled: Bench, text: str, expected: list[str]) -> None:
    assert ids(filled, text=text, size=1) == expected


@pytest.mark.parametrize(
    "text",
    [
        "algorithm = DES",
        "algorithm",
        "purpose = signing",
        "colour = red",
        "labels.Desk = x",
        "algorithm = ML_DSA_65 purpose = SIGN",
        "algorithm = ML_DSA_65 OR purpose = SIGN",
        "algorithm = ML_DSA_65 ANDpurpose = SIGN",
        'labels.desk = "x',
        " AND ".join(["purpose = SIGN"] * 21),
        "x" * 2_001,
        "labels.desk = \0",
    ],
)
def test_what_is_no_filter_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(FieldError) as caught:
        filters.parse(text)
    assert caught.value.field == "filter"


def test_tokens_are_good_for_their_own_list(filled: Bench) -> None:
    token = page_of_keys(filled.keys, EMMA, page_size=1, page_token="", filter_text="")
    for bad in (token.next_page_token, "x", "!!", token.next_page_token[:11]):
        with pytest.raises(FieldError) as caught:
            page_of_keys(
                filled.keys, EMMA, page_size=1, page_token=bad, filter_text="purpose = SIGN"
            )
        assert caught.value.field == "page_token"
    with pytest.raises(FieldError):
        page_of_keys(filled.keys, EMMA, page_size=-1, page_token="", filter_text="")


def test_versions_come_newest_first(bench: Bench) -> None:
    bench.create("a")
    for _ in range(4):
        key, _ = bench.rotate()
    first = page_of_versions(bench.keys, key, page_size=2, page_token="")
    bench.rotate()  # what is new does not move what follows
    second = page_of_versions(bench.keys, key, page_size=2, page_token=first.next_page_token)
    third = page_of_versions(bench.keys, key, page_size=2, page_token=second.next_page_token)
    numbers = [[v.version for v in page.versions] for page in (first, second, third)]
    assert numbers == [[5, 4], [3, 2], [1]]
    assert third.next_page_token == ""
    other, _ = bench.create("b")
    with pytest.raises(FieldError):
        page_of_versions(bench.keys, other, page_size=2, page_token=first.next_page_token)


def test_versions_of_no_key(bench: Bench) -> None:
    key, _ = bench.create("a")
    gone = type(key)(**{**vars(key), "id": "z"})
    with pytest.raises(NotFound):
        page_of_versions(bench.keys, gone, page_size=2, page_token="")


def test_a_token_says_nothing_of_where_it_leads(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that looked at enough ends at a key that may be hidden, and its token held the id."""
    monkeypatch.setattr(listing, "SCAN_MAX", 2)
    monkeypatch.setattr(listing, "_PIECE", 2)
    tokens = []
    for number, hidden in enumerate(("b-hidden", "hidden-with-a-long-name")):
        bench.create("a" * (number + 1))
        bench.create(hidden, policy=ONLY_ANN)
        page = page_of_keys(bench.keys, EMMA, page_size=0, page_token="", filter_text="")
        tokens.append(page.next_page_token)
        packed = base64.urlsafe_b64decode(tokens[-1] + "==")
        assert hidden.encode() not in packed
        monkeypatch.setattr(listing, "SCAN_MAX", 4)
        monkeypatch.setattr(listing, "_PIECE", 4)
    assert len(set(map(len, tokens))) == 1
    assert (
        tokens[0]
        != page_of_keys(
            bench.keys, EMMA, page_size=0, page_token="", filter_text=""
        ).next_page_token
    )


@pytest.mark.parametrize("place", [0, 9, 25, 99])
def test_a_made_up_token_is_refused(filled: Bench, place: int) -> None:
    """Nobody chooses where a list goes on, and a database is not asked for what no position can be."""
    key = filled.key("a")
    filled.rotate("a")
    whole = page_of_keys(filled.keys, EMMA, page_size=1, page_token="", filter_text="")
    of_versions = page_of_versions(filled.keys, key, page_size=1, page_token="")
    for read in (
        lambda token: page_of_keys(
            filled.keys, EMMA, page_size=1, page_token=token, filter_text=""
        ),
        lambda token: page_of_versions(filled.keys, key, page_size=1, page_token=token),
    ):
        for page in (whole, of_versions):
            packed = bytearray(base64.urlsafe_b64decode(page.next_page_token + "=="))
            packed[place] ^= 1
            with pytest.raises(FieldError) as caught:
                read(base64.urlsafe_b64encode(packed).decode().rstrip("="))
            assert caught.value.field == "page_token"


def test_one_corrupt_key_hides_no_others(filled: Bench) -> None:
    """A list failed whole. Which key it is, the role `admin` is told: of the policy nothing can be believed."""
    filled.store.run(
        lambda tx: tx.execute("UPDATE signing_keys SET min_version = 9 WHERE id IN ('b', 'c')")
    )
    assert ids(filled) == ["a", "d"]
    admin = Identity("root", "red", frozenset({"admin"}))
    for size in (1, 2, 50):
        found, corrupt, token = [], [], ""
        while True:
            page = page_of_keys(
                filled.keys, admin, page_size=size, page_token=token, filter_text=""
            )
            assert len(page.keys) + len(page.corrupt) <= size
            found += [key.id for key in page.keys]
            corrupt += page.corrupt
            token = page.next_page_token
            if not token:
                break
        assert (found, corrupt) == (["a", "d", "e"], ["b", "c"])
    page = page_of_keys(
        filled.keys, admin, page_size=0, page_token="", filter_text="purpose = ENCAPSULATE"
    )
    assert ([key.id for key in page.keys], page.corrupt) == (["d"], ["b", "c"])
    assert not page_of_keys(filled.keys, EMMA, page_size=0, page_token="", filter_text="").corrupt


def test_a_list_of_a_sealed_store_is_refused(filled: Bench) -> None:
    """Another server changed the key-encryption key: nothing is corrupt."""
    filled.store.run(
        lambda tx: tx.execute(
            "INSERT INTO signing_keks (id, kind, body, create_time_us) VALUES (?, 'file', ?, 1)",
            ("cd" * 16, b"{}"),
        )
    )
    filled.store.run(lambda tx: tx.execute("UPDATE signing_keys SET mac = ?", (b"another",)))
    with pytest.raises(KetgateError) as caught:
        page_of_keys(filled.keys, EMMA, page_size=0, page_token="", filter_text="")
    assert caught.value.reason is Reason.KEY_STORE_SEALED
