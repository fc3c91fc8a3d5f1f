"""client.signing against a real server over TLS: keys, their uses, several callers, both clients."""

import asyncio
import secrets
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256, shake_256
from pathlib import Path
from typing import Any

import ketgate
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_public_key,
)
from ketgate import Grant, Policy, Quorum
from ketgate_server.tokens import TokenStore

SIGNING = [
    "ML_DSA_44",
    "ML_DSA_65",
    "ML_DSA_87",
    "ED25519",
    "ECDSA_P256_SHA256",
    "ECDSA_P384_SHA384",
    "ECDSA_SECP256K1_SHA256",
    "ML_DSA_44_ED25519",
    "ML_DSA_65_ECDSA_P384",
]


@pytest.fixture(scope="module")
def client(server: Any) -> Iterator[ketgate.Client]:
    with ketgate.connect(ready_file=server.ready_file) as made:
        yield made


def new_id() -> str:
    return f"sdk-{secrets.token_hex(4)}"


def caller(server: Any, name: str, *roles: str) -> ketgate.Client:
    """A client with a token of its own."""
    store = TokenStore.open(server.data_dir, None)
    try:
        secret, _ = store.create(name, roles=roles or ("signing.user",))
    finally:
        store.close()
    return ketgate.connect(server.address, ca_file=server.ready["ca_file"], token=secret)


@pytest.mark.parametrize("algorithm", SIGNING)
def test_every_algorithm_signs(client: ketgate.Client, algorithm: str) -> None:
    key = client.signing.create_key(new_id(), algorithm.lower().replace("_", "-"))
    signed = client.signing.sign(key, b"an order")
    assert (signed.algorithm, signed.key_version) == (algorithm, f"{key.name}/versions/1")
    assert client.signing.verify(signed, b"an order", key=key)
    assert not client.signing.verify(signed, b"another", key=key)
    public = client.signing.export_public_key(key)
    assert client.signing.verify(signed, b"an order", public_key=public)
    for garbage in (b"", b"x", bytes(5000), bytes(signed)[:40]):
        verdict = client.signing.verify(garbage, b"an order", key=key)
        assert not verdict
        assert verdict.failure in ("length", "malformed", "mismatch")


def test_versions_follow_each_other(client: ketgate.Client) -> None:
    signing = client.signing
    key = signing.create_key(new_id(), "ED25519", rotation_period=timedelta(days=30))
    first = signing.sign(key, "x")
    second = signing.rotate(key)
    assert second.version == 2
    assert [one.version for one in signing.versions(key)] == [2, 1]
    assert signing.get_key(key).primary_version == 2
    assert signing.verify(first, "x", key=key)
    changed = signing.update_key(key, min_version=2, stop_rotation=True, labels={"desk": "fx"})
    assert (changed.min_version, changed.rotation_period) == (2, None)
    assert not signing.verify(first, "x", key=key)
    with pytest.raises(ketgate.Aborted):
        signing.update_key(key, labels={}, etag=key.etag)
    gone = signing.destroy(second)
    assert isinstance(gone, ketgate.KeyVersion)
    assert gone.state == "destroy_scheduled"
    with pytest.raises(ketgate.FailedPrecondition) as caught:
        signing.sign(second, "x")
    assert caught.value.reason == "KEY_UNUSABLE"
    assert signing.restore(second).state == "disabled"
    assert signing.enable(second).state == "enabled"
    found = signing.keys(f'labels.desk = "fx" AND algorithm = {changed.algorithm}')
    assert key.uid in [one.uid for one in found]


def test_a_repeat_signs_and_creates_once(client: ketgate.Client) -> None:
    name, again = new_id(), secrets.token_hex(8)
    made = [client.signing.create_key(name, "ML_DSA_44", request_id=again) for _ in range(2)]
    assert made[0].uid == made[1].uid
    with pytest.raises(ketgate.AlreadyExists):
        client.signing.create_key(name, "ML_DSA_44")
    once = [bytes(client.signing.sign(name, "x", request_id=again)) for _ in range(2)]
    assert once[0] == once[1]
    assert bytes(client.signing.sign(name, "x")) != once[0]  # hedged
    with pytest.raises(ketgate.AlreadyExists) as caught:
        client.signing.sign(name, "y", request_id=again)
    assert caught.value.reason == "REQUEST_ID_REUSED"


