"""Rows that another hand wrote: seen, named in the log, and never used."""

from collections.abc import Callable

import pytest
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.signing.kek.vault import Vault
from ketgate_server.signing.keys.states import Act
from ketgate_server.signing.keys.store import KeyStore

from .conftest import LIMITS, Bench, new_vault

KEY_COLUMNS = {
    "uid": "'0'",
    "algorithm": "'ML_DSA_44'",
    "etag": "'x'",
    "primary_version": "1",
    "min_version": "2",
    "next_rotation_us": "1",
    "generation": "generation + 1",
}
VERSION_COLUMNS = {
    "state": "'ENABLED'",
    "destroy_time_us": "7",
    "fingerprint": "'00'",
    "generation": "generation + 1",
}
BYTES = {"signing_keys": ("body", "mac"), "signing_versions": ("public_key", "body", "envelope")}


def corrupt(call: Callable[[], object]) -> KetgateError:
    with pytest.raises(KetgateError) as caught:
        call()
    assert caught.value.reason is Reason.KEY_CORRUPT
    return caught.value


def test_every_column_of_a_key_is_covered(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.create()
    bench.rotate()
    for column, value in KEY_COLUMNS.items():
        before = _column(bench, "signing_keys", column)
        _set(bench, f"UPDATE signing_keys SET {column} = {value}")
        error = corrupt(bench.key)
        assert "keys/a" in error.message
        _set(bench, f"UPDATE signing_keys SET {column} = ?", before)
        bench.key()
    assert caplog.text.count("keys/a is corrupt") == len(KEY_COLUMNS)


def test_every_column_of_a_version_is_covered(bench: Bench) -> None:
    bench.create()
    bench.act(Act.DISABLE, 1)
    for column, value in VERSION_COLUMNS.items():
        before = _column(bench, "signing_versions", column)
        _set(bench, f"UPDATE signing_versions SET {column} = {value}")
        assert "keys/a/versions/1" in corrupt(lambda: bench.version(1)).message
        corrupt(lambda: bench.keys.versions("red", "a"))
        corrupt(lambda: bench.act(Act.ENABLE, 1))
        _set(bench, f"UPDATE signing_versions SET {column} = ?", before)
    bench.act(Act.ENABLE, 1)


@pytest.mark.parametrize(("table", "columns"), BYTES.items())
def test_bytes_are_covered(bench: Bench, table: str, columns: tuple[str, ...]) -> None:
    bench.create()
    read = bench.key if table == "signing_keys" else lambda: bench.version(1)
    for column in columns:
        before = bytes(_column(bench, table, column))  # type: ignore[arg-type]
        for changed in (before[:-1], before[:-1] + bytes([before[-1] ^ 1]), b""):
            _set(bench, f"UPDATE {table} SET {column} = ?", changed)
            corrupt(read)
        _set(bench, f"UPDATE {table} SET {column} = ?", before)
        read()


def test_a_row_is_good_in_its_place_alone(bench: Bench) -> None:
    bench.create("a")
    bench.create("b")
    bench.rotate("a")
    _set(bench, "DELETE FROM signing_versions WHERE key_id = 'a' AND version = 1")
    assert "missing" in corrupt(lambda: bench.keys.versions("red", "a")).message
    _set(bench, "UPDATE signing_versions SET key_id = 'a' WHERE key_id = 'b'")
    corrupt(lambda: bench.version(1, "a"))
    _set(bench, "UPDATE signing_keys SET tenant = 'blue' WHERE id = 'a'")
    corrupt(lambda: bench.keys.get("blue", "a"))


def test_rows_of_another_key_encryption_key_are_not_believed(bench: Bench) -> None:
    bench.create()
    vault: Vault = new_vault("cd" * 16, 8)
    other = KeyStore(bench.store, vault, bench.keys.providers, LIMITS)
    corrupt(lambda: other.get("red", "a"))


def test_a_server_that_was_not_told_of_a_new_key_encryption_key_says_so(bench: Bench) -> None:
    """Another server rewrapped all: nothing is corrupt, and a restart helps."""
    bench.create()
    _set(
        bench,
        "INSERT INTO signing_keks (id, kind, body, create_time_us) VALUES (?, 'file', ?, 1)",
        "cd" * 16,
        b"{}",
    )
    _set(bench, "UPDATE signing_keys SET mac = ?", b"of the new key-encryption key")
    with pytest.raises(KetgateError) as caught:
        bench.key()
    assert caught.value.reason is Reason.KEY_STORE_SEALED


def test_a_corrupt_row_hides_no_other(bench: Bench) -> None:
    bench.create("a")
    bench.create("b")
    _set(bench, "UPDATE signing_keys SET min_version = 9 WHERE id = 'a'")
    corrupt(lambda: bench.key("a"))
    assert bench.key("b").id == "b"
    bench.rotate("b")


def _set(bench: Bench, sql: str, *values: object) -> None:
    bench.store.run(lambda tx: tx.execute(sql, values))


def _column(bench: Bench, table: str, column: str) -> object:
    with bench.store.read() as reader:
        row = reader.row(f"SELECT {column} FROM {table} LIMIT 1")
    assert row is not None
    return row[0]
