"""KeyService as a client in any language sees it: every method, refusals, repeats, roles."""

import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import google_crc32c
import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from ketgate.audit.v1 import audit_service_pb2, audit_service_pb2_grpc
from ketgate.signing.v1 import algorithm_pb2, key_pb2
from ketgate.signing.v1 import key_service_pb2 as pb
from ketgate.signing.v1 import key_service_pb2_grpc as services
from ketgate_server.tokens import TokenStore

TIMEOUT_S = 100.0
HOUR = Duration(seconds=3_600)


class Caller:
    """Calls as one token."""

    def __init__(self, channel: grpc.Channel, metadata: Any) -> None:
        self._stub = services.KeyServiceStub(channel)
        self._metadata = metadata

    def __call__(self, method: str, /, **fields: Any) -> Any:
        request = getattr(pb, f"{method}Request")(**fields)
        return getattr(self._stub, method)(request, metadata=self._metadata, timeout=TIMEOUT_S)

    def create(self, **fields: Any) -> Any:
        fields.setdefault("key_id", new_id())
        fields.setdefault("algorithm", "ALGORITHM_ED25519")
        return self("CreateKey", **fields)


def new_id() -> str:
    return f"k-{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="module")
def channel(server: Any) -> Iterator[grpc.Channel]:
    with server.channel() as opened:
        yield opened


@pytest.fixture(scope="module")
def admin(server: Any, channel: grpc.Channel) -> Caller:
    return Caller(channel, server.metadata)


@pytest.fixture(scope="module")
def token(server: Any, channel: grpc.Channel) -> Iterator[Callable[..., Caller]]:
    """Makes callers with roles."""
    tokens = TokenStore.open(Path(server.ready["token_file"]).parent)

    def make(*roles: str, tenant: str = "default") -> Caller:
        secret, _ = tokens.create(f"t-{uuid.uuid4().hex[:8]}", roles=roles, tenant=tenant)
        return Caller(channel, (("authorization", f"Bearer {secret}"),))

    yield make
    tokens.close()


def test_a_life_of_a_key(admin: Caller) -> None:
    made = admin.create(
        algorithm="ALGORITHM_ML_DSA_65",
        labels={"desk": "fx"},
        rotation_period=HOUR,
        destroy_delay=Duration(seconds=60),
    )
    key, first = made.key, made.version
    assert first.name == f"{key.name}/versions/1"
    assert first.state == key_pb2.KEY_VERSION_STATE_ENABLED
    assert first.origin == key_pb2.KEY_ORIGIN_GENERATED
    assert first.has_private_key
    assert len(first.fingerprint) == 64
    assert key.purpose == algorithm_pb2.KEY_PURPOSE_SIGN
    assert (key.primary_version, key.min_version, key.creator) == (1, 1, "admin")
    assert key.next_rotation_time.seconds - key.create_time.seconds == 3_600
    assert admin("GetKey", name=key.name).key == key
    assert admin("GetKeyVersion", name=first.name).version == first
    turned = admin("RotateKey", name=key.name)
    assert (turned.key.primary_version, turned.version.version) == (2, 2)
    assert turned.key.etag != key.etag
    off = admin("DisableKeyVersion", name=turned.version.name).version
    assert off.state == key_pb2.KEY_VERSION_STATE_DISABLED
    assert admin("GetKey", name=key.name).key.primary_version == 1
    on = admin("EnableKeyVersion", name=turned.version.name).version
    assert on == turned.version
    doomed = admin("DestroyKeyVersion", name=first.name)
    assert not doomed.HasField("change")
    assert doomed.version.state == key_pb2.KEY_VERSION_STATE_DESTROY_SCHEDULED
    assert doomed.version.HasField("destroy_time")
    listed = admin("ListKeyVersions", key=key.name).versions
    assert list(listed) == [on, doomed.version]
    saved = admin("RestoreKeyVersion", name=first.name).version
    assert saved.state == key_pb2.KEY_VERSION_STATE_DISABLED
    assert not saved.HasField("destroy_time")


