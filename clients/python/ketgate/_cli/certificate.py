"""`ketgate certificate`: requests for certificates, and certificates."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from ketgate._cli.connection import Server, names_server
from ketgate._cli.durations import read_seconds
from ketgate._cli.files import read_file, write_output
from ketgate._errors import InvalidArgument
from ketgate._signing_types import Certificate

certificate = typer.Typer(
    help="X.509 certificates and requests for them, signed by keys of the server.",
    no_args_is_help=True,
)

REQUEST_BYTES_MAX = 1 << 20
Key = Annotated[str, typer.Option(help="keys/ID, or the ID alone.")]
Names = Annotated[
    list[str] | None,
    typer.Option("--name", help="Host name, IP address, URI or e-mail; may be repeated."),
]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file.")]
Der = Annotated[bool, typer.Option("--der", help="DER, not PEM.")]


@certificate.command()
@names_server
def request(
    server: Server,
    subject: Annotated[str, typer.Argument(help='As "CN=desk,O=Example".')],
    key: Key,
    name: Names = None,
    der: Der = False,
    output: Output = None,
) -> None:
    """Make a certification request (PKCS #10) of a key, for any authority."""
    with server.connect() as client:
        made = client.signing.certificate_request(key, subject, name or ())
    _write(made, der, output)


@certificate.command()
@names_server
def issue(
    server: Server,
    key: Key,
    issuer: Annotated[str, typer.Option(help='Who issues it, as "CN=root,O=Example".')],
    days: Annotated[int | None, typer.Option(min=1, help="How long it is valid.")] = None,
    validity: Annotated[str | None, typer.Option(help="The same, as 12h or 90d.")] = None,
    request_file: Annotated[
        Path | None,
        typer.Option(
            "--request", help="Whose: a certification request; default: of the key itself."
        ),
    ] = None,
    authority: Annotated[
        bool, typer.Option("--authority", help="It may sign other certificates.")
    ] = False,
    path_length: Annotated[
        int | None, typer.Option(min=0, help="Authorities below it; default: any number.")
    ] = None,
    name: Names = None,
    der: Der = False,
    output: Output = None,
) -> None:
    """Make a certificate, signed by a key: of that key, or for a certification request."""
    if (days is None) == (validity is None):
        given = "both" if days else "neither"
        raise InvalidArgument(
            f"--days: expected --days or --validity, given {given}", field="--days"
        )
    lasts = timedelta(
        seconds=read_seconds(validity, "--validity") if validity else 86_400.0 * (days or 0)
    )
    asked = b""
    if request_file is not None:
        asked = read_file(request_file, "--request", REQUEST_BYTES_MAX)
    with server.connect() as client:
        made = client.signing.issue_certificate(
            key,
            issuer,
            lasts,
            certificate_request=asked,
            is_authority=authority,
            path_length=path_length,
            subject_alternative_names=name or (),
        )
    _write(made, der, output)


def _write(made: Certificate, der: bool, output: Path | None) -> None:
    content = made.der if der else made.pem.encode()
    write_output(content, output, text=not der)
