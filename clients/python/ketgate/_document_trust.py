"""Whether the key of a document is one to trust: because it was given, was pinned, or is a server's."""

from typing import TYPE_CHECKING, NamedTuple

from ketgate._document import DocumentVerdict, SignedDocument
from ketgate._document_signing import key_name
from ketgate._errors import NotFound
from ketgate._key_material_asks import public_key_and_version
from ketgate._key_pins import KeyPins

if TYPE_CHECKING:
    from ketgate._client import Client


class Trust(NamedTuple):
    """Whether to trust a key."""

    trusted: bool
    why: str
    """Or why not, in words."""


def of_given(verdict: DocumentVerdict) -> Trust:
    """Whether it is the key that the document was verified with."""
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
    try:
        public_key, version, usable = client._do(public_key_and_version(name))
    except NotFound:
        return Trust(False, f"the server {client.address} has no {name}")
    if public_key != document.public_key:
        return Trust(False, f"the key is not {name} of {client.address}")
    if not usable:
        state = version.state.replace("_", " ")
        why = "below its key's min_version" if state == "enabled" else state
        return Trust(False, f"{name} is {why} at {client.address}: ask its operator why")
    return Trust(True, f"it is {name} of {client.address}")
