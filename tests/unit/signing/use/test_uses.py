"""What is written down of a use: the audit's entry, the reply, and whether keys changed meanwhile."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from ketgate.signing.v1 import signing_service_pb2 as pb
from ketgate_server.errors import KetgateError, NotFound, Reason
from ketgate_server.signing.keys import rows
from ketgate_server.signing.keys.asker import Asker
from ketgate_server.signing.keys.record import Grant, Policy, Use
from ketgate_server.signing.keys.states import Act


def sign(desk, call, **fields):
    request = pb.SignRequest(**({"key": "keys/a", "message": b"m"} | fields))
    return pb.SignResponse.FromString(desk.service.sign(call, request)).signature


def test_a_use_is_in_the_audit_with_what_it_was_over(desk, call):
    desk.create("a")
    made = sign(desk, call)
    [entry] = desk.entries("Sign")
    assert (entry.actor, entry.tenant, entry.outcome) == ("emma", "red", "OK")
    assert entry.resource == made.key_version == "keys/a/versions/1"
    assert entry.facts["content_sha256"] == made.content_sha256.hex()
    assert entry.facts["provider"] == made.provider
    assert entry.call_id == "call"


def test_the_same_request_gets_the_same_signature_and_one_entry(desk, call):
    desk.create("a", "ML_DSA_44")  # hedged: two signatures of one message differ
    first = sign(desk, call, request_id="one")
    assert sign(desk, call, request_id="one") == first
    assert sign(desk, call, request_id="two").signature != first.signature
    assert len(desk.entries("Sign")) == 2


def test_a_repeat_gets_the_same_signature_after_a_rotation(desk, call):
    desk.create("a", "ML_DSA_44")
    first = sign(desk, call, request_id="one")
    desk.rotate("a")
    assert sign(desk, call, request_id="one") == first
    assert sign(desk, call).key_version == "keys/a/versions/2"


def test_a_repeat_is_authorised_anew(desk, call):
    desk.create("a")
    sign(desk, call, request_id="one")
    grant = Grant(frozenset({"otto"}), frozenset({Use.SIGN}))
    desk.keys.change(
        Asker(call.identity, method="/SetPolicy"),
        lambda change: rows.write_key(
            change.tx,
            change.vault,
            replace(change.key("a"), policy=Policy(grants=(grant,))),
            change.generation,
        ),
    )
    with pytest.raises(KetgateError) as caught:
        sign(desk, call, request_id="one")
    assert caught.value.reason is Reason.RESOURCE_NOT_FOUND


def test_the_same_id_for_another_message_is_refused(desk, call):
    desk.create("a")
    sign(desk, call, request_id="one")
    with pytest.raises(KetgateError) as caught:
        sign(desk, call, request_id="one", message=b"other")
    assert caught.value.reason is Reason.REQUEST_ID_REUSED
    assert "keys/a/versions/1" in caught.value.message


def test_a_refusal_does_not_use_the_id_up(desk, call):
    desk.create("a")
    desk.act("a", 1, Act.DISABLE)
    with pytest.raises(KetgateError):
        sign(desk, call, request_id="one")
    desk.act("a", 1, Act.ENABLE)
    assert sign(desk, call, request_id="one", key="keys/a/versions/1").signature


def test_many_at_once_with_one_id_make_one_signature(desk, call):
    desk.create("a", "ML_DSA_44")
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: sign(desk, call, request_id="one"), range(16)))
    assert len({one.signature for one in made}) == 1
    assert len(desk.entries("Sign")) == 1


def test_a_version_disabled_by_another_server_amid_a_use_does_not_sign(desk, call, monkeypatch):
    desk.create("a")
    sign(desk, call)  # now the key is known, and open
    write = desk.signatures._log.write

    def disabled_meanwhile(use):
        monkeypatch.setattr(desk.signatures._log, "write", write)
        desk.act("a", 1, Act.DISABLE)
        return write(use)

    monkeypatch.setattr(desk.signatures._log, "write", disabled_meanwhile)
    with pytest.raises(KetgateError) as caught:
        sign(desk, call)
    assert caught.value.reason is Reason.KEY_UNUSABLE
    assert len(desk.entries("Sign")) == 1


def test_a_rotation_amid_a_use_makes_the_new_version_sign(desk, call, monkeypatch):
    desk.create("a")
    sign(desk, call)
    write = desk.signatures._log.write

    def rotated_meanwhile(use):
        monkeypatch.setattr(desk.signatures._log, "write", write)
        desk.rotate("a")
        return write(use)

    monkeypatch.setattr(desk.signatures._log, "write", rotated_meanwhile)
    assert sign(desk, call).key_version == "keys/a/versions/2"


def test_changes_of_other_keys_do_not_hold_a_use_up(desk, call, monkeypatch):
    """Whoever changes keys all the time would else stop everybody's work, of other tenants too."""
    desk.create("a")
    sign(desk, call)
    write, written = desk.signatures._log.write, []

    def with_changes(use):
        written.append(use)
        desk.create(f"b{len(written)}")
        return write(use)

    monkeypatch.setattr(desk.signatures._log, "write", with_changes)
    assert sign(desk, call).signature
    assert sign(desk, call).signature
    assert len(written) == 2


