"""`ketgate verify`: whether a signed document holds, and whether its key is one to trust; or whether a file has
the signature that lies beside it.

Exit status: 0 valid, and by a key that was given, pinned or asked of the server; 3 not valid; 4 valid, but
by a key that nothing vouches for; 1 and 2, as of all commands, when it cannot be told.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ketgate._cli.connection import Json, Server, names_server
from ketgate._cli.files import is_standard, read_file, write_output
from ketgate._cli.verify_signature import Given, verify_beside
from ketgate._document import FILE_BYTES_MAX, SignedDocument
from ketgate._document_trust import Trust, ask_server, of_given, of_pins
from ketgate._errors import InvalidArgument
from ketgate._key_pins import KeyPins

EXIT_INVALID = 3
EXIT_NOT_PINNED = 4


@names_server
def verify(
    server: Server,
    file: Annotated[
        Path,
        typer.Argument(
            help="A signed document; or, with --signature, what was signed. - is standard input."
        ),
    ],
    signature: Annotated[
        Path | None, typer.Option(help="A signature of FILE, as `ketgate sign --raw` writes it.")
    ] = None,
    public_key: Annotated[
        Path | None, typer.Option(help="The key that must have signed: a PEM or DER file.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="Ask the server for its key keys/ID, and compare.")
    ] = None,
    fingerprint: Annotated[
        str | None, typer.Option(help="SHA-256 of the key that must have signed, hexadecimal.")
    ] = None,
    pin: Annotated[
        bool,
        typer.Option(
            "--pin",
            help="Trust the document's key from now on, if it holds; needs no other option.",
        ),
    ] = False,
    content: Annotated[
        Path | None,
        typer.Option(
            help="Write what was signed to this file (- is standard output), if it is valid and trusted."
        ),
    ] = None,
    algorithm: Annotated[
        str, typer.Option(help="Where the public key leaves it open; with --signature.")
    ] = "",
    context: Annotated[
        str, typer.Option(help="Context string that it was signed with; with --signature.")
    ] = "",
    prehash: Annotated[
        str, typer.Option(help="Hash that was signed, as SHA2-512; with --signature and --key.")
    ] = "",
    jws: Annotated[bool, typer.Option("--jws", help="The signature is a JWS.")] = False,
    cose: Annotated[bool, typer.Option("--cose", help="The signature is a COSE_Sign1.")] = False,
    as_json: Json = False,
) -> None:
    """Check a signed document, or a signature beside a file; only --key needs a server."""
    beside: dict[str, Any] = {"--algorithm": algorithm, "--context": context, "--prehash": prehash}
    beside |= {"--jws": jws, "--cose": cose}
    if signature is not None:
        of_documents = {"--fingerprint": fingerprint, "--pin": pin, "--content": content}
        _refuse(of_documents, "a signed document, not --signature")
        if jws and cose:
            raise InvalidArgument("--jws, --cose: expected one, given both", field="--jws")
        form = "jws" if jws else "cose" if cose else "raw"
        given = Given(file, signature, key, public_key, algorithm, context, prehash, form)
        if not verify_beside(server, given, as_json):
            raise typer.Exit(EXIT_INVALID)
        return
    _refuse(beside, "--signature")
    if sum(given is not None for given in (public_key, key, fingerprint)) > 1:
        raise InvalidArgument(
            "--public-key, --key, --fingerprint: expected one of them, given several", field="--key"
        )
    document = _load(file)
    verdict = document.verify(public_key, fingerprint=fingerprint)
    trust = Trust(False, "")
    if verdict.valid:
        if public_key is not None or fingerprint is not None:
            trust = of_given(verdict)
        elif key is not None:
            with server.connect() as client:
                trust = ask_server(client, document, key)
        else:
            trust = of_pins(document, KeyPins())
        asked = any(given is not None for given in (public_key, key, fingerprint))
        if pin and (trust.trusted or not asked):
            KeyPins().add(document.fingerprint, document.title or document.key_version)
            trust = Trust(True, trust.why if trust.trusted else "pinned now, as --pin says")
    if content is not None and verdict.valid and trust.trusted:
        write_output(document.content, content, text=False, option="--content")
    _tell(document, verdict.valid, trust, verdict.detail, as_json, aside=is_standard(content))
    if not verdict.valid:
        raise typer.Exit(EXIT_INVALID)
    if not trust.trusted:
        raise typer.Exit(EXIT_NOT_PINNED)


def _load(file: Path) -> SignedDocument:
    try:
        if is_standard(file):
            return SignedDocument.from_json(read_file(file, "FILE", FILE_BYTES_MAX))
        return SignedDocument.load(file)
    except InvalidArgument as error:
        if error.field != "document":
            raise
        remedy = "For a signature that lies beside a file, add --signature FILE.sig."
        raise InvalidArgument(error.message, field=error.field, remedy=remedy) from None


def _refuse(options: dict[str, Any], expected: str) -> None:
    for name, given in options.items():
        if given:
            raise InvalidArgument(f"{name}: expected {expected} with it, given none", field=name)


def _tell(
    document: SignedDocument,
    valid: bool,
    trust: Trust,
    detail: str,
    as_json: bool,
    aside: bool,
) -> None:
    """aside: on standard error, as the content goes to standard output."""
    about = _about(document) if valid else {}
    if as_json:
        found = {"valid": valid, "trusted": trust.trusted, "detail": trust.why or detail} | about
        typer.echo(json.dumps(found, indent=2), err=aside)
        return
    if not valid:
        print(f"NOT VALID: {detail}", file=sys.stderr)
        return
    for name, value in about.items():
        typer.echo(f"{name.replace('_', ' ') + ':':<15}{_printable(str(value))}", err=aside)
    if trust.trusted:
        typer.echo(f"valid, and the key is trusted: {trust.why}", err=aside)
    else:
        typer.echo(f"valid, but {trust.why}", err=True)


def _about(document: SignedDocument) -> dict[str, Any]:
    return {
        "title": document.title,
        "content_type": document.content_type,
        "content_bytes": len(document.content),
        "signed": document.time.isoformat(sep=" ", timespec="seconds"),
        "algorithm": document.algorithm,
        "key": document.fingerprint,
        "says_standard": document.message.signature.standard,
        "says_key": document.key_version,
    }


def _printable(text: str) -> str:
    """Text without what a terminal would obey: a document says what its maker wanted."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