def test_updates_by_mask(admin: Caller, refused: Any) -> None:
    key = admin.create(exportable=True, labels={"a": "b"}).key
    key.labels.clear()
    key.exportable = False
    key.rotation_period.CopyFrom(HOUR)
    mask = FieldMask(paths=["labels", "rotation_period"])
    new = admin("UpdateKey", key=key, update_mask=mask).key
    assert (dict(new.labels), new.exportable) == ({}, True)
    assert new.HasField("next_rotation_time")
    stale = refused(lambda: admin("UpdateKey", key=key, update_mask=mask))
    assert stale.reason == "ETAG_MISMATCH"
    new.ClearField("rotation_period")
    ended = admin("UpdateKey", key=new, update_mask=FieldMask(paths=["rotation_period"])).key
    assert not ended.HasField("next_rotation_time")
    for paths, expected in (
        ([], "at least one"),
        (["policy"], "SetKeyPolicy"),
        (["uid"], "labels"),
    ):
        answer = refused(
            lambda paths=paths: admin("UpdateKey", key=ended, update_mask=FieldMask(paths=paths))
        )
        assert answer.reason == "FIELD_INVALID"
        assert expected in answer.message


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"key_id": "Upper"}, "key_id"),
        ({"key_id": ""}, "key_id"),
        ({"key_id": "a" * 64}, "key_id"),
        ({"algorithm": "ALGORITHM_UNSPECIFIED"}, "algorithm"),
        ({"algorithm": 999}, "algorithm"),
        ({"algorithm": "ALGORITHM_RSA_PSS_SHA256"}, "algorithm"),
        ({"labels": {"Desk": "x"}}, "labels"),
        ({"labels": {"desk": "x" * 64}}, "labels[desk]"),
        ({"labels": {f"l{i}": "" for i in range(65)}}, "labels"),
        ({"rotation_period": Duration(seconds=3_599)}, "rotation_period"),
        ({"rotation_period": Duration(seconds=1 << 40)}, "rotation_period"),
        ({"rotation_period": Duration(seconds=3_600, nanos=-1)}, "rotation_period"),
        ({"destroy_delay": Duration(seconds=59)}, "destroy_delay"),
        ({"destroy_delay": Duration(seconds=121 * 86_400)}, "destroy_delay"),
        ({"provider": "cloud"}, "provider"),
        ({"request_id": "x" * 129}, "request_id"),
        ({"policy": key_pb2.KeyPolicy(uses_per_second=-1.0)}, "policy.uses_per_second"),
    ],
)
def test_what_a_key_cannot_be_is_refused_by_field(
    admin: Caller, refused: Any, fields: dict[str, Any], path: str
) -> None:
    for options in ({}, {"validate_only": True}):
        answer = refused(lambda options=options: admin.create(**{**fields, **options}))
        assert answer.reason == "FIELD_INVALID"
        assert answer.details["BadRequest"].field_violations[0].field == path
        assert answer.code is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    "name", ["", "keys/", "a", "keys/A", "keys/a/versions/1", "keys/a/", "x" * 9_000]
)
def test_names_that_no_key_can_have(admin: Caller, refused: Any, name: str) -> None:
    answer = refused(lambda: admin("GetKey", name=name))
    assert answer.reason == "FIELD_INVALID"
    assert len(answer.message) < 300


def test_an_id_that_is_taken(admin: Caller, refused: Any) -> None:
    key = admin.create().key
    answer = refused(lambda: admin.create(key_id=key.name.removeprefix("keys/")))
    assert (answer.reason, answer.code) == ("RESOURCE_EXISTS", grpc.StatusCode.ALREADY_EXISTS)


def test_a_repeat_gets_the_reply_of_the_first(admin: Caller, refused: Any) -> None:
    """Of every change, byte for byte, though the key changed since."""
    key_id, request_id = new_id(), new_id()
    created = admin.create(key_id=key_id, request_id=request_id, algorithm="ALGORITHM_ML_DSA_44")
    name = created.key.name
    rotated = admin("RotateKey", name=name, request_id=request_id)
    calls: list[tuple[str, dict[str, Any], Any]] = [
        ("CreateKey", {"key_id": key_id, "algorithm": "ALGORITHM_ML_DSA_44"}, created),
        ("RotateKey", {"name": name}, rotated),
    ]
    version = {"name": f"{name}/versions/1"}
    for method in (
        "DisableKeyVersion",
        "EnableKeyVersion",
        "DestroyKeyVersion",
        "RestoreKeyVersion",
    ):
        calls.append((method, version, admin(method, **version, request_id=request_id)))
    changed = {
        "key": key_pb2.Key(name=name, labels={"a": "b"}),
        "update_mask": FieldMask(paths=["labels"]),
    }
    calls.append(("UpdateKey", changed, admin("UpdateKey", **changed, request_id=request_id)))
    policy = {"name": name, "policy": key_pb2.KeyPolicy(uses_per_second=5)}
    calls.append(("SetKeyPolicy", policy, admin("SetKeyPolicy", **policy, request_id=request_id)))
    wrapping = {"wrapping_algorithm": "WRAPPING_ALGORITHM_ML_KEM_768_AES_256_GCM"}
    made = admin("CreateWrappingKey", **wrapping, request_id=request_id)
    calls.append(("CreateWrappingKey", wrapping, made))
    for method, fields, first in calls:
        again = admin(method, **fields, request_id=request_id)
        assert again.SerializeToString() == first.SerializeToString(), method
    assert len(admin("ListKeyVersions", key=name).versions) == 2
    other = refused(lambda: admin("RotateKey", name=admin.create().key.name, request_id=request_id))
    assert other.reason == "REQUEST_ID_REUSED"


