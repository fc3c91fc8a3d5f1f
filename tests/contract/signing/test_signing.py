"""SigningService as a client in any language sees it: roles, refusals, streams, deadlines, another tenant."""

import hashlib
import time
import uuid
from pathlib import Path

import google_crc32c
import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from ketgate.audit.v1 import audit_service_pb2, audit_service_pb2_grpc
from ketgate.signing.v1 import key_service_pb2, key_service_pb2_grpc, signature_pb2
from ketgate.signing.v1 import signing_service_pb2 as pb
from ketgate.signing.v1 import signing_service_pb2_grpc as services
from ketgate_server.tokens import TokenStore

MESSAGE = b"pay 5 to Emma"


@pytest.fixture(scope="module")
def stub(server_channel):
    return services.SigningServiceStub(server_channel)


@pytest.fixture(scope="module")
def keys(server_channel):
    return key_service_pb2_grpc.KeyServiceStub(server_channel)


@pytest.fixture(scope="module")
def server_channel(server):
    with server.channel() as channel:
        yield channel


@pytest.fixture(scope="module")
def admin(server):
    return {"metadata": server.metadata, "timeout": 60}


@pytest.fixture(scope="module")
def token(server):
    """Makes tokens: options of a call by one."""
    tokens = TokenStore.open(Path(server.ready["token_file"]).parent)

    def make(*roles, tenant="default"):
        secret, _ = tokens.create(f"t-{uuid.uuid4().hex[:8]}", roles=roles, tenant=tenant)
        return {"metadata": (("authorization", f"Bearer {secret}"),), "timeout": 60}

    yield make
    tokens.close()


@pytest.fixture
def new_key(keys, admin):
    def make(algorithm="ML_DSA_44"):
        request = key_service_pb2.CreateKeyRequest(
            key_id=f"k-{uuid.uuid4().hex[:8]}", algorithm=f"ALGORITHM_{algorithm}"
        )
        return keys.CreateKey(request, **admin).key.name

    return make


def refusal(work):
    with pytest.raises(grpc.RpcError) as caught:
        work()
    return caught.value


def test_sign_and_verify(stub, admin, new_key):
    key = new_key()
    made = stub.Sign(pb.SignRequest(key=key, message=MESSAGE), **admin).signature
    assert made.key_version == f"{key}/versions/1"
    assert made.standard == "FIPS 204"
    assert made.provider.split()[0] in ("cryptography", "liboqs")
    request = pb.VerifyRequest(key=key, message=MESSAGE, signature=made.signature)
    assert stub.Verify(request, **admin).verdict.valid
    request.message = b"pay 6 to Emma"
    verdict = stub.Verify(request, **admin).verdict
    assert (verdict.valid, verdict.failure) == (False, signature_pb2.VERIFY_FAILURE_MISMATCH)


def test_a_stream_signs_what_a_call_verifies(stub, admin, new_key):
    key, message = new_key(), bytes(range(256)) * 10_000

    def parts():
        yield pb.SignStreamRequest(start=pb.SignRequest(key=key))
        for at in range(0, len(message), 1 << 20):
            yield pb.SignStreamRequest(chunk=message[at : at + (1 << 20)])
        yield pb.SignStreamRequest(message_crc32c=google_crc32c.value(message))

    made = stub.SignStream(parts(), **admin)
    assert made.message_bytes == len(message)
    assert made.signature.content_sha256 == hashlib.sha256(message).digest()
    request = pb.VerifyRequest(key=key, message=message, signature=made.signature.signature)
    assert stub.Verify(request, **admin).verdict.valid

    def verified():
        yield pb.VerifyStreamRequest(
            start=pb.VerifyRequest(key=key, signature=made.signature.signature)
        )
        yield pb.VerifyStreamRequest(chunk=message[:1000])

    assert not stub.VerifyStream(verified(), **admin).verdict.valid


def test_a_batch_answers_item_by_item(stub, admin, new_key):
    items = [signature_pb2.SignItem(reference=str(i), message=bytes([i])) for i in range(20)]
    items[7].message_crc32c = 1
    results = stub.SignBatch(pb.SignBatchRequest(key=new_key(), items=items), **admin).results
    assert [one.reference for one in results] == [str(i) for i in range(20)]
    assert [i for i, one in enumerate(results) if one.HasField("error")] == [7]
    assert results[7].error.reason == "CHECKSUM_MISMATCH"


