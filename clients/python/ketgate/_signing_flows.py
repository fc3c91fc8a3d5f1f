"""What takes several questions about keys: batches of any length, and private keys that come and go encrypted."""

from __future__ import annotations

from typing import Any

from ketgate import _key_material_asks as material
from ketgate import _signing_asks as uses
from ketgate._errors import InvalidArgument, LimitExceeded, RateExceeded
from ketgate._flow import Flow
from ketgate._key_types import Key, KeyVersion
from ketgate._signing_tables import SignTable, VerifyTable


def sign_many(key: str | Key | KeyVersion, messages: Any, **options: Any) -> Flow[Any]:
    """Sign many messages with one key, on all cores of the server.

    messages: a list or an array of bytes or text; or a DataFrame with a column "message" and, if it likes,
    "context". options: context, prehash, input, deterministic. Returns for each its Signature, or an
    ItemError; of a DataFrame a copy with the columns "signature", "key_version" and "error".
    """
    table = SignTable(messages)
    for piece in table.pieces:
        try:
            signed = yield uses.sign_batch(key, piece, **options)
        except (LimitExceeded, RateExceeded) as error:
            table.pieces.after(error)
        else:
            table.pieces.add(signed)
    return table.result()


def verify_many(
    signatures: Any,
    messages: Any = None,
    *,
    key: str | Key | KeyVersion = "",
    public_key: bytes | str = b"",
    **options: Any,
) -> Flow[Any]:
    """Verify many signatures by one key, on all cores of the server.

    signatures, messages: in the same order; or one DataFrame with the columns "signature" and "message" and, if
    it likes, "context". options: algorithm, context, prehash, input. Returns for each its Verdict, or an
    ItemError; of a DataFrame a copy with the columns "valid" and "failure".
    """
    table = VerifyTable(signatures, messages)
    for piece in table.pieces:
        try:
            found = yield uses.verify_batch(piece, key=key, public_key=public_key, **options)
        except (LimitExceeded, RateExceeded) as error:
            table.pieces.after(error)
        else:
            table.pieces.add(found)
    return table.result()


def import_key(
    key_id: str,
    algorithm: str,
    private_key: Any,
    *,
    password: bytes | None = None,
    **options: Any,
) -> Flow[Key]:
    """Import a private key: it is encrypted here, to a key of the server's for this once.

    private_key: PKCS #8 in PEM or DER, a private key of the package cryptography, or raw bytes: the seed of
    ML-DSA, ML-KEM or HPKE, the key of HMAC. password: of an encrypted PKCS #8. options: labels, policy,
    exportable, destroy_delay, request_id. An existing key of this id gets a new version.
    """
    from ketgate._wrapping import WRAPPING_ALGORITHMS, private_key_bytes, wrap

    request = material.import_request(key_id, algorithm, **options)
    content = private_key_bytes(private_key, password)
    to = yield material.wrapping_key(WRAPPING_ALGORITHMS[0])
    request.wrapped.wrapping_key = to.name
    request.wrapped.wrapped_key = wrap(WRAPPING_ALGORITHMS[0], to.public_key, content)
    try:
        key: Key = yield material.import_key(material.with_checksum(request))
    except InvalidArgument as error:
        if error.field != "wrapped.wrapped_key":
            raise
        _, _, said = error.message.partition(
            ": "
        )  # it was wrapped here: what is wrong is what was given
        raise InvalidArgument(
            f"private_key: {said}", field="private_key", request_id=error.request_id
        ) from None
    return key


def export_private_key(name: str | KeyVersion) -> Flow[bytes]:
    """The private key of a version that is exportable: PKCS #8 in DER, or raw where its algorithm has none. It
    travels encrypted to a key that is made here for this once."""
    from ketgate._wrapping import Receiver

    receiver = Receiver()
    wrapped = yield material.export_wrapped_key(name, receiver.algorithm, receiver.public_key)
    return receiver.unwrap(wrapped)
