"""`ketgate seal|open|random`: content encrypted to a key of the server, decrypted, and random bytes."""

# ruff: noqa: A001 - the names of commands

import base64
from pathlib import Path
from typing import Annotated

import typer

from ketgate._cli.connection import Server, names_server
from ketgate._cli.files import is_standard, once_standard, read_file, write_output
from ketgate._errors import InvalidArgument

SUFFIX = ".sealed"
SEALED_BYTES_MAX = 4 << 20
"""More than a server takes: it tells its limit."""

Info = Annotated[str, typer.Option(help="What it is for; the same to open it.")]
AssociatedData = Annotated[
    Path | None,
    typer.Option(help="File whose content is bound to it; the same to open it."),
]
Key = Annotated[str | None, typer.Option(help="keys/ID, or the ID alone.")]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="Where to; - is standard output.")
]


@names_server
def seal(
    server: Server,
    file: Annotated[
        Path, typer.Argument(help="What to encrypt; at most 1 MiB; - is standard input.")
    ],
    key: Key = None,
    public_key: Annotated[
        Path | None, typer.Option(help="Instead of a key of the server: a raw public key.")
    ] = None,
    info: Info = "",
    associated_data: AssociatedData = None,
    output: Output = None,
) -> None:
    """Encrypt a file to a key (HPKE, safe from quantum computers), into FILE.sealed.

    What comes by standard input goes to standard output.
    """
    if (key is None) == (public_key is None):
        given = "both" if key else "neither"
        raise InvalidArgument(
            f"--key: expected --key or --public-key, given {given}", field="--key"
        )
    once_standard(FILE=file, associated_data=associated_data)
    content = read_file(file, "FILE", SEALED_BYTES_MAX)
    to = b"" if public_key is None else read_file(public_key, "--public-key", 1 << 16)
    with server.connect() as client:
        sealed = client.signing.seal(
            content,
            key=key or "",
            public_key=to,
            info=info,
            associated_data=_bound(associated_data),
        )
    target = output or (file if is_standard(file) else file.with_name(file.name + SUFFIX))
    if write_output(sealed, target, text=False):
        typer.echo(str(target))


@names_server
def open(
    server: Server,
    file: Annotated[Path, typer.Argument(help="What was sealed; - is standard input.")],
    key: Annotated[str, typer.Option(help="keys/ID, or the ID alone.")],
    info: Info = "",
    associated_data: AssociatedData = None,
    output: Output = None,
) -> None:
    """Decrypt what was sealed to a key, into the file without .sealed.

    What comes by standard input goes to standard output.
    """
    target = output or file.with_name(file.name.removesuffix(SUFFIX))
    if target == file and not is_standard(file):
        raise InvalidArgument(
            f"--output: expected where to, as {file.name} does not end with {SUFFIX}",
            field="--output",
        )
    once_standard(FILE=file, associated_data=associated_data)
    content = read_file(file, "FILE", SEALED_BYTES_MAX)
    with server.connect() as client:
        opened = client.signing.open(
            key, content, info=info, associated_data=_bound(associated_data)
        )
    asked = output is not None or is_standard(target)
    if not asked and target.exists() and read_file(target, "--output") != opened:
        raise InvalidArgument(
            f"--output: expected where to, as {target} is there and has other content",
            field="--output",
            remedy=f"`--output {target}` replaces it.",
        )
    if write_output(opened, target, text=False, secret=True):
        typer.echo(str(target))


@names_server
def random(
    server: Server,
    size_bytes: Annotated[int, typer.Argument(help="How many bytes; at most 65,536.")] = 32,
    in_base64: Annotated[bool, typer.Option("--base64", help="Not hexadecimal.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="The bytes themselves.")] = False,
    output: Output = None,
) -> None:
    """Random bytes of the server's operating system, in hexadecimal."""
    if in_base64 and raw:
        raise InvalidArgument("--raw, --base64: expected one of them, given both", field="--raw")
    with server.connect() as client:
        found = client.signing.random(size_bytes)
    if not raw:
        found = base64.b64encode(found) if in_base64 else found.hex().encode()
        if output is not None:
            found += b"\n"
    if output is None:
        write_output(found, None, text=not raw)
    else:
        write_output(found, output, text=not raw, secret=True)


def _bound(path: Path | None) -> bytes:
    return b"" if path is None else read_file(path, "--associated-data", 1 << 20)