def test_a_policy_binds_callers(client: ketgate.Client, server: Any) -> None:
    desk, other = f"desk-{secrets.token_hex(3)}", f"other-{secrets.token_hex(3)}"
    policy = Policy(
        grants=[Grant([desk], ["sign", "verify"]), Grant(["admin"], ["manage", "verify"])],
        contexts=["orders"],
    )
    key = client.signing.create_key(new_id(), "ML_DSA_44", policy=policy)
    with caller(server, desk) as allowed, caller(server, other) as stranger:
        signed = allowed.signing.sign(key, "x", context="orders")
        assert allowed.signing.verify(signed, "x", key=key, context="orders")
        with pytest.raises(ketgate.PermissionDenied) as denied:
            allowed.signing.sign(key, "x", context="payroll")
        assert denied.value.reason == "POLICY_DENIED"
        with pytest.raises(ketgate.NotFound):
            stranger.signing.sign(key, "x", context="orders")
        with pytest.raises(ketgate.PermissionDenied) as denied:
            allowed.signing.create_key(new_id())
        assert denied.value.reason == "ROLE_MISSING"
    with pytest.raises(ketgate.PermissionDenied):  # the role admin does not stand above grants
        client.signing.sign(key, "x", context="orders")


def test_two_of_three_approve(client: ketgate.Client, server: Any) -> None:
    names = [f"approver-{i}-{secrets.token_hex(3)}" for i in range(3)]
    key = client.signing.create_key(
        new_id(),
        "ML_DSA_44",
        policy=Policy(quorum=Quorum(2, names)),
        destroy_delay=timedelta(hours=1),
    )
    change = client.signing.set_policy(key, None, justification="no quorum any more")
    assert isinstance(change, ketgate.KeyChange)
    assert (change.what, change.state, change.approvals_needed) == ("set_policy", "pending", 2)
    with pytest.raises(ketgate.FailedPrecondition):
        client.signing.approve(change)
    for i, name in enumerate(names[:2]):
        with caller(server, name) as approver:
            seen = [one for one in approver.signing.changes(key.name) if one.name == change.name]
            assert seen[0].justification == "no quorum any more"
            change = approver.signing.approve(change)
        assert len(change.approvals) == i + 1
    assert change.state == "applied"
    assert client.signing.get_key(key).policy == Policy()
    assert isinstance(client.signing.destroy(f"{key.name}/versions/1"), ketgate.KeyVersion)


def test_batches_of_lists_arrays_and_frames(client: ketgate.Client) -> None:
    key = client.signing.create_key(new_id(), "ML_DSA_44")
    messages = np.array([b"a", b"bb", b"ccc"])
    signed = client.signing.sign_many(key, messages)
    verdicts = client.signing.verify_many(signed, messages, key=key)
    assert all(verdicts)
    signed[1] = bytes(signed[0])
    assert [bool(one) for one in client.signing.verify_many(signed, messages, key=key)] == [
        True, False, True,
    ]  # fmt: skip
    public = client.signing.export_public_key(key)
    assert client.signing.verify_many(signed[:1], [b"a"], public_key=public)[0]
    mixed = client.signing.sign_many(key, [b"x", b"y"] * 600, context="orders")
    assert all(client.signing.verify_many(mixed, [b"x", b"y"] * 600, key=key, context="orders"))


def test_a_batch_with_a_context_that_is_too_long(client: ketgate.Client) -> None:
    pandas = pytest.importorskip("pandas")
    key = client.signing.create_key(new_id(), "ML_DSA_44")
    frame = pandas.DataFrame({"message": ["a", "b"], "context": ["fits", "x" * 256]})
    found = client.signing.sign_many(key, frame)
    assert found["error"][0] == ""
    assert "items[1].context" in found["error"][1]
    checked = client.signing.verify_many(found, key=key)
    assert list(checked["valid"]) == [True, False]


def test_a_rate_is_kept_to_by_batches(client: ketgate.Client) -> None:
    policy = Policy(uses_per_second=100.0, burst=10)
    key = client.signing.create_key(new_id(), "HMAC_SHA256", policy=policy)
    key_of_signing = client.signing.create_key(new_id(), "ED25519", policy=policy)
    assert len(client.signing.sign_many(key_of_signing, [b"x"] * 25)) == 25
    assert client.signing.verify_mac(key, "x", client.signing.mac(key, "x"))


def test_files_streams_and_mu(client: ketgate.Client, tmp_path: Path) -> None:
    signing = client.signing
    key = signing.create_key(new_id(), "ML_DSA_65")
    content = secrets.token_bytes((3 << 20) + 17)
    (tmp_path / "file").write_bytes(content)
    signed = signing.sign_file(key, tmp_path / "file", context="orders")
    assert signed.content_sha256 == sha256(content).digest()
    assert signing.verify(signed, content, key=key, context="orders")
    assert signing.verify_file(signed, tmp_path / "file", key=key, context="orders")
    assert not signing.verify_file(signed, tmp_path / "file", key=key)
    raw = signing.export_public_key(key, "raw")
    mu = shake_256(shake_256(raw).digest(64) + b"\0\x06orders" + content).digest(64)
    assert signing.verify(signing.sign(key, mu, input="mu"), content, key=key, context="orders")
    small = signing.create_key(new_id(), "ED25519")
    with pytest.raises(ketgate.InvalidArgument, match="whole message"):
        signing.sign_file(small, tmp_path / "file")


