"""Certificates and requests, as uses of a key."""

import datetime

import pytest
from cryptography import x509
from google.protobuf.duration_pb2 import Duration
from ketgate.signing.v1 import signing_service_pb2 as pb
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.signing.keys.record import Policy

YEAR = Duration(seconds=365 * 86_400)


def issue(desk, call, **fields):
    request = pb.IssueCertificateRequest(
        **({"key": "keys/ca", "issuer": "CN=ca", "validity": YEAR, "is_authority": True} | fields)
    )
    return pb.IssueCertificateResponse.FromString(desk.service.issue_certificate(call, request))


@pytest.mark.parametrize("algorithm", ["ML_DSA_65", "ED25519"])
def test_an_authority_certifies_another_key(desk, call, algorithm):
    desk.create("ca", algorithm)
    desk.create("desk", algorithm)
    authority = x509.load_pem_x509_certificate(issue(desk, call).pem.encode())
    request = pb.CreateSigningRequestRequest(
        key="keys/desk", subject="CN=desk,O=Example", subject_alternative_names=["desk.example"]
    )
    made = pb.CreateSigningRequestResponse.FromString(
        desk.service.create_signing_request(call, request)
    )
    assert x509.load_der_x509_csr(made.certificate_request).is_signature_valid
    answer = issue(
        desk,
        call,
        certificate_request=made.certificate_request,
        is_authority=False,
        validity=Duration(seconds=86_400),
    )
    certificate = x509.load_der_x509_certificate(answer.certificate)
    certificate.verify_directly_issued_by(authority)
    assert certificate.subject.rfc4514_string() == "CN=desk,O=Example"
    valid = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert datetime.timedelta(days=1) <= valid <= datetime.timedelta(days=1, hours=1)
    assert answer.key_version == "keys/ca/versions/1"
    facts = desk.entries("Sign")[-1].facts
    assert facts["issuer"] == "CN=ca"


def test_a_repeat_gets_the_same_certificate(desk, call):
    desk.create("ca")
    assert issue(desk, call, request_id="one") == issue(desk, call, request_id="one")
    assert issue(desk, call).certificate != issue(desk, call).certificate


def test_a_repeat_gets_the_same_certification_request(desk, call):
    """Its signature is one as any other: a repeat signed again."""
    desk.create("a", "ML_DSA_44")

    def ask(**fields):
        request = pb.CreateSigningRequestRequest(key="keys/a", subject="CN=a", **fields)
        return pb.CreateSigningRequestResponse.FromString(
            desk.service.create_signing_request(call, request)
        )

    assert ask(request_id="one") == ask(request_id="one")
    assert ask().certificate_request != ask().certificate_request
    with pytest.raises(KetgateError) as caught:
        ask(request_id="one", subject_alternative_names=["a.example"])
    assert caught.value.reason is Reason.REQUEST_ID_REUSED


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"validity": None}, "validity"),
        ({"validity": Duration(seconds=1)}, "validity"),
        ({"validity": Duration(seconds=1, nanos=-5)}, "validity"),
        ({"issuer": "nonsense"}, "issuer"),
        ({"certificate_request": b"junk"}, "certificate_request"),
        ({"is_authority": False, "path_length": 1}, "path_length"),
        ({"subject_alternative_names": ["not a name!"]}, "subject_alternative_names[0]"),
    ],
)
def test_what_cannot_be_certified_is_refused_by_its_field(desk, call, fields, field):
    desk.create("ca")
    with pytest.raises(KetgateError) as caught:
        issue(desk, call, **fields)
    assert caught.value.reason is Reason.FIELD_INVALID
    assert caught.value.field == field
    assert desk.entries("Sign") == []


def test_a_policy_of_contexts_keeps_a_key_from_certifying(desk, call):
    desk.create("ca", "ML_DSA_44", policy=Policy(contexts=(b"orders",)))
    with pytest.raises(KetgateError) as caught:
        issue(desk, call)
    assert caught.value.reason is Reason.POLICY_DENIED
