"""The vault: private keys go in as envelopes that are stored, and come out to be used.

It also makes the codes by which rows of the key store are told from what another hand wrote.
"""

import hmac
from dataclasses import dataclass

from ketgate_server.errors import KetgateError, Reason
from ketgate_server.signing.algorithms import ALGORITHMS
from ketgate_server.signing.kek.envelope import EnvelopeInvalid, OtherKek, open_envelope, seal
from ketgate_server.signing.kek.kek import Kek
from ketgate_server.signing.kek.wiping import wiped
from ketgate_server.signing.provider import Form, Material
from ketgate_server.store.base import Reader

_SECRET = 0
"""Form of a secret that is no private key of an algorithm's."""

_FORMS = {Form.SEED: 1, Form.RAW: 2, Form.EXPANDED: 3, Form.PKCS8: 4, Form.TOKEN: 5}
_FORM_OF = {number: form for form, number in _FORMS.items()}

_LENGTH_BYTES = 4


@dataclass(frozen=True)
class Owner:
    """Whose a private key is. An envelope opens for the same owner only."""

    tenant: str
    key_uid: str
    key_id: str
    version: int
    algorithm: str
    """Algorithm.id; of what is no key of an algorithm, a name that is none."""

    @property
    def place(self) -> tuple[str, ...]:
        return (self.tenant, self.key_uid, self.key_id, str(self.version), self.algorithm)

    def __str__(self) -> str:
        return f"keys/{self.key_id}/versions/{self.version} of tenant {self.tenant!r}"


def wrapping_owner(tenant: str, wrapping_key_id: str, algorithm: str) -> Owner:
    """Owner of a wrapping key's private part, sealed with seal_secret: what its row tells, so that it
    can be rewrapped from the row alone."""
    return Owner(tenant, wrapping_key_id, "", 0, f"wrapping:{algorithm}")


class Vault:
    """What a server seals and opens with. Threads share it."""

    def __init__(self, kek: Kek) -> None:
        self._kek = kek
        self.kek_id = kek.id

    def __repr__(self) -> str:
        return f"Vault({self.kek_id})"

    def seal(self, owner: Owner, material: Material) -> bytes:
        """An envelope with a private key. owner.algorithm is the material's."""
        if owner.algorithm != material.algorithm.id:
            raise ValueError(f"owner: expected {material.algorithm.id}, given {owner.algorithm}")
        packed = bytearray(len(material.public).to_bytes(_LENGTH_BYTES, "big"))
        packed += material.public
        packed += material.content
        with wiped(packed):
            return seal(self._kek, _FORMS[material.form], owner.place, packed)

    def open(self, owner: Owner, envelope: bytes) -> Material:
        """The private key of an envelope. Raises KetgateError: KEY_CORRUPT whatever else the bytes
        are, KEY_STORE_SEALED for an envelope under another key-encryption key."""
        form, packed = self._open(owner, envelope)
        with wiped(packed):
            algorithm = ALGORITHMS.get(owner.algorithm)
            split = _LENGTH_BYTES + int.from_bytes(packed[:_LENGTH_BYTES], "big")
            if (
                form not in _FORM_OF
                or algorithm is None
                or not _LENGTH_BYTES <= split <= len(packed)
            ):
                raise _corrupt(owner, "it holds no private key of this version's algorithm")
            content, public = bytes(packed[split:]), bytes(packed[_LENGTH_BYTES:split])
            return Material(algorithm, _FORM_OF[form], content, public)

    def seal_secret(self, owner: Owner, secret: bytes | bytearray) -> bytes:
        """An envelope with a secret that is no private key of an algorithm's, as a wrapping key's."""
        return seal(self._kek, _SECRET, owner.place, secret)

    def open_secret(self, owner: Owner, envelope: bytes) -> bytearray:
        """What seal_secret sealed, the caller's to overwrite. Raises as open()."""
        form, secret = self._open(owner, envelope)
        if form != _SECRET:
            raise _corrupt(owner, "it holds a private key of an algorithm's")
        return secret

    def reseal(self, owner: Owner, envelope: bytes, before: "Vault") -> bytes:
        """The same content in an envelope of this vault. before: that which opens it. Raises as
        open(), and changes nothing of the form."""
        form, secret = before._open(owner, envelope)
        with wiped(secret):
            return seal(self._kek, form, owner.place, secret)

    def mac(self, content: bytes) -> bytes:
        """A code over a row, 32 bytes; nobody without the key-encryption key can make one."""
        return self._kek.mac(content)

    def matches(self, mac: bytes, content: bytes) -> bool:
        """Whether a code is that of the content."""
        return hmac.compare_digest(mac, self._kek.mac(content))

    def check_current(self, reader: Reader) -> None:
        """For transactions that write what this vault made: raises KEY_STORE_SEALED when another
        server began to change the key-encryption key meanwhile, as nobody would rewrap the row."""
        row = reader.row(
            "SELECT id FROM signing_keks WHERE retire_time_us IS NULL "
            "ORDER BY create_time_us DESC, id DESC LIMIT 1"
        )
        if row is not None and row[0] != self.kek_id:
            raise KetgateError(
                Reason.KEY_STORE_SEALED,
                "the key-encryption key was changed while this server ran; restart it with the new one",
            )

    def close(self) -> None:
        """Overwrite what it holds; nothing opens any more."""
        self._kek.close()

    def _open(self, owner: Owner, envelope: bytes) -> tuple[int, bytearray]:
        try:
            return open_envelope(self._kek, owner.place, envelope)
        except OtherKek as error:
            raise KetgateError(
                Reason.KEY_STORE_SEALED,
                f"{owner} does not open: {error}, and this server has {self.kek_id}",
            ) from None
        except EnvelopeInvalid as error:
            raise _corrupt(owner, str(error)) from None


def _corrupt(owner: Owner, why: str) -> KetgateError:
    return KetgateError(Reason.KEY_CORRUPT, f"{owner} does not open: {why}")