def test_wrapped_signatures_bring_their_payload(client: ketgate.Client) -> None:
    key = client.signing.create_key(new_id(), "ED25519")
    for form in ("jws", "cose"):
        signed = client.signing.sign(key, "an order", format=form)
        assert client.signing.verify(signed, key=key, format=form)
        assert not client.signing.verify(bytes(signed)[:-2], key=key, format=form)
    assert b'"kid"' in client.signing.export_public_key(key, "jwk")


def test_secrets_are_sealed_and_shared(client: ketgate.Client) -> None:
    signing = client.signing
    vault = signing.create_key(new_id(), "HPKE_MLKEM768_X25519")
    sealed = signing.seal("a secret", key=vault, info="payroll")
    signing.rotate(vault)
    assert signing.open(vault, sealed, info="payroll") == b"a secret"
    with pytest.raises(ketgate.InvalidArgument) as caught:
        signing.open(vault, sealed)
    assert caught.value.reason == "CIPHERTEXT_INVALID"
    kem = signing.create_key(new_id(), "ML_KEM_768")
    made = signing.encapsulate(public_key=signing.export_public_key(kem))
    assert signing.decapsulate(kem, made.ciphertext) == made.shared_secret
    assert made.shared_secret.hex() not in repr(made)
    assert len({signing.random(32) for _ in range(3)}) == 3


def test_certificates(client: ketgate.Client) -> None:
    signing = client.signing
    root, desk = (
        signing.create_key(new_id(), "ML_DSA_65"),
        signing.create_key(new_id(), "ML_DSA_44"),
    )
    authority = signing.issue_certificate(root, "CN=root", timedelta(days=365), is_authority=True)
    request = signing.certificate_request(desk, "CN=desk", ["desk.example", "10.0.0.1"])
    leaf = signing.issue_certificate(
        root, "CN=root", timedelta(days=30), certificate_request=request
    )
    issued = x509.load_pem_x509_certificate(str(leaf).encode())
    issued.verify_directly_issued_by(x509.load_der_x509_certificate(bytes(authority)))


def test_private_keys_travel_encrypted(client: ketgate.Client) -> None:
    signing = client.signing
    own = ec.generate_private_key(ec.SECP256R1())
    pem = own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    key = signing.import_key(new_id(), "ECDSA_P256_SHA256", pem, exportable=True)
    taken: Any = load_der_private_key(signing.export_private_key(f"{key.name}/versions/1"), None)
    assert taken.private_numbers() == own.private_numbers()
    public = load_pem_public_key(signing.export_public_key(key))
    assert public == own.public_key()
    other = signing.import_public_key(new_id(), key.algorithm, signing.export_public_key(key))
    assert signing.verify(signing.sign(key, "x"), "x", key=other)
    assert not signing.versions(other)[0].has_private_key
    with pytest.raises(ketgate.FailedPrecondition) as caught:
        signing.export_private_key(f"{signing.create_key(new_id()).name}/versions/1")
    assert caught.value.reason == "KEY_NOT_EXPORTABLE"
    with pytest.raises(ketgate.InvalidArgument, match="private_key: expected") as wrong:
        signing.import_key(new_id(), "ED25519", b"too short")
    assert wrong.value.field == "private_key"


def test_what_the_server_has_is_told(client: ketgate.Client) -> None:
    found = {one.id: one for one in client.signing.algorithms()}
    ml_dsa = found["ML_DSA_65"]
    assert (ml_dsa.standard, ml_dsa.nist_category, ml_dsa.output_bytes_max) == ("FIPS 204", 3, 3309)
    assert "cryptography" in ml_dsa.providers
    assert found["FALCON_512"].status == "experimental"
    for one in found.values():
        assert one.providers or one.install_command, one


def test_the_asynchronous_client(server: Any) -> None:
    async def run() -> None:
        async with ketgate.aio.connect(ready_file=server.ready_file) as client:
            signing = client.signing
            key = await signing.create_key(new_id(), "ML_DSA_44", exportable=True)
            signed = await asyncio.gather(*(signing.sign(key, f"{i}") for i in range(20)))
            verdicts = await asyncio.gather(
                *(signing.verify(one, f"{i}", key=key) for i, one in enumerate(signed))
            )
            assert all(verdicts)
            many = await signing.sign_many(key, ["a", "b"])
            assert all(await signing.verify_many(many, ["a", "b"], key=key))
            file = await signing.sign_file(key, __file__)
            assert await signing.verify_file(file, __file__, key=key)
            assert key.uid in [one.uid for one in await signing.keys()]
            moved = await signing.export_private_key(f"{key.name}/versions/1")
            again = await signing.import_key(new_id(), "ML_DSA_44", moved)
            assert await signing.verify(signed[0], "0", key=again)
            document = await client.sign({"buy": 1}, key=key.name)
            assert document.verify(public_key=await signing.export_public_key(key))

    asyncio.run(run())
