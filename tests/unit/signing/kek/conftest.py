"""Vaults, and a key store's rows without the services above them."""

import os
from pathlib import Path
from typing import Any

import pytest
from ketgate_server.signing.algorithms import ALGORITHMS
from ketgate_server.signing.kek import passphrase_source
from ketgate_server.signing.kek.kek import Kek
from ketgate_server.signing.kek.vault import Owner, Vault, wrapping_owner
from ketgate_server.signing.keys import changes, rows
from ketgate_server.signing.keys.changes import ChangeRecord
from ketgate_server.signing.keys.record import (
    ChangeState,
    KeyRecord,
    Origin,
    VersionRecord,
    VersionState,
)
from ketgate_server.signing.provider import Form, Material
from ketgate_server.signing.settings import SigningSettings
from ketgate_server.store.base import Store, Transaction

ML_DSA = ALGORITHMS["ML_DSA_65"]


def owner(**more: Any) -> Owner:
    fields = {"tenant": "default", "key_uid": "u" * 32, "key_id": "orders", "version": 1}
    return Owner(**{**fields, "algorithm": ML_DSA.id, **more})


def material(seed: bytes = b"s" * 32) -> Material:
    return Material(ML_DSA, Form.SEED, seed)


def new_vault() -> Vault:
    return Vault(Kek(os.urandom(16).hex(), bytearray(os.urandom(32))))


def seed_of(tenant: str, key_id: str, version: int) -> bytes:
    """The private key that fill() stores there."""
    return f"{tenant}/{key_id}/{version}".encode().ljust(32, b".")


def fill(store: Store, vault: Vault, keys: int = 3, versions: int = 2) -> None:
    """Keys of two tenants with their versions, of which the last is destroyed; a change, and a
    wrapping key."""

    def operation(tx: Transaction) -> None:
        for tenant in ("default", "other"):
            for number in range(keys):
                _key(tx, vault, tenant, f"key-{number}", versions)
        change = ChangeRecord(
            "default", "c" * 32, "key-0", ChangeState.PENDING, "ann", ("bob",), 1, 1, 10**18, 1
        )
        changes.write_change(tx, vault, change, tx.take(rows.COUNTER))
        whose = wrapping_owner("default", "w" * 32, "ML_KEM_768_AES_256_GCM")
        tx.execute(
            "INSERT INTO signing_wrapping_keys (tenant, id, creator, algorithm, public_key, envelope, "
            "kek, expire_time_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                "default",
                "w" * 32,
                "ann",
                "ML_KEM_768_AES_256_GCM",
                b"public",
                vault.seal_secret(whose, b"wrapping secret"),
                vault.kek_id,
                10**18,
            ),
        )

    store.run(operation)


def _key(tx: Transaction, vault: Vault, tenant: str, key_id: str, versions: int) -> None:
    key = KeyRecord(tenant, key_id, "u" * 32, ML_DSA, 1, "ann", "etag")
    generation = tx.take(rows.COUNTER)
    rows.write_key(tx, vault, key, generation)
    for number in range(1, versions + 1):
        gone = number == versions
        envelope = vault.seal(rows.owner(key, number), material(seed_of(tenant, key_id, number)))
        version = VersionRecord(
            tenant,
            key_id,
            number,
            VersionState.DESTROYED if gone else VersionState.ENABLED,
            ML_DSA,
            "cryptography",
            Origin.GENERATED,
            b"public",
            "f" * 64,
            1,
            None if gone else envelope,
        )
        rows.write_version(tx, vault, version, generation)


def check_filled(store: Store, vault: Vault, keys: int = 3, versions: int = 2) -> None:
    """Everything that fill() stored opens with this vault, and is what it was."""
    with store.read() as reader:
        for tenant in ("default", "other"):
            for number in range(keys):
                key = rows.read_key(reader, vault, tenant, f"key-{number}")
                assert key is not None
                found = rows.read_versions(reader, vault, tenant, key.id)
                assert [version.version for version in found] == list(range(versions, 0, -1))
                assert found[0].envelope is None
                for version in found[1:]:
                    assert version.envelope is not None
                    opened = vault.open(rows.owner(key, version.version), version.envelope)
                    assert opened == material(seed_of(tenant, key.id, version.version))
        change = changes.read_change(reader, vault, "default", "c" * 32)
        assert change is not None
        assert change.requester == "ann"
        (wrapping,) = reader.rows("SELECT envelope, kek FROM signing_wrapping_keys")
        whose = wrapping_owner("default", "w" * 32, "ML_KEM_768_AES_256_GCM")
        assert vault.open_secret(whose, bytes(wrapping[0])) == b"wrapping secret"
        assert wrapping[1] == vault.kek_id
        keks = reader.rows("SELECT DISTINCT kek FROM signing_versions WHERE envelope IS NOT NULL")
        assert keks == [(vault.kek_id,)]


def write_secret(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(0o600)
    return path


def settings(**given: Any) -> SigningSettings:
    return SigningSettings(**given)


@pytest.fixture
def quick_passphrases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2id with little memory: its strength is not what most tests are about."""
    monkeypatch.setattr(passphrase_source, "MEMORY_KIB", 64)
    monkeypatch.setattr(passphrase_source, "ITERATIONS", 1)
