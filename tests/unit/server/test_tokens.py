"""The store of tokens, and what an Authenticator makes of it."""

import threading
import time

import pytest
from ketgate.audit.v1.audit_service_pb2 import AuditPayload
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.roles import ROLES
from ketgate_server.rpc import auth
from ketgate_server.rpc.auth import Authenticator
from ketgate_server.rpc.call import require_role
from ketgate_server.store.base import StoreUnavailable
from ketgate_server.store.errors import StoreError, TokenError
from ketgate_server.tokens import TokenStore


@pytest.fixture
def store(tmp_path, store_url):
    store = TokenStore.open(tmp_path, store_url)
    yield store
    store.close()


def test_create_list_lookup_revoke(store):
    assert store.is_empty()
    secret, record = store.create("ci", tenant="desk", roles=("admin", "server.reader", "admin"))
    assert secret.startswith("kg_")
    assert len(secret) == 3 + 43
    assert (record.name, record.tenant, record.roles) == ("ci", "desk", ("admin", "server.reader"))
    assert store.lookup(secret) == record
    assert store.lookup(secret + "x") is None
    assert store.list() == [record]
    assert record.is_live(time.time())
    revoked = store.revoke("ci")
    assert revoked.revoke_time is not None
    assert not revoked.is_live(time.time())
    assert store.revoke("ci") == revoked
    assert not store.is_empty()


def test_a_revoked_name_may_be_given_again(store):
    first, _ = store.create("ci")
    with pytest.raises(TokenError, match="revoke that one first"):
        store.create("ci")
    store.revoke("ci")
    second, _ = store.create("ci")
    assert first != second
    assert [record.name for record in store.list()] == ["ci", "ci"]
    assert store.revoke("ci").create_time == store.list()[1].create_time


def test_expiry(store):
    _, record = store.create("soon", expires_in_s=60)
    assert record.is_live(time.time())
    assert not record.is_live(time.time() + 61)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("", {}, "1 to 100"),
        ("a b", {}, "1 to 100"),
        ("x" * 101, {}, "1 to 100"),
        ("-x", {}, "starting with"),
        ("x\n", {}, "1 to 100"),
        ("x", {"tenant": "Desk"}, "tenant"),
        ("x", {"roles": ()}, "at least one"),
        ("x", {"roles": "admin"}, "list of roles"),
        ("x", {"roles": ("root",)}, "there is no role 'root'"),
        ("x", {"expires_in_s": 0}, "above 0"),
        ("x", {"expires_in_s": float("nan")}, "above 0"),
        ("x", {"expires_in_s": float("inf")}, "at most"),
    ],
)
def test_what_cannot_be_made(store, name, options, message):
    with pytest.raises(TokenError, match=message):
        store.create(name, **options)
    assert store.is_empty()


def test_revoking_what_never_was(store):
    with pytest.raises(TokenError, match="no token named 'nobody'"):
        store.revoke("nobody")


def test_the_number_of_tokens_is_bounded(store, monkeypatch):
    monkeypatch.setattr("ketgate_server.tokens.TOKENS_MAX", 2)
    store.create("a")
    store.create("b")
    with pytest.raises(TokenError, match="2 tokens"):
        store.create("c")


def test_two_processes_see_each_other(store, tmp_path, store_url):
    other = TokenStore.open(tmp_path, store_url)
    before = store.revision()
    secret, _ = other.create("shared")
    assert store.revision() != before
    assert store.lookup(secret).name == "shared"
    other.close()


def test_many_threads_share_a_store(store):
    failures = []

    def work(number):
        try:
            for i in range(10):
                secret, _ = store.create(f"t{number}-{i}")
                assert store.lookup(secret).name == f"t{number}-{i}"
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(store.list()) == 40


