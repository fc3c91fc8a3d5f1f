"""The key that signs heads: made once, kept private, and refused when it is none."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_public_key,
)
from ketgate_server.audit.signer import SignerError, open_signer


def test_a_key_is_made_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "audit.pem"
    first = open_signer(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert open_signer(path).key_id == first.key_id
    assert [file.name for file in path.parent.iterdir()] == ["audit.pem"]
    other = open_signer(tmp_path / "other.pem")
    assert other.key_id != first.key_id


def test_a_key_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "audit.pem"
    path.write_text("no key")
    with pytest.raises(SignerError, match="expected an unencrypted private key in PEM"):
        open_signer(path)
    with pytest.raises(SignerError, match="audit_key_file"):
        open_signer(path / "below")


def test_servers_that_start_at_once_use_one_key(tmp_path: Path) -> None:
    path = tmp_path / "shared" / "audit.pem"
    with ThreadPoolExecutor(8) as pool:
        signers = list(pool.map(lambda _: open_signer(path), range(8)))
    assert len({signer.key_id for signer in signers}) == 1
    assert [file.name for file in path.parent.iterdir()] == ["audit.pem"]


def test_a_signature_is_of_the_key_that_is_told(tmp_path: Path) -> None:
    signer = open_signer(tmp_path / "audit.pem")
    key = load_der_public_key(signer.public_key)
    assert isinstance(key, Ed25519PublicKey)
    key.verify(signer.sign(b"content"), b"content")


def test_another_kind_of_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "audit.pem"
    key = x25519.X25519PrivateKey.generate()
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(SignerError, match="expected an Ed25519 key"):
        open_signer(path)
