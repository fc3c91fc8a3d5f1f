"""The store of tokens, and what an Authenticator makes of it."""

import threading
import time
from datetime import timedelta

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


def test_a_name_is_given_once(store):
    """Policies of keys name tokens: whoever had the name of one that was revoked inherited what it was granted."""
    store.create("ci")
    with pytest.raises(
        TokenError, match=r"there is a token named 'ci' already.*ketgate token renew ci"
    ):
        store.create("ci")
    store.revoke("ci")
    for tenant in ("default", "desk"):
        with pytest.raises(TokenError, match="there was a token named 'ci'"):
            store.create("ci", tenant=tenant)
    assert len(store.list()) == 1


def test_the_holder_of_a_name_gets_a_new_secret(store):
    first, made = store.create("ci", tenant="desk", roles=("admin",))
    second, renewed = store.renew("ci")
    assert first != second
    assert (renewed.name, renewed.tenant, renewed.roles) == ("ci", "desk", ("admin",))
    assert renewed.expire_time is None
    assert not store.lookup(first).is_live(time.time())
    assert store.lookup(second) == renewed
    assert store.revoke("ci").create_time == renewed.create_time != made.create_time
    third, _ = store.renew("ci", expires_in_s=60)  # also of one that was revoked
    assert store.lookup(third).is_live(time.time())
    fourth, record = store.renew("ci")
    assert record.expire_time - record.create_time == timedelta(seconds=60)
    assert [
        store.lookup(secret).revoke_time is None for secret in (first, second, third, fourth)
    ] == [
        False,
        False,
        False,
        True,
    ]
    with store._store.read() as reader:
        rows = reader.rows("SELECT payload FROM audit_entries ORDER BY idx")
    payloads = [AuditPayload.FromString(payload) for (payload,) in rows]
    assert [p.action for p in payloads] == [
        "token.created",
        "token.renewed",
        "token.revoked",
        "token.renewed",
        "token.renewed",
    ]
    assert payloads[1].facts == {"roles": "admin"}


def test_what_cannot_be_renewed(store, monkeypatch):
    with pytest.raises(TokenError, match="no token named 'nobody'"):
        store.renew("nobody")
    store.create("ci")
    with pytest.raises(TokenError, match="above 0"):
        store.renew("ci", expires_in_s=-1)
    monkeypatch.setattr("ketgate_server.tokens.TOKENS_MAX", 1)
    with pytest.raises(TokenError, match="1 tokens"):
        store.renew("ci")
    assert store.list()[0].revoke_time is None


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
