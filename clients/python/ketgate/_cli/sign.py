"""`ketgate sign`: a file as a signed document, or its signature alone."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ketgate._cli.connection import Json, Server, names_server
from ketgate._cli.files import STANDARD, is_standard, read_file, read_or_stream, write_output
from ketgate._client import Client
from ketgate._document import SignedDocument
from ketgate._document_content import CONTENT_BYTES_MAX
from ketgate._document_signing import UNARY_BYTES_MAX, key_name
from ketgate._errors import InvalidArgument
from ketgate._signing_types import Signature

WRAPPED_BYTES_MAX = 16 << 20
"""Of what a JWS or a COSE_Sign1 carries."""
ANY_SIZE = "With --raw the content stays outside, and is of any size."
SUFFIXES = {"document": ".signed.json", "raw": ".sig", "jws": ".jws", "cose": ".cose"}


@names_server
def sign(
    server: Server,
    file: Annotated[Path, typer.Argument(help="What to sign; - is standard input.")],
    key: Annotated[
        str | None, typer.Option(help="keys/ID, or the ID alone; default: $KETGATE_SIGNING_KEY.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Where to; default: FILE with .signed.json, .sig, .jws or .cose after it; - is "
            "standard output, as is the default for standard input.",
        ),
    ] = None,
    document: Annotated[
        bool,
        typer.Option(
            "--document", help="Content, signature and public key in one file: the default."
        ),
    ] = False,
    raw: Annotated[bool, typer.Option("--raw", help="The signature's bytes alone.")] = False,
    jws: Annotated[bool, typer.Option("--jws", help="A compact JWS with the content.")] = False,
    cose: Annotated[bool, typer.Option("--cose", help="A COSE_Sign1 with the content.")] = False,
    title: Annotated[
        str | None, typer.Option(help="Of a document; default: the file's name.")
    ] = None,
    context: Annotated[str, typer.Option(help="Context string, with --raw.")] = "",
    prehash: Annotated[
        str, typer.Option(help="Sign this hash of the content, as SHA2-512; with --raw.")
    ] = "",
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="Without randomness; with --raw.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Sign a file with a key of the server. `ketgate verify` checks it."""
    form = _form(document, raw, jws, cose)
    only_raw = {"--context": context, "--prehash": prehash, "--deterministic": deterministic}
    for option, given in only_raw.items():
        if given and form != "raw":
            raise InvalidArgument(f"{option}: expected --raw with it, given none", field=option)
    if title is not None and form != "document":
        raise InvalidArgument("--title: expected a document, given another form", field="--title")
    target = output or _beside(file, form)
    if as_json and is_standard(target):
        raise InvalidArgument(
            "--json: expected a file with it (--output FILE), as the signature goes to standard output, "
            "given none",
            field="--json",
        )
    name = key_name(key)
    with server.connect() as client:
        if form == "document":
            made = _document(client, file, name, title)
            content = made.to_json().encode() + b"\n"
            about = {"algorithm": made.algorithm, "key_version": made.key_version}
        else:
            options = {"context": context, "prehash": prehash, "deterministic": deterministic}
            signed = _signed(client, file, name, form, options)
            content = signed.signature
            about = {"algorithm": signed.algorithm, "key_version": signed.key_version}
            about |= {"provider": signed.provider, "content_sha256": signed.content_sha256.hex()}
    if not write_output(content, target, text=form in ("document", "jws")):
        return
    if as_json:
        typer.echo(json.dumps({"file": str(target)} | about, indent=2))
    else:
        typer.echo(f"{target}: {about['algorithm']} by {about['key_version']}")


def _form(document: bool, raw: bool, jws: bool, cose: bool) -> str:
    asked = {"document": document, "raw": raw, "jws": jws, "cose": cose}
    given = [name for name, wanted in asked.items() if wanted]
    if len(given) > 1:
        raise InvalidArgument(
            f"--{given[0]}: expected one form, given --{' --'.join(given)}", field=f"--{given[0]}"
        )
    return given[0] if given else "document"


def _beside(file: Path, form: str) -> Path:
    """Where a signature goes if nothing is said. Raises InvalidArgument."""
    if is_standard(file):
        return Path(STANDARD)
    if file.is_dir():
        raise InvalidArgument(
            f"FILE: expected a file, given the folder {file}",
            field="FILE",
            remedy="For a folder, `tar c FOLDER | ketgate sign - ...` signs one archive.",
        )
    return file.with_name(file.name + SUFFIXES[form])


def _document(client: Client, file: Path, key: str, title: str | None) -> SignedDocument:
    if not is_standard(file):
        return client.sign(file, key=key, title=title)
    content = read_file(file, "FILE", CONTENT_BYTES_MAX, ANY_SIZE)
    return client.sign(content, key=key, title=title)


def _signed(client: Client, file: Path, key: str, form: str, options: dict[str, Any]) -> Signature:
    if form != "raw":
        content = read_file(file, "FILE", WRAPPED_BYTES_MAX, ANY_SIZE)
        return client.signing.sign(key, content, format=form)
    found = read_or_stream(file, "FILE", UNARY_BYTES_MAX)
    if isinstance(found, bytes):
        return client.signing.sign(key, found, **options)
    return client.signing.sign_file(key, found, **options)
