"""Destruction and changes of policies by several callers, over TLS."""

import grpc
import pytest
from ketgate.signing.v1 import key_pb2
from ketgate.signing.v1 import key_service_pb2 as keys

PENDING = key_pb2.KEY_CHANGE_STATE_PENDING
APPLIED = key_pb2.KEY_CHANGE_STATE_APPLIED
REJECTED = key_pb2.KEY_CHANGE_STATE_REJECTED
EXPIRED = key_pb2.KEY_CHANGE_STATE_EXPIRED
ENABLED = key_pb2.KEY_VERSION_STATE_ENABLED
SCHEDULED = key_pb2.KEY_VERSION_STATE_DESTROY_SCHEDULED


@pytest.fixture
def admin(new_caller):
    return new_caller("signing.admin")


@pytest.fixture
def approvers(new_caller):
    """Whoever approves needs a token, and no role of signing."""
    return [new_caller("server.reader") for _ in range(3)]


@pytest.fixture
def key(admin, approvers, key_id):
    quorum = key_pb2.Quorum(approvals_needed=2, approvers=[found.name for found in approvers])
    request = keys.CreateKeyRequest(
        key_id=key_id, algorithm="ALGORITHM_ED25519", policy=key_pb2.KeyPolicy(quorum=quorum)
    )
    return admin("CreateKey", request).key


def destroy(caller, key, request_id=""):
    request = keys.DestroyKeyVersionRequest(
        name=f"{key.name}/versions/1", justification="it leaked", request_id=request_id
    )
    return caller("DestroyKeyVersion", request)


def decide(caller, method, change, request_id=""):
    request = getattr(keys, f"{method}KeyChangeRequest")(name=change.name, request_id=request_id)
    return caller(f"{method}KeyChange", request).change


def version(caller, key):
    request = keys.GetKeyVersionRequest(name=f"{key.name}/versions/1")
    return caller("GetKeyVersion", request).version


def undecidable(refusal):
    return (refusal.code, refusal.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "CHANGE_UNDECIDABLE",
    )


def test_two_of_three_destroy(admin, approvers, key, refused):
    answer = destroy(admin, key)
    change = answer.change
    assert (answer.version.state, change.state) == (ENABLED, PENDING)
    assert change.destroy_version == f"{key.name}/versions/1"
    assert (change.requester, change.justification) == (admin.name, "it leaked")
    assert change.expire_time.seconds - change.create_time.seconds == 7 * 86_400
    ann, bob, cleo = approvers
    seen = ann("GetKeyChange", keys.GetKeyChangeRequest(name=change.name)).change
    assert seen == change
    decided = decide(ann, "Approve", change)
    assert (decided.state, list(decided.approvals)) == (PENDING, [ann.name])
    assert undecidable(refused(lambda: decide(ann, "Approve", change)))
    assert version(admin, key).state == ENABLED
    done = decide(bob, "Approve", change)
    assert (done.state, list(done.approvals)) == (APPLIED, [ann.name, bob.name])
    found = version(admin, key)
    assert found.state == SCHEDULED
    assert found.destroy_time.seconds - done.end_time.seconds == key.destroy_delay.seconds
    assert undecidable(refused(lambda: decide(cleo, "Approve", change)))
    assert undecidable(refused(lambda: decide(cleo, "Reject", change)))


def test_who_asks_does_not_approve_and_others_see_nothing(
    new_caller, admin, approvers, key, refused
):
    change = destroy(admin, key).change
    assert undecidable(refused(lambda: decide(admin, "Approve", change)))
    manager, superuser = new_caller("signing.admin"), new_caller("admin")
    for caller in (manager, superuser):  # they may look, and not decide
        assert caller("GetKeyChange", keys.GetKeyChangeRequest(name=change.name)).change == change
        assert undecidable(refused(lambda c=caller: decide(c, "Approve", change)))
        assert undecidable(refused(lambda c=caller: decide(c, "Reject", change)))
    user, foreigner = new_caller("signing.user"), new_caller("admin", tenant="other")
    for caller in (user, foreigner):
        for method in ("Approve", "Reject"):
            refusal = refused(lambda c=caller, m=method: decide(c, m, change))
            assert refusal.code == grpc.StatusCode.NOT_FOUND
        refusal = refused(
            lambda c=caller: c("GetKeyChange", keys.GetKeyChangeRequest(name=change.name))
        )
        assert refusal.code == grpc.StatusCode.NOT_FOUND
    assert decide(admin, "Reject", change).state == REJECTED
    assert undecidable(refused(lambda: decide(approvers[0], "Approve", change)))


