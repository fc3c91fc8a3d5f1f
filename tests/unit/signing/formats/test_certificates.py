"""Certificates and requests, read and verified by `cryptography`, which wrote none of them."""

import ipaddress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from ketgate_server.errors import FieldError, KetgateError, Reason
from ketgate_server.signing.algorithms import ALGORITHMS
from ketgate_server.signing.certificates import (
    Order,
    Signer,
    create_signing_request,
    issue_certificate,
    read_request,
)
from ketgate_server.signing.formats import der, requests, x509_signatures
from ketgate_server.signing.provider import Providers

from tests.unit.signing.formats.pairs import PROVIDER, SIGNS, pair

NOW = datetime(2026, 11, 22, 12, 0, 0, 5, tzinfo=UTC)
PROVIDERS = Providers((PROVIDER,))
CLASSICAL = [name for name in SIGNS if "ECDSA_P" not in name[9:] and not name.endswith("_ED25519")]
"""What `cryptography` reads the keys of: all but composites."""
NAMES = [
    "desk.example",
    "*.example",
    "192.0.2.7",
    "2001:db8::7",
    "https://example/a",
    "a@b.example",
]


def issue(name: str = "ML_DSA_65", **order: Any) -> x509.Certificate:
    given = {"issuer": "CN=root,O=Example", "validity": timedelta(days=365)} | order
    made = issue_certificate(pair(name).signer(), Order(**given), PROVIDERS, NOW)
    return x509.load_der_x509_certificate(made)


def refused(message: str, name: str = "ML_DSA_44", **order: Any) -> None:
    with pytest.raises(FieldError, match=message):
        issue(name, **order)


@pytest.mark.parametrize("name", SIGNS)
def test_a_certificate_of_ones_own(name: str) -> None:
    made = issue(name, is_authority=True, path_length=1, subject_alternative_names=NAMES)
    own = pair(name)
    assert made.version is x509.Version.v3
    assert made.subject == made.issuer == x509.Name.from_rfc4514_string("CN=root,O=Example")
    assert made.not_valid_before_utc == NOW.replace(microsecond=0)
    assert made.not_valid_after_utc - made.not_valid_before_utc == timedelta(days=365)
    assert 1 << 158 <= made.serial_number < 1 << 159
    constraints = made.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert constraints.value == x509.BasicConstraints(ca=True, path_length=1)
    usage = made.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.key_cert_sign
    assert usage.value.crl_sign
    assert not usage.value.digital_signature
    subject = made.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    authority = made.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert authority.key_identifier == subject.key_identifier
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert not names.critical
    assert names.value.get_values_for_type(x509.DNSName) == ["desk.example", "*.example"]
    assert names.value.get_values_for_type(x509.IPAddress) == [
        ipaddress.ip_address(text) for text in NAMES[2:4]
    ]
    assert names.value.get_values_for_type(x509.UniformResourceIdentifier) == [NAMES[4]]
    assert names.value.get_values_for_type(x509.RFC822Name) == [NAMES[5]]
    # The signature, where the library knows it, and always by the provider.
    raw = x509_signatures.read(
        own.algorithm, x509_signatures.identifier(own.algorithm), made.signature
    )
    assert own.verify(raw, made.tbs_certificate_bytes)
    if name in CLASSICAL:
        made.verify_directly_issued_by(made)


@pytest.mark.parametrize("name", SIGNS)
def test_a_certificate_for_anothers_request(name: str) -> None:
    request = create_signing_request(pair(name).signer(), "CN=desk,OU=fx,O=Example", NAMES)
    if name in CLASSICAL:
        assert x509.load_der_x509_csr(request).is_signature_valid
    root = issue("ML_DSA_87", is_authority=True)
    made = issue("ML_DSA_87", certificate_request=request)
    assert made.issuer == root.subject
    assert made.subject == x509.Name.from_rfc4514_string("CN=desk,OU=fx,O=Example")
    assert made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    usage = made.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature
    assert not usage.key_cert_sign
    assert len(made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value) == 6
    authority = made.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    above = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert authority.key_identifier == above.key_identifier
    made.verify_directly_issued_by(root)


def test_a_chain_stands_before_a_verifier() -> None:
    root = issue("ML_DSA_87", is_authority=True, path_length=0)
    request = create_signing_request(pair("ML_DSA_44").signer(), "CN=desk", ["desk.example"])
    leaf = issue("ML_DSA_87", certificate_request=request)
    # The library's own rules for authorities; those for leaves ask for uses of TLS, which ours do not name.
    builder = x509.verification.PolicyBuilder().store(x509.verification.Store([root]))
    builder = builder.time(NOW.replace(tzinfo=None) + timedelta(days=1)).extension_policies(
        ca_policy=x509.verification.ExtensionPolicy.webpki_defaults_ca(),
        ee_policy=x509.verification.ExtensionPolicy.permit_all(),
    )
    found = builder.build_client_verifier().verify(leaf, [])
    assert found.chain == [leaf, root]