def test_roles(stub, token, new_key):
    key, user, other = new_key(), token("signing.user"), token("quantum.user")
    stub.Sign(pb.SignRequest(key=key, message=MESSAGE), **user)
    error = refusal(lambda: stub.Sign(pb.SignRequest(key=key, message=MESSAGE), **other))
    assert error.code() is grpc.StatusCode.PERMISSION_DENIED
    assert "signing.user" in error.details()


def test_a_user_makes_no_keys(keys, token):
    request = key_service_pb2.CreateKeyRequest(key_id="mine", algorithm="ALGORITHM_ED25519")
    error = refusal(lambda: keys.CreateKey(request, **token("signing.user")))
    assert error.code() is grpc.StatusCode.PERMISSION_DENIED


def test_another_tenants_key_is_not_there(stub, token, new_key):
    key, stranger = new_key(), token("signing.user", tenant="elsewhere")
    absent = refusal(lambda: stub.Sign(pb.SignRequest(key="keys/absent", message=b"m"), **stranger))
    hidden = refusal(lambda: stub.Sign(pb.SignRequest(key=key, message=b"m"), **stranger))
    assert hidden.code() is absent.code() is grpc.StatusCode.NOT_FOUND
    assert hidden.details() == absent.details().replace("keys/absent", key)


def test_an_envelope_of_jose(stub, admin, new_key):
    key = new_key()
    options = signature_pb2.SigningOptions(format="SIGNATURE_FORMAT_JWS")
    request = pb.SignRequest(key=key, message=MESSAGE, options=options)
    made = stub.Sign(request, **admin).signature.signature
    assert made.count(b".") == 2
    check = pb.VerifyRequest(key=key, signature=made, options=options)
    assert stub.Verify(check, **admin).verdict.valid
    check.message = b"another"
    assert not stub.Verify(check, **admin).verdict.valid


def test_a_refused_use_is_in_the_audit(stub, admin, token, new_key, server_channel):
    key, user = new_key("ML_KEM_768"), token("signing.user")
    refusal(lambda: stub.Sign(pb.SignRequest(key=key, message=b"m"), **user))
    audit = audit_service_pb2_grpc.AuditServiceStub(server_channel)

    def outcomes():
        size = audit.GetInclusionProof(
            audit_service_pb2.GetInclusionProofRequest(index=0), **admin
        ).size
        request = audit_service_pb2.ListEntriesRequest(
            start_index=max(0, size - 100), page_size=200
        )
        entries = audit.ListEntries(request, **admin).entries
        payloads = [audit_service_pb2.AuditPayload.FromString(e.payload) for e in entries]
        return [p.outcome for p in payloads if p.action.endswith("/Sign")]

    end_s = time.monotonic() + 60
    while "FIELD_INVALID" not in outcomes():  # refusals are written down without waiting
        assert time.monotonic() < end_s
        time.sleep(0.05)


def test_certificates(stub, admin, new_key):
    from cryptography import x509

    key = new_key("ML_DSA_65")
    request = pb.IssueCertificateRequest(
        key=key, issuer="CN=root", validity=Duration(seconds=86_400), is_authority=True
    )
    made = stub.IssueCertificate(request, **admin)
    certificate = x509.load_pem_x509_certificate(made.pem.encode())
    certificate.verify_directly_issued_by(certificate)


def test_keys_outlive_the_server(start_server, tmp_path):
    first = start_server(data_dir=tmp_path / "store")
    with first.channel() as channel:
        options = {"metadata": first.metadata, "timeout": 60}
        request = key_service_pb2.CreateKeyRequest(key_id="a", algorithm="ALGORITHM_ML_DSA_65")
        key_service_pb2_grpc.KeyServiceStub(channel).CreateKey(request, **options)
        sign = pb.SignRequest(key="keys/a", message=MESSAGE, request_id="one")
        made = services.SigningServiceStub(channel).Sign(sign, **options)
    assert first.stop() == 0
    second = start_server(data_dir=tmp_path / "store")
    with second.channel() as channel:
        options = {"metadata": second.metadata, "timeout": 60}
        stub = services.SigningServiceStub(channel)
        assert stub.Sign(sign, **options) == made
        check = pb.VerifyRequest(key="keys/a", message=MESSAGE, signature=made.signature.signature)
        assert stub.Verify(check, **options).verdict.valid
