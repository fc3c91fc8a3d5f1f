"""`ketgate verify FILE --signature FILE.sig`: a signature beside what was signed, by a server or without one."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from ketgate._cli.connection import Server
from ketgate._cli.files import once_standard, read_file, read_or_stream
from ketgate._document_signing import UNARY_BYTES_MAX
from ketgate._errors import InvalidArgument
from ketgate._public_keys import fingerprint, read_public_key, spki_algorithm
from ketgate._signing_types import Verdict
from ketgate._verification import normal_name, takes_context, verify_signature

SIGNATURE_BYTES_MAX = 64 << 20
"""A JWS carries what was signed."""
WHOLE_BYTES_MAX = 2 << 30
"""Of what is verified without a server: it is read into memory."""


@dataclass(frozen=True)
class Given:
    """What the command line names."""

    file: Path
    signature: Path
    key: str | None
    public_key: Path | None
    algorithm: str
    context: str
    prehash: str
    form: str
    """ "raw", "jws" or "cose"."""


def verify_beside(server: Server, given: Given, as_json: bool) -> bool:
    """Whether the signature holds, told. Raises InvalidArgument."""
    if (given.key is None) == (given.public_key is None):
        named = "both" if given.key else "neither"
        raise InvalidArgument(
            f"--signature: expected --key (asks the server) or --public-key (needs none) with it, given {named}",
            field="--key",
        )
    once_standard(FILE=given.file, signature=given.signature)
    signature = read_file(given.signature, "--signature", SIGNATURE_BYTES_MAX)
    verdict = (
        _without_server(given, given.public_key, signature)
        if given.public_key is not None
        else _by_server(server, given, signature)
    )
    _tell(verdict, as_json)
    return verdict.valid


def _by_server(server: Server, given: Given, signature: bytes) -> Verdict:
    assert given.key is not None
    if given.algorithm:
        raise InvalidArgument(
            "--algorithm: expected none beside --key, whose algorithm is known, given one",
            field="--algorithm",
        )
    options: dict[str, Any] = {"context": given.context, "prehash": given.prehash}
    with server.connect() as client:
        signing = client.signing
        if given.form != "raw":
            content = read_file(given.file, "FILE", SIGNATURE_BYTES_MAX)
            return signing.verify(signature, content, key=given.key, format=given.form, **options)
        found = read_or_stream(given.file, "FILE", UNARY_BYTES_MAX)
        if isinstance(found, bytes):
            return signing.verify(signature, found, key=given.key, **options)
        return signing.verify_file(signature, found, key=given.key, **options)


def _without_server(given: Given, path: Path, signature: bytes) -> Verdict:
    for option, value in (("--prehash", given.prehash), ("--jws, --cose", given.form != "raw")):
        if value:
            raise InvalidArgument(
                f"{option}: expected --key with it, as a server verifies those, given --public-key",
                field=option,
            )
    public_key = read_public_key(path, "--public-key")
    algorithm = normal_name(given.algorithm) if given.algorithm else spki_algorithm(public_key)
    if not algorithm:
        raise InvalidArgument(
            "--algorithm: expected one, as the public key does not tell it here, given none",
            field="--algorithm",
        )
    if given.context and not takes_context(algorithm):
        raise InvalidArgument(
            f"--context: expected none, as {algorithm} takes none, given one", field="--context"
        )
    by_key = "With --key the server verifies it, which is sent content of any size."
    content = read_file(given.file, "FILE", WHOLE_BYTES_MAX, by_key)
    valid = verify_signature(algorithm, public_key, signature, content, given.context.encode())
    return Verdict(
        valid=valid,
        failure="" if valid else "mismatch",
        detail=""
        if valid
        else "it is not a signature of this key over this content with this context",
        algorithm=algorithm,
        key_version=f"the key {fingerprint(public_key)}",
        provider="",
    )


def _tell(verdict: Verdict, as_json: bool) -> None:
    if as_json:
        names = ("valid", "failure", "detail", "algorithm", "key_version", "provider")
        typer.echo(json.dumps({name: getattr(verdict, name) for name in names}, indent=2))
    elif verdict.valid:
        typer.echo(f"valid: {verdict.algorithm} by {verdict.key_version}")
    else:
        print(f"NOT VALID: {verdict.detail or verdict.failure}", file=sys.stderr)