def test_a_refusal_does_not_use_the_request_id_up(admin: Caller, refused: Any) -> None:
    key_id, request_id = new_id(), new_id()
    refused(lambda: admin("RotateKey", name=f"keys/{key_id}", request_id=request_id))
    admin.create(key_id=key_id)
    assert admin("RotateKey", name=f"keys/{key_id}", request_id=request_id).version.version == 2


def test_the_same_request_at_once_is_done_once(admin: Caller) -> None:
    name, request_id = admin.create().key.name, new_id()
    answers: list[bytes] = []

    def rotate() -> None:
        answers.append(admin("RotateKey", name=name, request_id=request_id).SerializeToString())

    threads = [threading.Thread(target=rotate) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 6
    assert len(set(answers)) == 1
    assert len(admin("ListKeyVersions", key=name).versions) == 2


def test_rotations_at_once_are_all_done(admin: Caller) -> None:
    name = admin.create().key.name
    threads = [
        threading.Thread(target=admin, args=("RotateKey",), kwargs={"name": name}) for _ in "1234"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    versions = admin("ListKeyVersions", key=name).versions
    assert [found.version for found in versions] == [5, 4, 3, 2, 1]
    assert len({found.fingerprint for found in versions}) == 5


def test_a_dry_run_makes_nothing(admin: Caller, refused: Any) -> None:
    key_id = new_id()
    shown = admin.create(key_id=key_id, validate_only=True, rotation_period=HOUR)
    assert shown.key.name == f"keys/{key_id}"
    assert shown.key.HasField("next_rotation_time")
    assert not shown.HasField("version")
    assert not shown.key.uid
    assert refused(lambda: admin("GetKey", name=shown.key.name)).reason == "RESOURCE_NOT_FOUND"


def test_lists_of_keys(admin: Caller) -> None:
    mark = uuid.uuid4().hex[:8]
    names = [admin.create(labels={"mark": mark}).key.name for _ in range(3)]
    admin.create(labels={"mark": mark}, algorithm="ALGORITHM_HMAC_SHA256")
    found: list[str] = []
    token = ""
    while True:
        page = admin(
            "ListKeys",
            filter=f"labels.mark = {mark} AND purpose = SIGN",
            page_size=2,
            page_token=token,
        )
        found += [key.name for key in page.keys]
        token = page.next_page_token
        if not token:
            break
    assert found == sorted(names)


def test_public_keys_in_their_formats(admin: Caller, refused: Any) -> None:
    version = admin.create().version
    pem = admin("ExportPublicKey", name=version.name.rpartition("/versions")[0])
    assert pem.format == pb.PUBLIC_KEY_FORMAT_SPKI_PEM
    assert pem.version == version
    assert pem.public_key_crc32c == google_crc32c.value(pem.public_key)
    der = admin("ExportPublicKey", name=version.name, format="PUBLIC_KEY_FORMAT_SPKI_DER")
    raw = admin("ExportPublicKey", name=version.name, format="PUBLIC_KEY_FORMAT_RAW").public_key
    for read in (load_pem_public_key(pem.public_key), load_der_public_key(der.public_key)):
        assert isinstance(read, ed25519.Ed25519PublicKey)
        assert read.public_bytes_raw() == raw
    jwk = admin("ExportPublicKey", name=version.name, format="PUBLIC_KEY_FORMAT_JWK").public_key
    assert b'"OKP"' in jwk
    bad = refused(lambda: admin("ExportPublicKey", name=version.name, format=77))
    assert bad.details["BadRequest"].field_violations[0].field == "format"


def test_a_public_key_is_read_in_whatever_state(admin: Caller, refused: Any) -> None:
    """Signatures of a version that was disabled could not be verified elsewhere either: its public key was refused."""
    version = admin.create().version
    exported = admin("ExportPublicKey", name=version.name)
    public_key = exported.public_key
    assert exported.usable
    for method, state in (
        ("DisableKeyVersion", key_pb2.KEY_VERSION_STATE_DISABLED),
        ("DestroyKeyVersion", key_pb2.KEY_VERSION_STATE_DESTROY_SCHEDULED),
    ):
        admin(method, name=version.name)
        answer = admin("ExportPublicKey", name=version.name)
        assert (answer.public_key, answer.version.state) == (public_key, state)
        assert not answer.usable
    primary = version.name.rpartition("/versions")[0]
    none = refused(
        lambda: admin("ExportPublicKey", name=primary)
    )  # no version is named, and none is primary
    assert (none.reason, none.code) == ("KEY_UNUSABLE", grpc.StatusCode.FAILED_PRECONDITION)
    missing = refused(lambda: admin("ExportPublicKey", name=primary + "/versions/2"))
    assert missing.reason == "RESOURCE_NOT_FOUND"
    admin("RestoreKeyVersion", name=version.name)
    admin("EnableKeyVersion", name=version.name)
    newer = admin("RotateKey", name=primary).version
    changed = key_pb2.Key(name=primary, min_version=2)
    admin("UpdateKey", key=changed, update_mask=FieldMask(paths=["min_version"]))
    older = admin("ExportPublicKey", name=version.name)
    assert (older.version.state, older.usable) == (key_pb2.KEY_VERSION_STATE_ENABLED, False)
    assert admin("ExportPublicKey", name=newer.name).usable


def test_algorithms_tell_who_has_them(admin: Caller) -> None:
    found = {a.name: a for a in admin("ListAlgorithms").algorithms}
    assert len(found) == len(algorithm_pb2.Algorithm.keys()) - 1
    mldsa = found["ML-DSA-65"]
    assert "cryptography" in mldsa.providers
    assert (mldsa.public_key_bytes, mldsa.output_bytes_max, mldsa.context_bytes_max) == (
        1952,
        3309,
        255,
    )
    assert mldsa.status == algorithm_pb2.ALGORITHM_STATUS_FINAL
    assert mldsa.nist_category == 3
    for algorithm in found.values():
        assert bool(algorithm.providers) != bool(algorithm.install_command), algorithm.name


def test_roles(admin: Caller, token: Callable[..., Caller], refused: Any) -> None:
    name = admin.create().key.name
    user, manager, stranger = token("signing.user"), token("signing.admin"), token("jobs.user")
    for caller in (user, manager):
        assert caller("GetKey", name=name).key.name == name
        assert caller("ListKeyVersions", key=name).versions
        assert caller("ExportPublicKey", name=name).public_key
        assert caller("ListAlgorithms").algorithms
    assert refused(lambda: user("RotateKey", name=name)).reason == "ROLE_MISSING"
    assert manager("RotateKey", name=name).version.version == 2
    for method, field in (
        ("GetKey", "name"),
        ("ListKeyVersions", "key"),
        ("ExportPublicKey", "name"),
    ):
        answer = refused(lambda m=method, f=field: stranger(m, **{f: name}))
        assert answer.reason == "ROLE_MISSING"
    assert refused(lambda: stranger("ListKeys")).reason == "ROLE_MISSING"


def test_another_tenant_sees_nothing(
    admin: Caller, token: Callable[..., Caller], refused: Any
) -> None:
    name = admin.create().key.name
    other = token("signing.admin", "signing.user", tenant="blue")
    hidden = refused(lambda: other("RotateKey", name=name))
    absent = refused(lambda: other("RotateKey", name="keys/nothing-here"))
    assert hidden.reason == absent.reason == "RESOURCE_NOT_FOUND"
    assert hidden.message.replace(name, "keys/nothing-here") == absent.message
    assert not other("ListKeys").keys
    assert other.create(key_id=name.removeprefix("keys/")).key.name == name


def test_a_repeat_is_authorised_anew(
    admin: Caller, token: Callable[..., Caller], refused: Any
) -> None:
    manager, request_id = token("signing.admin"), new_id()
    made = manager.create(key_id=new_id(), request_id=request_id)
    key_id = made.key.name.removeprefix("keys/")
    policy = key_pb2.KeyPolicy(
        grants=[key_pb2.KeyGrant(members=["somebody"], uses=["KEY_USE_MANAGE"])]
    )
    admin("SetKeyPolicy", name=made.key.name, policy=policy)
    answer = refused(lambda: manager.create(key_id=key_id, request_id=request_id))
    assert answer.reason == "RESOURCE_NOT_FOUND"


def test_every_change_is_in_the_audit(admin: Caller, server: Any, channel: grpc.Channel) -> None:
    stub = audit_service_pb2_grpc.AuditServiceStub(channel)
    options = {"metadata": server.metadata, "timeout": TIMEOUT_S}
    head = stub.GetSignedTreeHead(audit_service_pb2.GetSignedTreeHeadRequest(), **options)
    before = audit_service_pb2.TreeHead.FromString(head.head.tree_head).size
    key = admin.create().key
    request = audit_service_pb2.ListEntriesRequest(start_index=before)
    listed = stub.ListEntries(request, **options).entries
    found = [audit_service_pb2.AuditPayload.FromString(entry.payload) for entry in listed]
    (entry,) = [payload for payload in found if payload.resource == key.name]
    assert entry.action == "/ketgate.signing.v1.KeyService/CreateKey"
    assert entry.facts["key"] == key.name.removeprefix("keys/")
    assert (entry.facts["version"], entry.facts["state"]) == ("1", "ENABLED")
    assert int(entry.facts["generation"]) > 0
