"""Policies of keys with several callers, over TLS."""

import grpc
import pytest
from ketgate._wrapping import Receiver
from ketgate.signing.v1 import key_pb2, signature_pb2
from ketgate.signing.v1 import key_service_pb2 as keys
from ketgate.signing.v1 import signing_service_pb2 as uses

SIGN, VERIFY, MANAGE = key_pb2.KEY_USE_SIGN, key_pb2.KEY_USE_VERIFY, key_pb2.KEY_USE_MANAGE
ML_DSA_44 = "ALGORITHM_ML_DSA_44"


@pytest.fixture
def admin(new_caller):
    return new_caller("signing.admin", "signing.user")


def create(caller, key_id, policy=None, algorithm=ML_DSA_44, **fields):
    request = keys.CreateKeyRequest(key_id=key_id, algorithm=algorithm, policy=policy, **fields)
    return caller("CreateKey", request).key


def grant(uses_, *members):
    return key_pb2.KeyGrant(members=members, uses=uses_)


def sign(caller, key, message=b"m", **options):
    request = uses.SignRequest(
        key=key, message=message, options=signature_pb2.SigningOptions(**options)
    )
    return caller("Sign", request).signature


def test_a_use_is_for_whom_it_is_granted(new_caller, admin, key_id, refused):
    signer, reader = new_caller("signing.user"), new_caller("signing.user")
    policy = key_pb2.KeyPolicy(
        grants=[
            grant([SIGN, VERIFY], signer.name),
            grant([VERIFY], reader.name),
            grant([MANAGE], admin.name),
        ]
    )
    key = create(admin, key_id, policy)
    assert key.policy == policy
    made = sign(signer, key.name)
    check = uses.VerifyRequest(key=key.name, message=b"m", signature=made.signature)
    assert reader("Verify", check).verdict.valid
    for caller, method, request in (
        (reader, "Sign", uses.SignRequest(key=key.name, message=b"m")),
        (admin, "Sign", uses.SignRequest(key=key.name, message=b"m")),
        (signer, "GetKey", keys.GetKeyRequest(name=key.name)),
    ):
        refusal = refused(lambda c=caller, m=method, r=request: c(m, r))
        assert (refusal.code, refusal.reason) == (
            grpc.StatusCode.PERMISSION_DENIED,
            "POLICY_DENIED",
        )
        assert refusal.info.metadata["rule"] == "grants"


def test_a_role_can_be_granted(new_caller, admin, key_id, refused):
    policy = key_pb2.KeyPolicy(
        grants=[grant([SIGN], "role:signing.user"), grant([MANAGE], admin.name)]
    )
    key = create(admin, key_id, policy)
    assert sign(new_caller("signing.user"), key.name).signature
    superuser = new_caller("admin")  # it may call every method, and is not the role that is named
    refusal = refused(lambda: sign(superuser, key.name))
    assert refusal.reason == "POLICY_DENIED"


def test_who_may_read_a_key_is_never_told_that_it_is_not_there(new_caller, admin, key_id, refused):
    """The role `admin` read keys of whose policies it was left out, and was told by all else that they are not
    there."""
    key = create(admin, key_id, key_pb2.KeyPolicy(grants=[grant([SIGN], admin.name)]))
    superuser, version = new_caller("admin"), f"{key.name}/versions/1"
    assert superuser("GetKey", keys.GetKeyRequest(name=key.name)).key == key
    for method, request in (
        ("RotateKey", keys.RotateKeyRequest(name=key.name)),
        (
            "UpdateKey",
            keys.UpdateKeyRequest(key={"name": key.name}, update_mask={"paths": ["labels"]}),
        ),
        ("DisableKeyVersion", keys.DisableKeyVersionRequest(name=version)),
        ("DestroyKeyVersion", keys.DestroyKeyVersionRequest(name=version)),
        ("ExportPublicKey", keys.ExportPublicKeyRequest(name=version)),
        ("Sign", uses.SignRequest(key=key.name, message=b"m")),
        ("Verify", uses.VerifyRequest(key=key.name, message=b"m")),
    ):
        refusal = refused(lambda m=method, r=request: superuser(m, r))
        assert (method, refusal.reason) == (method, "POLICY_DENIED")


