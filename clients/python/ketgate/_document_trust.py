"""Whether the key of a document is one to trust: because it was given, was pinned, or is a server's."""

from typing import TYPE_CHECKING, NamedTuple

import google_crc32c

from ketgate._document import SignedDocument
from ketgate._document_signing import EXPORT, key_name
from ketgate._errors import DataLoss, KetgateError, NotFound
from ketgate._key_pins import KeyPins
from ketgate._public_keys import PublicKey
from ketgate.signing.v1 import key_pb2, key_service_pb2

if TYPE_CHECKING:
    from ketgate._client import Client


class Trust(NamedTuple):
    """Whether to trust a key."""

    trusted: bool
    why: str
    """Or why not, in words."""


def of_public_key(document: SignedDocument, public_key: PublicKey) -> Trust:
    """Whether it is the key that was given."""
    verdict = document.verify(public_key=public_key)
    return Trust(verdict.trusted, "it is the one given" if verdict.trusted else verdict.detail)


def of_fingerprint(document: SignedDocument, fingerprint: str) -> Trust:
    """Whether it is the key of this fingerprint."""
    verdict = document.verify(fingerprint=fingerprint)
    return Trust(verdict.trusted, "it is the one given" if verdict.trusted else verdict.detail)


def of_pins(document: SignedDocument, pins: KeyPins) -> Trust:
    """Whether this user trusts it."""
    if document.fingerprint in pins:
        return Trust(True, "it was pinned before")
    return Trust(
        False,
        "the key is not pinned: compare its fingerprint with what the signer says, then pass it by "
        "--fingerprint or --public-key, ask the server by --key, or trust it by --pin",
    )


def ask_server(client: "Client", document: SignedDocument, key: str) -> Trust:
    """Whether it is a version of this key at the server, and one that is enabled there."""
    name = key_name(key)
    if "/versions/" not in name:
        number = document.key_version.rpartition("/versions/")[2]
        if not (number.isdecimal() and len(number) < 10):
            return Trust(False, f"the document does not say which version of {name} signed")
        name = f"{name}/versions/{int(number)}"
    request = key_service_pb2.ExportPublicKeyRequest(
        name=name, format=key_service_pb2.PUBLIC_KEY_FORMAT_SPKI_DER
    )
    try:
        answer = client._call(EXPORT, request)
    except NotFound:
        return Trust(False, f"the server {client.address} has no {name}")
    except KetgateError as error:
        if error.reason != "KEY_UNUSABLE":
            raise
        state = error.message.partition(";")[0]  # after it: what its own users can do
        return Trust(False, f"{state} at {client.address}: ask its operator why")
    if google_crc32c.value(answer.public_key) != answer.public_key_crc32c:
        raise DataLoss("public_key_crc32c: the public key was damaged on the way")
    if answer.public_key != document.public_key:
        return Trust(False, f"the key is not {name} of {client.address}")
    if answer.version.state != key_pb2.KEY_VERSION_STATE_ENABLED:
        state = key_pb2.KeyVersionState.Name(answer.version.state)
        state = state.removeprefix("KEY_VERSION_STATE_")
        return Trust(False, f"{name} is {state} at {client.address}: ask its operator why")
    return Trust(True, f"it is {name} of {client.address}")
