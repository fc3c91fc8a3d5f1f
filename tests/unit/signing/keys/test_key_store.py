"""Keys and versions as they are made, changed and read, on every kind of database."""

import pytest
from ketgate.audit.v1 import audit_service_pb2
from ketgate_server.errors import KetgateError, NotFound, PartMissing, Reason
from ketgate_server.rpc.call import Identity
from ketgate_server.signing.algorithms import ALGORITHMS
from ketgate_server.signing.keys import rows
from ketgate_server.signing.keys.record import Grant, Origin, Policy, Quorum, Use, VersionState
from ketgate_server.signing.keys.states import Act
from ketgate_server.signing.keys.store import NewKey

from .conftest import MINUTE_US, Bench

POLICY = Policy(
    grants=(Grant(frozenset({"emma", "role:signing.user"}), frozenset({Use.SIGN, Use.MANAGE})),),
    contexts=(b"", b"\x00\xff"),
    uses_per_second=2.5,
    burst=7,
    quorum=Quorum(2, ("ann", "bob")),
)


def refusal(call, *arguments, **options) -> KetgateError:
    with pytest.raises(KetgateError) as caught:
        call(*arguments, **options)
    return caught.value


def audit(bench: Bench) -> list[tuple[str, str, dict[str, str]]]:
    """(action, resource, facts) of every entry."""
    with bench.store.read() as reader:
        payloads = reader.rows("SELECT payload FROM audit_entries ORDER BY idx")
    found = [audit_service_pb2.AuditPayload.FromString(bytes(row[0])) for row in payloads]
    return [(entry.action, entry.resource, dict(entry.facts)) for entry in found]


def test_a_key_comes_back_as_it_was_made(bench: Bench) -> None:
    key, version = bench.create(
        "a",
        "ML_DSA_65",
        labels={"desk": "fx"},
        policy=POLICY,
        exportable=True,
        rotation_period_us=60 * MINUTE_US,
        destroy_delay_us=MINUTE_US,
        provider="cryptography",
    )
    assert bench.key() == key
    assert bench.version(1) == version
    assert (key.creator, key.primary_version, key.min_version) == ("emma", 1, 1)
    assert key.next_rotation_us == key.create_time_us + 60 * MINUTE_US
    assert (key.policy, key.labels, key.exportable) == (POLICY, {"desk": "fx"}, True)
    assert version.state is VersionState.ENABLED
    assert version.origin is Origin.GENERATED
    assert len(version.public_key) == 1952
    assert len(version.fingerprint) == 64
    material = bench.keys.vault.open(bench.keys.owner(key, version), version.envelope or b"")
    assert bench.keys.providers.all[0].public_key(material) == version.public_key


def test_keys_of_tenants_are_apart(bench: Bench) -> None:
    bench.create()
    blue = Identity("emma", "blue", frozenset({"signing.admin"}))
    assert bench.keys.get("blue", "a") is None
    asker = bench.asker("/Rotate", identity=blue)
    assert refusal(bench.keys.rotate, asker, "a").reason is Reason.RESOURCE_NOT_FOUND
    made = bench.keys.create(
        bench.asker("/Create", identity=blue), NewKey("a", ALGORITHMS["ED25519"])
    )
    assert made.value is not None
    assert made.value[0].uid != bench.key().uid


def test_an_id_is_given_once(bench: Bench) -> None:
    bench.create()
    error = refusal(bench.create)
    assert error.reason is Reason.RESOURCE_EXISTS
    assert error.field == "key_id"


def test_there_are_so_many_keys_and_versions(bench: Bench) -> None:
    for name in "abcde":
        bench.create(name)
    assert refusal(bench.create, "f").limit == "signing.keys_max"
    for _ in range(5):
        bench.rotate()
    assert refusal(bench.rotate).limit == "signing.versions_max"


def test_rotation_adds_the_primary_version(bench: Bench) -> None:
    first, _ = bench.create()
    key, version = bench.rotate()
    assert (key.primary_version, version.version) == (2, 2)
    assert key.etag != first.etag
    assert [v.version for v in bench.keys.versions("red", "a")] == [2, 1]
    assert bench.version(1).public_key != version.public_key
    assert bench.version(1).state is VersionState.ENABLED


def test_a_repeat_does_nothing_and_gets_the_first_reply(bench: Bench) -> None:
    new = NewKey("a", ALGORITHMS["ED25519"])
    once = bench.keys.create(bench.asker("/Create", "r"), new, lambda made: made[0].uid.encode())
    again = bench.keys.create(bench.asker("/Create", "r"), new, lambda _: b"other")
    assert once.reply == again.reply == bench.key().uid.encode()
    assert again.value is None
    turned = bench.keys.rotate(bench.asker("/Rotate", "r"), "a", lambda made: made[1].name.encode())
    again = bench.keys.rotate(bench.asker("/Rotate", "r"), "a", lambda _: b"other")
    assert turned.reply == again.reply == b"keys/a/versions/2"
    assert len(bench.keys.versions("red", "a")) == 2
    other = bench.asker("/Rotate", "r", b"another digest")
    assert refusal(bench.keys.rotate, other, "a").reason is Reason.REQUEST_ID_REUSED
    off = bench.asker("/Disable", "r")
    bench.keys.act(off, "a", 1, Act.DISABLE, lambda made: made[1].state.encode())
    bench.act(Act.ENABLE, 1)
    again = bench.keys.act(bench.asker("/Disable", "r"), "a", 1, Act.DISABLE)
    assert again.reply == b"DISABLED"
    assert bench.version(1).state is VersionState.ENABLED