def test_hidden_foreign_and_absent_keys_are_refused_alike(new_caller, admin, key_id, refused):
    hidden = create(admin, key_id, key_pb2.KeyPolicy(grants=[grant([SIGN], admin.name)]))
    stranger, foreigner = (
        new_caller("signing.admin", "signing.user"),
        new_caller("admin", tenant="other"),
    )
    absent = hidden.name + "x"
    version = "/versions/1"
    for method, request in (
        ("Sign", lambda name: uses.SignRequest(key=name, message=b"m")),
        ("Sign", lambda name: uses.SignRequest(key=name + version, message=b"m")),
        ("VerifyBatch", lambda name: uses.VerifyBatchRequest(key=name, items=[{}])),
        ("Encapsulate", lambda name: uses.EncapsulateRequest(key=name)),
        ("ComputeMac", lambda name: uses.ComputeMacRequest(key=name, message=b"m")),
        ("RotateKey", lambda name: keys.RotateKeyRequest(name=name)),
        ("ExportPublicKey", lambda name: keys.ExportPublicKeyRequest(name=name)),
        (
            "ExportPrivateKey",
            lambda name: keys.ExportPrivateKeyRequest(
                name=name + version, wrapping_algorithm=1, wrapping_public_key=_receiver()
            ),
        ),
        ("DestroyKeyVersion", lambda name: keys.DestroyKeyVersionRequest(name=name + version)),
        ("GetKeyVersion", lambda name: keys.GetKeyVersionRequest(name=name + version)),
        ("ListKeyVersions", lambda name: keys.ListKeyVersionsRequest(key=name)),
        ("ListKeyChanges", lambda name: keys.ListKeyChangesRequest(key=name)),
    ):
        answers = set()
        for caller, name in (
            (stranger, hidden.name),
            (stranger, absent),
            (foreigner, hidden.name),
        ):
            asked = request(name)
            refusal = refused(lambda c=caller, m=method, r=asked: c(m, r))
            assert refusal.code == grpc.StatusCode.NOT_FOUND, method
            del refusal.info.metadata["request_id"]
            shown = refusal.message.replace(absent, hidden.name)
            facts = {
                entry: value.replace(absent, hidden.name)
                for entry, value in refusal.info.metadata.items()
            }
            answers.add((shown, refusal.reason, str(sorted(facts.items())), len(refusal.details)))
        assert len(answers) == 1, (method, answers)


def _receiver():
    return Receiver().public_key


def test_the_role_admin_changes_policies_and_uses_nothing(new_caller, admin, key_id, refused):
    key = create(admin, key_id, key_pb2.KeyPolicy(grants=[grant([SIGN], admin.name)]))
    superuser = new_caller("admin")
    assert superuser("GetKey", keys.GetKeyRequest(name=key.name)).key.policy == key.policy
    assert refused(lambda: sign(superuser, key.name)).reason == "POLICY_DENIED"
    policy = key_pb2.KeyPolicy(grants=[grant([SIGN, MANAGE], superuser.name)])
    request = keys.SetKeyPolicyRequest(name=key.name, policy=policy, etag=key.etag)
    assert superuser("SetKeyPolicy", request).key.policy == policy
    assert sign(superuser, key.name).signature
    assert refused(lambda: sign(admin, key.name)).reason == "RESOURCE_NOT_FOUND"
    refusal = refused(lambda: superuser("SetKeyPolicy", request))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")


def test_contexts_are_those_of_the_policy(admin, key_id, refused):
    key = create(admin, key_id, key_pb2.KeyPolicy(contexts=[b"orders"]))
    made = sign(admin, key.name, context=b"orders")
    check = uses.VerifyRequest(
        key=key.name,
        message=b"m",
        signature=made.signature,
        options=signature_pb2.SigningOptions(context=b"orders"),
    )
    assert admin("Verify", check).verdict.valid
    for context in (b"", b"other"):
        refusal = refused(lambda c=context: sign(admin, key.name, context=c))
        assert (refusal.code, refusal.reason) == (
            grpc.StatusCode.PERMISSION_DENIED,
            "POLICY_DENIED",
        )
        assert refusal.info.metadata["rule"] == "contexts"