def test_requests_of_other_programs_are_read() -> None:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "übung")])
    builder = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(subject)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("a.example")]), critical=False)
        .add_attribute(x509.oid.AttributeOID.CHALLENGE_PASSWORD, b"word")
    )
    signed = [
        builder.sign(mldsa.MLDSA65PrivateKey.generate(), None),
        builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()),
        builder.sign(ec.generate_private_key(ec.SECP256K1()), hashes.SHA256()),
        builder.sign(
            rsa.generate_private_key(65537, 2048),
            hashes.SHA256(),
            rsa_padding=padding.PSS(padding.MGF1(hashes.SHA256()), 32),
        ),
    ]
    for request in signed:
        for encoding in (Encoding.DER, Encoding.PEM):
            made = issue("ED25519", certificate_request=request.public_bytes(encoding))
            assert made.subject == subject
            assert made.public_key() == request.public_key()
            names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            assert names.get_values_for_type(x509.DNSName) == ["a.example"]
            # What a request asks for beside its names, the issuer decides.
            assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_names_of_the_request_alone_are_critical() -> None:
    own = pair("ED25519")
    general = der.sequence(der.element(0x82, b"a.example"))
    request = requests.write(own.algorithm, own.public_key, der.sequence(), general, own.sign)
    made = issue("ED25519", certificate_request=request)
    assert made.extensions.get_extension_for_class(x509.SubjectAlternativeName).critical
    nameless = requests.write(own.algorithm, own.public_key, der.sequence(), b"", own.sign)
    refused(
        "certificate_request: expected one that names its subject", certificate_request=nameless
    )


def request_of(name: str = "ED25519") -> bytes:
    return create_signing_request(pair(name).signer(), "CN=a", ["a.example"])


def test_requests_that_do_not_hold_are_refused() -> None:
    own = pair("ED25519")
    good = request_of()
    spoiled = good[:-1] + bytes((good[-1] ^ 1,))
    refused("signature does not hold", certificate_request=spoiled)
    # Signed by somebody else for this key.
    stolen = Signer(own.algorithm, own.public_key, lambda content: own.sign(content + b"x"))
    refused(
        "signature does not hold", certificate_request=create_signing_request(stolen, "CN=a", [])
    )
    for wrong in (b"request", good[:-1], good + b"\0", good[1:], pair("ED25519").public_key):
        refused("certificate_request: expected a certification request", certificate_request=wrong)
    rsa_request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .sign(rsa.generate_private_key(65537, 2048), hashes.SHA256())
    )
    refused(
        "not signed with RSASSA-PSS-SHA-256",
        certificate_request=rsa_request.public_bytes(Encoding.DER),
    )


def test_a_request_that_no_provider_can_verify_says_what_is_missing() -> None:
    with pytest.raises(KetgateError) as missing:
        read_request(request_of("ML_DSA_44"), Providers(()))
    assert missing.value.reason is Reason.PART_NOT_INSTALLED


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ({"issuer": ""}, "issuer: expected a distinguished name of 1 to"),
        ({"issuer": "CN=" + "a" * 2000}, "issuer: expected .* given 2003 characters"),
        ({"issuer": "desk"}, "issuer: .*RFC 4514.* given desk; known are CN"),
        ({"issuer": "CN=" + "a" * 65}, "length must be >= 1 and <= 64"),
        ({"issuer": "C=Germany"}, "length must be >= 2 and <= 2"),
        ({"issuer": "CN=\\ff"}, "issuer: "),
        ({"issuer": "CN=#0500"}, "values in hexadecimal are not taken"),
        ({"issuer": "O=a, CN= #0500"}, "issuer: "),
        ({"issuer": "CN=a\\00b"}, "values are of printable characters"),
        ({"issuer": "CN=a\\0Ab"}, "values are of printable characters"),
        ({"issuer": "O="}, "values are of printable characters, one at least"),
        ({"issuer": ",".join(["O=a"] * 65)}, "a name has at most 64 parts"),
        ({"issuer": "CN=a\\=#b"}, ""),
        ({"validity": timedelta(seconds=59)}, "validity: expected a minute to 30 years"),
        ({"validity": timedelta(days=31 * 366)}, "validity: expected a minute to 30 years"),
        ({"validity": timedelta(days=-1)}, "validity: expected a minute to 30 years"),
        ({"path_length": 1}, "path_length: expected nothing without is_authority"),
        ({"is_authority": True, "path_length": -1}, "path_length: expected 0 to 255, given -1"),
        ({"is_authority": True, "path_length": 256}, "path_length: expected 0 to 255"),
        (
            {"certificate_request": b"a", "subject_alternative_names": ["a"]},
            "subject_alternative_names: expected none beside certificate_request",
        ),
        ({"subject_alternative_names": ["a.example"] * 101}, "expected at most 100, given 101"),
    ],
)
def test_orders_that_cannot_be(order: dict[str, Any], message: str) -> None:
    if not message:
        issue("ML_DSA_44", **order)
        return
    refused(message, **order)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a b",
        "-a.example",
        "a..example",
        "a.example.",
        "192.0.2.256",
        "1.2.3",
        "a" * 64,
        "*.*.example",
        "*",
        "münchen.example",
        "a@",
        "@b.example",
        "a b@c.example",
        "a@b@c.example",
        "a@-b",
        "https://",
        "https:// a",
        "https://[::1",
        "https://ex\nample",
        "x" * 1001,
        "a\0b",
        "fe80::1%eth0",
    ],
)
def test_alternative_names_that_are_none(name: str) -> None:
    refused(r"subject_alternative_names\[1\]: ", subject_alternative_names=["ok.example", name])


