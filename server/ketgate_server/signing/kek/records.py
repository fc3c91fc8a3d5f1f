"""Key-encryption keys as the store has them: how each is had, and the check by which a wrong one is
told. Never the key itself."""

import hmac
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from ketgate_server.signing.kek.errors import KeyStoreSealed
from ketgate_server.signing.kek.kek import ID_BYTES, Kek
from ketgate_server.signing.kek.wiping import wiped
from ketgate_server.store.base import Reader, Transaction

FORMAT = 1

_COLUMNS = "id, kind, body, create_time_us"
_ACTIVE = (
    f"SELECT {_COLUMNS} FROM signing_keks WHERE retire_time_us IS NULL "  # noqa: S608
    "ORDER BY create_time_us, id"
)
_INSERT = "INSERT INTO signing_keks (id, kind, body, create_time_us) VALUES (?, ?, ?, ?)"
_RETIRE = "UPDATE signing_keks SET retire_time_us = ? WHERE id = ? AND retire_time_us IS NULL"
_STORED = ("signing_versions", "signing_keys", "signing_changes", "signing_wrapping_keys")


@dataclass(frozen=True)
class KekRecord:
    """What is stored of a key-encryption key."""

    id: str
    kind: str
    parameters: Mapping[str, str | int] = field(default_factory=dict)
    check: bytes = b""
    create_time_us: int = 0

    def kek(self, secret: bytearray) -> Kek | None:
        """The key, if these are its bytes, which are overwritten; None: they are another's."""
        with wiped(secret):
            kek = Kek(self.id, secret)
        if hmac.compare_digest(kek.check(_canonical(self.kind, self.parameters)), self.check):
            return kek
        kek.close()
        return None


def new_record(
    kind: str, parameters: Mapping[str, str | int], secret: bytearray
) -> tuple[KekRecord, Kek]:
    """The record of a new key, with its key. The secret is overwritten."""
    with wiped(secret):
        kek = Kek(os.urandom(ID_BYTES).hex(), secret)
    return KekRecord(kek.id, kind, parameters, kek.check(_canonical(kind, parameters))), kek


def active(reader: Reader) -> list[KekRecord]:
    """Those that something may be encrypted under, oldest first: more than one while one takes the
    place of another. Raises KeyStoreSealed."""
    return [_read(*row) for row in reader.rows(_ACTIVE)]


def insert(tx: Transaction, record: KekRecord) -> None:
    """Store a record as the newest."""
    row = tx.row("SELECT max(create_time_us) FROM signing_keks")
    newest = -1 if row is None or row[0] is None else row[0]
    body = _canonical(record.kind, record.parameters, record.check)
    tx.execute(_INSERT, (record.id, record.kind, body, max(tx.now_us, newest + 1)))


def retire(tx: Transaction, kek_id: str) -> bool:
    """Nothing is encrypted under it any more. Whether that is new."""
    return tx.execute(_RETIRE, (tx.now_us, kek_id)) > 0


def holds_keys(reader: Reader) -> bool:
    """Whether anything stored depends on a key-encryption key."""
    return any(
        reader.row(f"SELECT 1 FROM {table} LIMIT 1")  # noqa: S608 - names of the tuple above
        for table in _STORED
    )


def _canonical(kind: str, parameters: Mapping[str, str | int], check: bytes | None = None) -> bytes:
    content = {"format": FORMAT, "kind": kind, "parameters": dict(parameters)}
    if check is not None:
        content["check"] = check.hex()
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def _read(kek_id: str, kind: str, body: bytes, create_time_us: int) -> KekRecord:
    try:
        content = json.loads(bytes(body))
        if content["format"] != FORMAT:
            raise KeyStoreSealed(
                f"the record of the key-encryption key {kek_id} was written by a newer version of "
                "Ketgate; start that version"
            )
        parameters, check = dict(content["parameters"]), bytes.fromhex(content["check"])
        if len(bytes.fromhex(kek_id)) != ID_BYTES or kind != content["kind"]:
            raise ValueError
    except (ValueError, TypeError, KeyError) as error:
        raise KeyStoreSealed(
            f"the record of the key-encryption key {kek_id[:32]!r} in the store is damaged; restore "
            "the store from a back-up"
        ) from error
    return KekRecord(kek_id, kind, parameters, check, create_time_us)
