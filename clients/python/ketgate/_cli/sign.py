"""`ketgate sign`: a file as a signed document, or its signature alone."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ketgate._cli.connection import Json, Server, names_server
from ketgate._cli.files import read_file, write_output
from ketgate._client import Client
from ketgate._document_signing import UNARY_BYTES_MAX, key_name
from ketgate._errors import InvalidArgument
from ketgate._signing_types import Signature

WRAPPED_BYTES_MAX = 16 << 20
"""Of what a JWS or a COSE_Sign1 carries."""


@names_server
def sign(
    server: Server,
    file: Annotated[Path, typer.Argument(help="What to sign.")],
    key: Annotated[
        str | None, typer.Option(help="keys/ID, or the ID alone; default: $KETGATE_SIGNING_KEY.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Where to; default: FILE with .signed.json, .sig, .jws or .cose after it; - is the "
            "standard output, but for documents.",
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
    name = key_name(key)
    with server.connect() as client:
        if form == "document":
            made = client.sign(file, key=name, title=title)
            target = output or file.with_name(f"{file.name}.signed.json")
            made.save(target)
            about = {"algorithm": made.algorithm, "key_version": made.key_version}
        else:
            options = {"context": context, "prehash": prehash, "deterministic": deterministic}
            signed = _signed(client, file, name, form, options)
            target = output or file.with_name(file.name + (".sig" if raw else f".{form}"))
            if not write_output(signed.signature, target, text=jws):
                return
            about = {"algorithm": signed.algorithm, "key_version": signed.key_version}
            about |= {"provider": signed.provider, "content_sha256": signed.content_sha256.hex()}
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


def _signed(client: Client, file: Path, key: str, form: str, options: dict[str, Any]) -> Signature:
    if form != "raw":
        content = read_file(file, "FILE", WRAPPED_BYTES_MAX)
        return client.signing.sign(key, content, format=form)
    if is_long(file):
        return client.signing.sign_file(key, file, **options)
    return client.signing.sign(key, read_file(file, "FILE"), **options)


def is_long(file: Path) -> bool:
    """Whether a file is sent in pieces. Raises InvalidArgument."""
    try:
        return file.stat().st_size > UNARY_BYTES_MAX
    except OSError as error:
        raise InvalidArgument(
            f"FILE: {file} cannot be read: {error.strerror}", field="FILE"
        ) from None