@pytest.mark.parametrize("tag", [0xA0, 0xA3, 0xA4, 0x88, 0x82])
def test_other_kinds_of_alternative_names_in_requests_are_refused(tag: int) -> None:
    own = pair("ED25519")
    general = der.sequence(der.element(tag, b"a name"))
    name = x509.Name.from_rfc4514_string("CN=a").public_bytes()
    request = requests.write(own.algorithm, own.public_key, name, general, own.sign)
    refused("a subject alternative name", certificate_request=request)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (der.element(0x0C, b"a\0b"), "printable"),
        (der.element(0x13, b"\xc3\xa9"), "printable"),
        (der.element(0x0C, b"\xff"), "printable"),
        (der.element(0x0C, b""), "printable"),
        (der.element(0x1E, b"\0a"), "no UTF8String"),
        (der.element(0x14, b"a"), "no UTF8String"),
        (der.sequence(), "no UTF8String"),
        (b"", "no UTF8String"),
        (der.element(0x0C, b"a") * 2, "bytes follow"),
    ],
)
def test_subjects_whose_text_cannot_be_seen_are_refused(value: bytes, said: str) -> None:
    own = pair("ED25519")
    subject = der.sequence(der.set_of(der.sequence(der.oid("2.5.4.3"), value)))
    request = requests.write(own.algorithm, own.public_key, subject, b"", own.sign)
    refused(f"certificate_request: .*{said}", certificate_request=request)
    many = der.sequence(der.set_of(der.sequence(der.oid("2.5.4.3"), der.element(12, b"a"))))
    parts = der.Reader(many).read(der.SEQUENCE) * 65
    request = requests.write(own.algorithm, own.public_key, der.sequence(parts), b"", own.sign)
    refused("a name of more than 64 parts", certificate_request=request)


def test_requests_with_something_twice_or_of_another_version_are_refused() -> None:
    own = pair("ED25519")
    name = x509.Name.from_rfc4514_string("CN=a").public_bytes()
    names = der.octets(der.sequence(der.element(0x82, b"a.example")))
    extension = der.sequence(der.oid(requests.SUBJECT_ALTERNATIVE_NAME), names)

    def asks(*extensions: bytes) -> bytes:
        return der.sequence(
            der.oid(requests.EXTENSION_REQUEST), der.set_of(der.sequence(*extensions))
        )

    def request(attributes: bytes, version: int = 0) -> bytes:
        key = der.sequence(der.sequence(der.oid(own.algorithm.oid)), der.bits(own.public_key))
        rest = der.element(der.context(0), attributes)
        body = der.sequence(der.integer(version), name, key, rest)
        return requests.signed(own.algorithm, body, own.sign)

    issue("ED25519", certificate_request=request(asks(extension)))
    issue("ED25519", certificate_request=request(b""))
    for wrong, said in (
        (request(asks(extension, extension)), "names twice"),
        (request(asks(extension) + asks(extension)), "extensions twice"),
        (request(asks(*[der.sequence(der.oid("1.2.3"), der.octets(b""))] * 64)), "64 extensions"),
        (request(der.sequence(der.oid("1.2.3"), der.set_of()) * 32), "32 attributes"),
        (request(b"", version=1), "another version"),
    ):
        refused(f"certificate_request: .*{said}", certificate_request=wrong)


@pytest.mark.parametrize("name", ["FALCON_512", "RSA_PSS_SHA256", "HMAC_SHA256", "ML_KEM_768"])
def test_keys_that_sign_no_certificates(name: str) -> None:
    signer = Signer(ALGORITHMS[name], b"", lambda _: b"")
    with pytest.raises(FieldError, match=f"key: .*given one of {ALGORITHMS[name]}"):
        create_signing_request(signer, "CN=a", [])
    with pytest.raises(FieldError, match="key: "):
        issue_certificate(signer, Order("CN=a", timedelta(days=1)), PROVIDERS, NOW)


def test_serial_numbers_differ() -> None:
    assert len({issue("ED25519").serial_number for _ in range(20)}) == 20


def test_certificates_after_2049() -> None:
    made = issue("ED25519", validity=timedelta(days=10_000))
    assert made.not_valid_after_utc == NOW.replace(microsecond=0) + timedelta(days=10_000)
