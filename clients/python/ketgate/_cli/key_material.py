"""`ketgate key export|import`: public keys, and private ones that travel encrypted."""

import json
from pathlib import Path
from typing import Annotated

import typer

from ketgate._cli.connection import Json, Server, names_server
from ketgate._cli.files import once_standard, read_file, write_output
from ketgate._cli.key_app import Labels, Name, VersionNumber, key, labels_of, version_name
from ketgate._cli.key_view import document, read_policy
from ketgate._errors import InvalidArgument

TEXT_FORMATS = ("pem", "jwk")
KEY_BYTES_MAX = 64 * 1024


@key.command()
@names_server
def export(
    server: Server,
    name: Name,
    version: VersionNumber = None,
    form: Annotated[str, typer.Option("--format", help="pem, der, raw, jwk or cose.")] = "pem",
    private: Annotated[
        bool,
        typer.Option(
            "--private",
            help="The private key, where the key is exportable: PKCS #8 in DER, or raw.",
        ),
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file.")
    ] = None,
) -> None:
    """Export the public key of the primary version, or of another; or a private one."""
    which = version_name(name, version) if private or version is not None else name
    with server.connect() as client:
        signing = client.signing
        content = (
            signing.export_private_key(which) if private else signing.export_public_key(which, form)
        )
    write_output(content, output, text=not private and form in TEXT_FORMATS, secret=private)


@key.command("import")
@names_server
def import_key(
    server: Server,
    name: Name,
    file: Annotated[
        Path,
        typer.Argument(
            help="PKCS #8 (PEM or DER) or raw; or a public key (PEM). - is standard input."
        ),
    ],
    algorithm: Annotated[str, typer.Option(help="`ketgate key algorithms` lists them.")],
    public: Annotated[
        bool, typer.Option("--public", help="FILE is a public key, to verify with.")
    ] = False,
    password_file: Annotated[
        Path | None, typer.Option(help="Password of an encrypted PKCS #8, in its first line.")
    ] = None,
    label: Labels = None,
    policy: Annotated[Path | None, typer.Option(help="JSON of who may do what.")] = None,
    exportable: Annotated[
        bool, typer.Option("--exportable", help="The private key may leave the server, wrapped.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Import a key: encrypted here, decrypted by the server only. An existing key gets a new version."""
    once_standard(FILE=file, password_file=password_file, policy=policy)
    content = read_file(file, "FILE", KEY_BYTES_MAX)
    password = None
    if password_file is not None:
        password = read_file(password_file, "--password-file", KEY_BYTES_MAX).split(b"\n")[0]
    rules = None if policy is None else read_policy(policy, "--policy")
    key_id = name.removeprefix("keys/")
    with server.connect() as client:
        if public or b"-----BEGIN PUBLIC KEY-----" in content:
            if exportable:
                raise InvalidArgument(
                    "--exportable: expected a private key with it, given a public one",
                    field="--exportable",
                )
            made = client.signing.import_public_key(
                key_id, algorithm, content, labels=labels_of(label), policy=rules
            )
        else:
            made = client.signing.import_key(
                key_id,
                algorithm,
                content,
                password=password,
                labels=labels_of(label),
                policy=rules,
                exportable=exportable,
            )
    typer.echo(json.dumps(document(made), indent=2) if as_json else made.name)
