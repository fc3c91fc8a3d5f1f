"""Wrapping keys in their table: each is good for one import, for an hour.

The private part is sealed as all private keys are. A wrapping key goes with the import that it was made for, in the
same transaction, and with an attempt that did not open: whoever tries blobs gets one try a key.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ketgate_server.errors import KetgateError, NotFound, Reason
from ketgate_server.randomness import drawn
from ketgate_server.signing.kek.vault import Owner, Vault, wrapping_owner
from ketgate_server.signing.keys.asker import Asker, server_asker
from ketgate_server.signing.keys.change import Change, Done, carry_out, repeated
from ketgate_server.signing.keys.names import ID_BYTES, new_id, wrapping_key_name
from ketgate_server.signing.keys.wrapping import Wrapping, generate
from ketgate_server.store.base import Reader, Store, Transaction
from ketgate_server.store.erasure import erasing

LIFETIME_US = 3_600_000_000

_INSERT = """INSERT INTO signing_wrapping_keys
    (tenant, id, creator, algorithm, public_key, envelope, kek, expire_time_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""
_FIND = """SELECT algorithm, envelope FROM signing_wrapping_keys
    WHERE tenant = ? AND id = ? AND expire_time_us > ?"""
_DELETE = "DELETE FROM signing_wrapping_keys WHERE tenant = ? AND id = ?"
_COUNT = "SELECT COUNT(*) FROM signing_wrapping_keys WHERE tenant = ? AND expire_time_us > ?"


@dataclass(frozen=True)
class WrappingKey:
    """A wrapping key, without its private part."""

    id: str
    wrapping: Wrapping
    public_key: bytes
    """SubjectPublicKeyInfo, DER."""
    expire_time_us: int

    @property
    def name(self) -> str:
        return wrapping_key_name(self.id)


class WrappingKeys:
    """The wrapping keys of a store. Threads share it."""

    def __init__(self, store: Store, vault: Vault, wrapping_keys_max: int) -> None:
        """wrapping_keys_max: of one tenant at once."""
        self._store = store
        self._vault = vault
        self._max = wrapping_keys_max

    def create(
        self, asker: Asker, wrapping: Wrapping, reply: Callable[[WrappingKey], bytes]
    ) -> Done[WrappingKey]:
        """A new wrapping key. Raises QUOTA_EXCEEDED."""
        known: Done[WrappingKey] | None = repeated(self._store, asker)
        if known is not None:
            return known
        with self._store.read() as reader:
            self._check_room(reader, asker.tenant, self._store.now_us())
        pair = generate(wrapping)
        made = WrappingKey(
            new_id(self._store.now_us(), drawn(ID_BYTES)), wrapping, pair.public_key, 0
        )
        envelope = self._vault.seal_secret(_owner(asker.tenant, made.id, wrapping), pair.private)

        def operation(change: Change) -> WrappingKey:
            self._check_room(change.tx, asker.tenant, change.now_us)
            self._vault.check_current(change.tx)
            stored = WrappingKey(made.id, wrapping, pair.public_key, change.now_us + LIFETIME_US)
            row = (
                asker.tenant,
                stored.id,
                asker.identity.subject,
                wrapping.value,
                pair.public_key,
                envelope,
                self._vault.kek_id,
                stored.expire_time_us,
            )
            change.tx.execute(_INSERT, row)
            change.resource = stored.name
            change.facts["wrapping_algorithm"] = wrapping.value
            return stored

        return carry_out(self._store, self._vault, asker, operation, reply)

    def open(self, tenant: str, wrapping_key_id: str, field: str) -> tuple[Wrapping, bytearray]:
        """How material is encrypted to a wrapping key, and its private part, the caller's to overwrite.

        Raises NotFound for one that is not there, was used, or has expired; KEY_CORRUPT, KEY_STORE_SEALED.
        """
        with self._store.read() as reader:
            row = reader.row(_FIND, (tenant, wrapping_key_id, self._store.now_us()))
        if row is None:
            raise NotFound(wrapping_key_name(wrapping_key_id), field)
        wrapping = Wrapping(row[0])
        owner = _owner(tenant, wrapping_key_id, wrapping)
        return wrapping, self._vault.open_secret(owner, bytes(row[1]))

    def spend(self, asker: Asker, wrapping_key_id: str) -> None:
        """Forget a wrapping key that something was tried with that does not open."""

        def operation(change: Change) -> None:
            take(self._store, change.tx, asker.tenant, wrapping_key_id)
            change.resource = wrapping_key_name(wrapping_key_id)
            change.facts["caller"] = asker.identity.subject

        server = server_asker(asker.tenant, "signing.wrapping_key.spent")
        carry_out(self._store, self._vault, server, operation)

    def _check_room(self, reader: Reader, tenant: str, now_us: int) -> None:
        row = reader.row(_COUNT, (tenant, now_us))
        if row is not None and row[0] >= self._max:
            raise KetgateError(
                Reason.QUOTA_EXCEEDED,
                f"the tenant has {self._max} wrapping keys, the limit signing.wrapping_keys_max; "
                "import with them, or wait until they expire",
                limit="signing.wrapping_keys_max",
            )


def is_there(reader: Reader, tenant: str, wrapping_key_id: str, now_us: int) -> bool:
    """Whether a wrapping key can be used."""
    return reader.row(_FIND, (tenant, wrapping_key_id, now_us)) is not None


def take(store: Store, tx: Transaction, tenant: str, wrapping_key_id: str) -> None:
    """Use a wrapping key up: it is erased, where the database can do that."""
    with erasing(store, tx):
        tx.execute(_DELETE, (tenant, wrapping_key_id))


def _owner(tenant: str, wrapping_key_id: str, wrapping: Wrapping) -> Owner:
    return wrapping_owner(tenant, wrapping_key_id, wrapping.value)