def test_a_use_that_is_done_anew_counts_once(desk, call):
    """The keys were read before this one was made, so that its first use is done twice."""
    desk.create("a", policy=Policy(uses_per_second=0.001, burst=1))
    assert sign(desk, call).signature
    with pytest.raises(KetgateError) as caught:
        sign(desk, call)
    assert caught.value.reason is Reason.RATE_EXCEEDED


def test_a_key_that_changes_all_the_time_is_told(desk, call, monkeypatch):
    desk.create("a")
    write = desk.signatures._log.write

    def with_changes(use):
        desk.set_policy("a", Policy(uses_per_second=1000.0))
        return write(use)

    monkeypatch.setattr(desk.signatures._log, "write", with_changes)
    with pytest.raises(KetgateError) as caught:
        sign(desk, call)
    assert caught.value.reason is Reason.SERVER_BUSY
    assert desk.entries("Sign") == []


def test_what_was_refused_on_old_knowledge_is_looked_at_again(desk, call):
    desk.create("a")
    desk.act("a", 1, Act.DISABLE)
    with pytest.raises(KetgateError):
        sign(desk, call, key="keys/a/versions/1")
    desk.act("a", 1, Act.ENABLE)
    assert sign(desk, call, key="keys/a/versions/1").signature


def test_verification_sees_a_minimum_at_once(desk, call):
    desk.create("a")
    made = sign(desk, call)
    request = pb.VerifyRequest(key="keys/a", message=b"m", signature=made.signature)
    assert desk.service.verify(call, request).verdict.valid
    desk.act("a", 1, Act.DISABLE)
    with pytest.raises(KetgateError) as caught:
        desk.service.verify(call, request)
    assert caught.value.reason is Reason.KEY_UNUSABLE


def test_what_is_hidden_is_looked_for_as_what_is_not_there(desk, call, monkeypatch):
    """A key that is known needs no read, and one that is not there always does: on a busy server that could be told
    from the time."""
    grant = Grant(frozenset({"otto"}), frozenset({Use.SIGN}))
    desk.create("a", policy=Policy(grants=(grant,)))
    desk.current.refresh()
    read, reads = desk.keys.get, []
    monkeypatch.setattr(desk.keys, "get", lambda *name: (reads.append(name), read(*name))[1])
    find = desk.signatures._access.find_key
    for name in ("a", "a", "absent", "a", "absent"):
        before = len(reads)
        with pytest.raises(NotFound):
            find(call.identity, name, Use.SIGN)
        assert len(reads) - before == (2 if not before else 1)


def test_another_tenant_sees_nothing(desk, call):
    desk.create("a")
    stranger = replace(call, identity=replace(call.identity, tenant="blue"))
    with pytest.raises(KetgateError) as caught:
        sign(desk, stranger)
    assert caught.value.reason is Reason.RESOURCE_NOT_FOUND
    assert desk.entries("Sign") == []
