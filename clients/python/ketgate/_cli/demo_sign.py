"""The demo signs what it found with a fresh post-quantum key, and verifies the document without the server."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from ketgate._client import Client
from ketgate._document import SignedDocument
from ketgate._errors import PermissionDenied
from ketgate._result import Result

DOCUMENT = "ketgate-demo.signed.json"
ALGORITHM = "ML_DSA_65"


@dataclass(frozen=True)
class Signed:
    """The document that was made."""

    document: str
    algorithm: str
    provider: str
    valid: bool
    changed_valid: bool
    """Whether it also holds with another title, as it must not."""


def sign(
    client: Client, result: Result, title: str, output: Path, line: Callable[[str], None]
) -> Signed | None:
    """None where the server is somebody else's, and the token may make no keys there."""
    signing = client.signing
    try:
        key = signing.create_key(
            f"demo-{secrets.token_hex(4)}", ALGORITHM, destroy_delay=timedelta(minutes=1)
        )
    except PermissionDenied:
        line("   Not signed: the token has not the role signing.admin.\n")
        return None
    made = client.sign(result, key=key.name, title=title)
    public_key = signing.export_public_key(key.name)
    output.mkdir(parents=True, exist_ok=True)
    path = made.save(output / DOCUMENT)
    document = SignedDocument.load(path)
    verdict = document.verify(public_key=public_key)
    document.message.title += "!"
    changed = document.verify(public_key=public_key)
    signing.destroy(f"{key.name}/versions/1")
    signature = made.message.signature
    line(
        f"[bold]5. The result, signed[/bold] by a fresh key of {signature.standard} ({made.algorithm}, "
        f"{signature.provider}): {path}\n"
        f"   Verified without the server: {'valid' if verdict else 'NOT valid'}; with one character changed: "
        f"{'VALID' if changed else 'not valid'}.\n"
    )
    return Signed(str(path), made.algorithm, signature.provider, verdict.valid, changed.valid)