def test_a_version_that_moved_gets_the_next_number(bench: Bench) -> None:
    """Another rotation may come between the making of a key and its transaction."""
    bench.create()
    real, once = rows.newest_version, []

    def behind(reader, tenant, key_id):
        if once:
            return real(reader, tenant, key_id)
        once.append(True)
        return 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "newest_version", behind)
        key, version = bench.rotate()
    assert (key.primary_version, version.version) == (2, 2)
    bench.keys.vault.open(bench.keys.owner(key, version), version.envelope or b"")


def test_each_change_is_in_the_audit_with_its_generation(bench: Bench) -> None:
    bench.create()
    bench.rotate()
    bench.act(Act.DISABLE, 2)
    bench.act(Act.DISABLE, 2)
    bench.act(Act.DESTROY, 1)
    entries = audit(bench)
    assert [(action, resource) for action, resource, _ in entries] == [
        ("/Create", "keys/a"),
        ("/Rotate", "keys/a/versions/2"),
        ("/DISABLE", "keys/a/versions/2"),
        ("/DISABLE", "keys/a/versions/2"),
        ("/DESTROY", "keys/a/versions/1"),
    ]
    facts = [entry[2] for entry in entries]
    assert [fact.get("generation") for fact in facts] == ["1", "2", "3", None, "4"]
    assert len(facts[2].pop("sum")) == 64
    assert facts[2].pop("key_uid") == bench.key().uid
    assert facts[2] == {
        "key": "a",
        "version": "2",
        "state": "DISABLED",
        "generation": "3",
        "primary_version": "1",
    }
    assert facts[4]["primary_version"] == "0"
    with bench.store.read() as reader:
        assert reader.row("SELECT MAX(generation) FROM signing_keys") == (4,)


def test_a_provider_that_is_not_here_is_told_from_one_that_there_is_not(bench: Bench) -> None:
    assert isinstance(refusal(bench.create, provider="liboqs"), PartMissing)
    assert refusal(bench.create, provider="cloud").field == "provider"
    assert isinstance(refusal(bench.create, algorithm="FALCON_512"), PartMissing)
    unable = refusal(bench.create, algorithm="FALCON_512", provider="cryptography")
    assert unable.field == "provider"


def test_who_is_not_named_finds_nothing_also_in_the_transaction(bench: Bench) -> None:
    policy = Policy(grants=(Grant(frozenset({"ann"}), frozenset({Use.SIGN})),))
    bench.create(policy=policy)
    error = refusal(bench.rotate)
    absent = refusal(bench.rotate, "b")
    assert isinstance(error, NotFound)
    assert error.message.replace("keys/a", "keys/b") == absent.message
    ann = Identity("ann", "red", frozenset({"signing.admin"}))
    asker = bench.asker("/Disable", identity=ann)
    denied = refusal(bench.keys.act, asker, "a", 1, Act.DISABLE)
    assert denied.reason is Reason.POLICY_DENIED


def test_a_preview_makes_nothing(bench: Bench) -> None:
    asker = bench.asker("/Create", "r")
    new = NewKey("a", ALGORITHMS["ED25519"], rotation_period_us=60 * MINUTE_US)
    shown = bench.keys.preview(asker, new)
    assert (shown.name, shown.primary_version) == ("keys/a", 1)
    assert shown.next_rotation_us == bench.time.us + 60 * MINUTE_US
    assert bench.keys.get("red", "a") is None
    bench.keys.create(asker, new)
    assert refusal(bench.keys.preview, asker, new).reason is Reason.RESOURCE_EXISTS


def test_a_repeat_whose_reply_is_gone_does_nothing(bench: Bench) -> None:
    bench.create()
    bench.keys.rotate(bench.asker("/Rotate", "r"), "a")
    bench.store.run(lambda tx: tx.execute("UPDATE requests SET reply = NULL"))
    error = refusal(bench.keys.rotate, bench.asker("/Rotate", "r"), "a")
    assert error.reason is Reason.REPLY_EXPIRED
    assert error.metadata == {"resource": "keys/a/versions/2"}
    assert len(bench.keys.versions("red", "a")) == 2


def test_what_is_refused_leaves_no_trace(bench: Bench) -> None:
    """No row, no number, no request id, no audit entry but the refusal that the edge writes."""
    bench.create()
    before = audit(bench)
    asker = bench.asker("/Act", "r")
    refusal(bench.keys.act, asker, "a", 1, Act.RESTORE)
    refusal(bench.keys.act, asker, "a", 9, Act.DISABLE)
    refusal(bench.keys.create, asker, NewKey("a", ALGORITHMS["ED25519"]))
    assert audit(bench) == before
    with bench.store.read() as reader:
        assert reader.row("SELECT COUNT(*) FROM requests") == (0,)
        assert reader.row("SELECT value FROM counters WHERE name = 'signing'") == (1,)