def test_a_batch_counts_each_item_and_a_rate_says_when(admin, key_id, refused):
    key = create(admin, key_id, key_pb2.KeyPolicy(uses_per_second=0.01, burst=5))

    def batch(count):
        items = [signature_pb2.SignItem(reference=str(i), message=b"m") for i in range(count)]
        return admin("SignBatch", uses.SignBatchRequest(key=key.name, items=items)).results

    never = refused(lambda: batch(6))
    assert (never.code, never.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_EXCEEDED")
    assert "RetryInfo" not in never.details
    assert len(batch(4)) == 4
    assert sign(admin, key.name).signature
    refusal = refused(lambda: sign(admin, key.name))
    assert refusal.reason == "RATE_EXCEEDED"
    assert 0 < refusal.details["RetryInfo"].retry_delay.seconds <= 100
    assert refusal.info.metadata["burst"] == "5"


def test_lists_hold_what_the_caller_may_read(new_caller, admin, key_id):
    mine = create(admin, key_id)
    hidden = create(admin, key_id + "h", key_pb2.KeyPolicy(grants=[grant([MANAGE], admin.name)]))
    other = new_caller("signing.admin")

    def listed(caller):
        answer = caller("ListKeys", keys.ListKeysRequest(page_size=1_000))
        return {key.name for key in answer.keys}

    assert {mine.name, hidden.name} <= listed(admin)
    assert mine.name in listed(other)
    assert hidden.name not in listed(other)


def test_a_wrong_policy_names_its_field(admin, key_id, refused):
    policy = key_pb2.KeyPolicy(grants=[key_pb2.KeyGrant(members=["a"])])
    refusal = refused(lambda: create(admin, key_id, policy))
    assert (refusal.reason, refusal.info.metadata["field"]) == (
        "FIELD_INVALID",
        "policy.grants[0].uses",
    )


def test_a_request_id_that_was_used_names_no_hidden_key(new_caller, admin, key_id, refused):
    """Of another's request, whose id somebody guessed or saw, the refusal named the key."""
    key = create(admin, key_id, key_pb2.KeyPolicy(grants=[grant([SIGN, MANAGE], admin.name)]))
    other = new_caller("signing.admin", "signing.user")
    own = create(other, key_id + "-own")
    admin("Sign", uses.SignRequest(key=key.name, message=b"m", request_id=key_id))
    admin("RotateKey", keys.RotateKeyRequest(name=key.name, request_id=key_id))
    for method, request in (
        ("Sign", uses.SignRequest(key=own.name, message=b"m", request_id=key_id)),
        ("RotateKey", keys.RotateKeyRequest(name=own.name, request_id=key_id)),
    ):
        refusal = refused(lambda m=method, r=request: other(m, r))
        assert refusal.reason == "REQUEST_ID_REUSED", method
        assert key.name + "/" not in str(refusal.message) + str(refusal.info)
        assert "resource" not in refusal.info.metadata
        named = refused(lambda m=method, r=request: admin(m, r))  # who may know of the first key
        assert named.info.metadata["resource"].startswith(f"{key.name}/versions/")
    for method, request in (
        ("Sign", uses.SignRequest(key=key.name, message=b"other", request_id=key_id)),
        ("Sign", uses.SignRequest(key=key.name, message=b"m", request_id=key_id)),
        ("RotateKey", keys.RotateKeyRequest(name=key.name, request_id=key_id)),
    ):
        refusal = refused(lambda m=method, r=request: other(m, r))
        assert refusal.reason == "RESOURCE_NOT_FOUND", method


def test_a_request_id_that_was_used_names_no_hidden_change(new_caller, admin, key_id, refused):
    quorum = key_pb2.Quorum(approvals_needed=1, approvers=[new_caller("server.reader").name])
    policy = key_pb2.KeyPolicy(grants=[grant([MANAGE], admin.name)], quorum=quorum)
    other = new_caller("signing.admin")
    for caller, name in ((admin, key_id), (other, key_id + "-own")):
        create(caller, name, policy if caller is admin else None)
    request = keys.DestroyKeyVersionRequest(name=f"keys/{key_id}/versions/1", request_id=key_id)
    change = admin("DestroyKeyVersion", request).change
    request.name = f"keys/{key_id}-own/versions/1"
    refusal = refused(lambda: other("DestroyKeyVersion", request))
    assert refusal.reason == "REQUEST_ID_REUSED"
    assert "resource" not in refusal.info.metadata
    request.name = f"keys/{key_id}/versions/2"
    assert (
        refused(lambda: admin("DestroyKeyVersion", request)).info.metadata["resource"]
        == change.name
    )