def test_a_folder_that_cannot_be_used(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot open the store"):
        TokenStore.open(tmp_path / "file")


def reason_of(call, *arguments):
    with pytest.raises(KetgateError) as caught:
        call(*arguments)
    return caught.value.reason


def test_authenticator(store):
    authenticator = Authenticator(store)
    secret, _ = store.create("ci", tenant="desk")
    identity = authenticator.identify(f"Bearer {secret}")
    assert (identity.subject, identity.tenant) == ("ci", "desk")
    assert identity is authenticator.identify(f"Bearer {secret}"), "the second comes from memory"
    assert reason_of(authenticator.identify, None) is Reason.TOKEN_MISSING
    for header in (
        "",
        "Bearer",
        f"Basic {secret}",
        secret,
        "Bearer \ud800",
        "Bearer " + "x" * 2000,
    ):
        assert reason_of(authenticator.identify, header) is Reason.TOKEN_INVALID


def test_authenticator_forgets_when_the_store_changes(store, monkeypatch):
    monkeypatch.setattr(auth, "CHECK_INTERVAL_S", -1.0)  # ask each time
    authenticator = Authenticator(store)
    secret, _ = store.create("ci")
    authenticator.identify(f"Bearer {secret}")
    store.revoke("ci")
    assert reason_of(authenticator.identify, f"Bearer {secret}") is Reason.TOKEN_INVALID


def test_authenticator_minds_the_expiry_of_what_it_remembers(store, monkeypatch):
    authenticator = Authenticator(store)
    secret, record = store.create("ci", expires_in_s=60)
    authenticator.identify(f"Bearer {secret}")
    monkeypatch.setattr(auth.time, "time", lambda: record.expire_time.timestamp() + 1)
    assert reason_of(authenticator.identify, f"Bearer {secret}") is Reason.TOKEN_INVALID


def test_what_is_remembered_is_bounded(store, monkeypatch):
    monkeypatch.setattr(auth, "TOKENS_CACHED_MAX", 3)
    authenticator = Authenticator(store)
    for number in range(10):
        secret, _ = store.create(f"t{number}")
        assert authenticator.identify(f"Bearer {secret}").subject == f"t{number}"
        assert len(authenticator._known) <= 3


def test_roles(store):
    authenticator = Authenticator(store)
    for role in ROLES:
        secret, _ = store.create(role, roles=(role,))
        identity = authenticator.identify(f"Bearer {secret}")
        require_role(identity, "", "/m")
        require_role(identity, role, "/m")
        if role != "admin":
            assert reason_of(require_role, identity, "other", "/m") is Reason.ROLE_MISSING


def test_making_and_revoking_leave_entries_in_the_audit(store):
    secret, record = store.create("ci", tenant="desk", roles=("admin",), expires_in_s=60)
    store.revoke("ci")
    store.revoke("ci")
    for refused in (lambda: store.create("a b"), lambda: store.revoke("nobody")):
        with pytest.raises(TokenError):
            refused()
    with store._store.read() as reader:
        rows = reader.rows("SELECT idx, tenant, payload FROM audit_entries ORDER BY idx")
    payloads = [AuditPayload.FromString(payload) for _, _, payload in rows]
    assert [row[:2] for row in rows] == [(0, "desk"), (1, "desk")]
    assert [p.action for p in payloads] == ["token.created", "token.revoked"]
    assert {(p.actor, p.resource, p.outcome) for p in payloads} == {("command", "tokens/ci", "OK")}
    expires = record.expire_time.isoformat(timespec="seconds")
    assert payloads[0].facts == {"roles": "admin", "expires": expires}
    assert secret not in str(payloads)


def test_other_changes_of_the_store_are_no_changes_of_tokens(store):
    before = store.revision()
    store._store.run(lambda tx: tx.take("revision"))
    assert store.revision() == before
    store.create("ci")
    assert store.revision() != before


def test_what_is_known_stands_while_the_store_cannot_be_asked(store, monkeypatch):
    monkeypatch.setattr(auth, "CHECK_INTERVAL_S", -1.0)
    authenticator = Authenticator(store)
    secret, _ = store.create("ci")
    authenticator.identify(f"Bearer {secret}")
    store.close()
    assert authenticator.identify(f"Bearer {secret}").subject == "ci"
    with pytest.raises(StoreUnavailable):
        authenticator.identify("Bearer another")


def test_only_the_hash_is_kept(store):
    secret, _ = store.create("ci")
    with store._store.read() as reader:
        rows = reader.rows("SELECT uid, secret_sha256, name, tenant, roles FROM tokens")
    assert secret not in str(rows)
    assert len(rows[0][1]) == 64