def test_the_quorum_goes_only_with_the_quorum(admin, approvers, key, refused):
    stale = destroy(admin, key).change
    answer = admin("SetKeyPolicy", keys.SetKeyPolicyRequest(name=key.name))
    assert (answer.key, answer.change.state) == (key, PENDING)
    assert answer.change.WhichOneof("change") == "set_policy"
    for caller in approvers[:2]:
        decide(caller, "Approve", answer.change)
    assert not admin("GetKey", keys.GetKeyRequest(name=key.name)).key.policy.HasField("quorum")
    found = admin("GetKeyChange", keys.GetKeyChangeRequest(name=stale.name)).change
    assert found.state == EXPIRED
    assert undecidable(refused(lambda: decide(approvers[0], "Approve", stale)))
    assert destroy(admin, key).version.state == SCHEDULED


def test_a_shorter_delay_is_no_way_round(admin, key, refused):
    def delay(seconds):
        changed = key_pb2.Key(name=key.name)
        changed.destroy_delay.seconds = seconds
        request = keys.UpdateKeyRequest(key=changed, update_mask={"paths": ["destroy_delay"]})
        return admin("UpdateKey", request).key.destroy_delay.seconds

    assert delay(40 * 86_400) == 40 * 86_400
    refusal = refused(lambda: delay(60))
    assert (refusal.reason, refusal.info.metadata["field"]) == (
        "FIELD_INVALID",
        "key.destroy_delay",
    )


def test_repeats_change_nothing(admin, approvers, key, refused):
    first = destroy(admin, key, "d-1")
    assert destroy(admin, key, "d-1") == first
    change = first.change
    ann, bob, _ = approvers
    approved = decide(ann, "Approve", change, "a-1" + key.uid)
    assert decide(ann, "Approve", change, "a-1" + key.uid) == approved
    applied = decide(bob, "Approve", change, "a-2" + key.uid)
    assert decide(bob, "Approve", change, "a-2" + key.uid) == applied
    listed = ann("ListKeyChanges", keys.ListKeyChangesRequest(key=key.name)).changes
    assert list(listed) == [applied]


def test_lists_are_for_whom_they_concern(new_caller, admin, approvers, key, refused):
    made = [destroy(admin, key).change for _ in range(3)]
    ann = approvers[0]
    listed, token = [], ""
    while True:
        request = keys.ListKeyChangesRequest(key=key.name, page_size=2, page_token=token)
        page = ann("ListKeyChanges", request)
        listed += page.changes
        token = page.next_page_token
        if not token:
            break
    assert sorted(c.name for c in listed) == sorted(c.name for c in made)
    assert len(ann("ListKeyChanges", keys.ListKeyChangesRequest()).changes) == 3
    user = new_caller("signing.user")
    assert not user("ListKeyChanges", keys.ListKeyChangesRequest()).changes
    hidden = refused(lambda: user("ListKeyChanges", keys.ListKeyChangesRequest(key=key.name)))
    assert hidden.code == grpc.StatusCode.NOT_FOUND
    for request in (
        keys.ListKeyChangesRequest(page_token="x"),
        keys.ListKeyChangesRequest(page_size=-1),
        keys.ListKeyChangesRequest(key="k"),
    ):
        assert refused(lambda r=request: ann("ListKeyChanges", r)).reason == "FIELD_INVALID"
