"""Development certificates: made once, renewed in time, never half."""

import datetime
import stat

import pytest
from cryptography import x509
from ketgate_server.rpc import tls


def read(folder, name="server.pem"):
    return x509.load_pem_x509_certificate((folder / name).read_bytes())


def test_names_and_modes(tmp_path):
    certificate = tls.development(tmp_path / "tls", "desk.example.org")
    names = (
        read(tmp_path / "tls").extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    )
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "desk.example.org"]
    assert [str(a) for a in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    read(tmp_path / "tls").verify_directly_issued_by(read(tmp_path / "tls", "ca.pem"))
    assert certificate.ca_file == tmp_path / "tls" / "ca.pem"
    for key in ("ca.key", "server.key"):
        assert stat.S_IMODE((tmp_path / "tls" / key).stat().st_mode) == 0o600


def test_made_once(tmp_path):
    assert tls.development(tmp_path, "127.0.0.1") == tls.development(tmp_path, "localhost")


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_the_unspecified_address_is_no_name(tmp_path, host):
    assert tls.development(tmp_path, host) == tls.development(tmp_path, "localhost")


def test_a_new_name_makes_a_new_certificate_under_the_same_ca(tmp_path):
    first = tls.development(tmp_path, "localhost")
    ca = read(tmp_path, "ca.pem")
    second = tls.development(tmp_path, "10.1.2.3")
    assert first.chain != second.chain
    assert read(tmp_path, "ca.pem") == ca


def test_renewed_before_the_end(tmp_path, monkeypatch):
    first = tls.development(tmp_path, "localhost")
    later = datetime.datetime.now(datetime.UTC) + tls.SERVER_VALID - datetime.timedelta(days=29)
    monkeypatch.setattr(tls, "_now", lambda: later)
    second = tls.development(tmp_path, "localhost")
    assert first.chain != second.chain
    assert read(tmp_path).not_valid_after_utc > later + datetime.timedelta(days=300)


@pytest.mark.parametrize("name", ["ca.pem", "ca.key", "server.pem", "server.key"])
@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_a_damaged_file_is_made_again(tmp_path, name, damage):
    tls.development(tmp_path, "localhost")
    if damage == "gone":
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:50])
    tls.development(tmp_path, "localhost")
    read(tmp_path).verify_directly_issued_by(read(tmp_path, "ca.pem"))


def test_given_certificates(tmp_path):
    tls.development(tmp_path / "a", "localhost")
    tls.development(tmp_path / "b", "localhost")
    chain, key = tmp_path / "a" / "server.pem", tmp_path / "a" / "server.key"
    assert tls.given(chain, key, None).ca_file is None
    with pytest.raises(tls.CertificateError, match="is not the key of"):
        tls.given(chain, tmp_path / "b" / "server.key", None)
    with pytest.raises(tls.CertificateError, match="cannot read"):
        tls.given(tmp_path / "none.pem", key, None)
    with pytest.raises(tls.CertificateError, match="cannot read"):
        tls.given(key, key, None)


def test_a_given_certificate_that_ended_is_refused(tmp_path, monkeypatch):
    tls.development(tmp_path, "localhost")
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=400)
    monkeypatch.setattr(tls, "_now", lambda: later)
    with pytest.raises(tls.CertificateError, match="ended on"):
        tls.given(tmp_path / "server.pem", tmp_path / "server.key", None)
