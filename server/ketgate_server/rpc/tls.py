"""Certificates. Without given ones, a development CA and a server certificate are made in the data
folder.

ECDSA P-256. The CA is made once; the server's certificate again when it nears its end or lacks a
name.
"""

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ketgate_server.files import write_whole

CA_VALID = datetime.timedelta(days=3650)
SERVER_VALID = datetime.timedelta(days=365)
RENEW_BEFORE = datetime.timedelta(days=30)
CLOCK_SKEW = datetime.timedelta(hours=1)
"""A certificate is valid from a little before now, for a client whose clock is behind."""


class CertificateError(Exception):
    """A certificate or key cannot be read or made; the message names the file."""


@dataclass(frozen=True)
class ServerCertificate:
    """What the server shows, and what a client needs to trust it."""

    key: bytes
    chain: bytes
    ca_file: Path | None
    """None when clients trust the chain by their own roots."""


def given(certificate_file: Path, key_file: Path, ca_file: Path | None) -> ServerCertificate:
    """The operator's own certificate. Raises CertificateError when the two do not belong
    together."""
    try:
        chain, key = certificate_file.read_bytes(), key_file.read_bytes()
        certificate = x509.load_pem_x509_certificates(chain)[0]
        private = serialization.load_pem_private_key(key, None)
    except (OSError, ValueError, TypeError) as error:
        raise CertificateError(f"cannot read {certificate_file} and {key_file}: {error}") from error
    if private.public_key() != certificate.public_key():
        raise CertificateError(
            f"the key {key_file} is not the key of the certificate {certificate_file}"
        )
    if certificate.not_valid_after_utc <= _now():
        raise CertificateError(
            f"the certificate {certificate_file} ended on {certificate.not_valid_after_utc}"
        )
    return ServerCertificate(key, chain, ca_file)


def development(folder: Path, host: str) -> ServerCertificate:
    """A certificate for localhost, 127.0.0.1, ::1 and host, made in folder unless a good one is
    there."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    ca_file, ca_key_file = folder / "ca.pem", folder / "ca.key"
    chain_file, key_file = folder / "server.pem", folder / "server.key"
    names = _names(host)
    try:
        ca, ca_key = _load(ca_file, ca_key_file)
        if ca is None or ca_key is None or ca.not_valid_after_utc < _now() + RENEW_BEFORE:
            ca, ca_key = _make_ca()
            _store(ca_file, ca_key_file, ca, ca_key)
        certificate, key = _load(chain_file, key_file)
        if certificate is None or key is None or not _is_good(certificate, ca, names):
            certificate, key = _make_server(ca, ca_key, names)
            _store(chain_file, key_file, certificate, key)
        return ServerCertificate(key_file.read_bytes(), chain_file.read_bytes(), ca_file)
    except (OSError, ValueError, TypeError) as error:
        raise CertificateError(
            f"cannot make or read the certificates in {folder}: {error}"
        ) from error


def _names(host: str) -> list[x509.GeneralName]:
    texts = dict.fromkeys(("localhost", "127.0.0.1", "::1", host))
    names: list[x509.GeneralName] = []
    for text in texts:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            names.append(x509.DNSName(text))
            continue
        if not address.is_unspecified:  # nobody connects to 0.0.0.0
            names.append(x509.IPAddress(address))
    return names


def _load(
    certificate_file: Path, key_file: Path
) -> tuple[x509.Certificate | None, ec.EllipticCurvePrivateKey | None]:
    """A certificate with its key; (None, None) unless both are there and belong together."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
    except (FileNotFoundError, ValueError):  # ValueError: cut short by a crash of the machine
        return None, None
    if (
        not isinstance(key, ec.EllipticCurvePrivateKey)
        or key.public_key() != certificate.public_key()
    ):
        return None, None
    return certificate, key


def _is_good(
    certificate: x509.Certificate, ca: x509.Certificate, names: list[x509.GeneralName]
) -> bool:
    if certificate.not_valid_after_utc < _now() + RENEW_BEFORE:
        return False
    try:
        certificate.verify_directly_issued_by(ca)
    except (InvalidSignature, ValueError):
        return False
    present = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return all(name in present for name in names)


def _make_ca() -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Ketgate development CA")])
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        _builder(name, name, key, CA_VALID)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate, key


def _make_server(
    ca: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey, names: list[x509.GeneralName]
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Ketgate development server")])
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    certificate = (
        _builder(name, ca.subject, key, SERVER_VALID)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(issuer_key, critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    return certificate, key


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    valid: datetime.timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_now() - CLOCK_SKEW)
        .not_valid_after(_now() + valid)
    )


def _store(
    certificate_file: Path,
    key_file: Path,
    certificate: x509.Certificate,
    key: ec.EllipticCurvePrivateKey,
) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_whole(key_file, pem)
    write_whole(certificate_file, certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
