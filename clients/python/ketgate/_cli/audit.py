"""`ketgate audit`: the record of everything that matters, and the proof that it is whole."""

import base64
import json
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from ketgate._audit_check import VerifiedLog
from ketgate._audit_entry import TreeHead
from ketgate._audit_export import export_entries, export_head, verify_export
from ketgate._audit_pins import LogPin, Pins
from ketgate._audit_rotation import follow
from ketgate._cli.audit_view import entry_document, head_document, print_entries, shown_time
from ketgate._cli.backup import AFTERWARDS, Config, DataDir
from ketgate._cli.connection import Json, Server, names_server
from ketgate._cli.serve import require_server, settings_of
from ketgate._cli.show import print_table
from ketgate._errors import InvalidArgument
from ketgate._tree_head import AuditTampered, key_id

audit = typer.Typer(
    help="Read the audit log, prove that nothing in it was changed, and keep a copy.",
    no_args_is_help=True,
)

_LIST_DEFAULT = 50
Index = Annotated[int, typer.Argument(help="Position in the log, from 0.")]


@audit.command()
@names_server
def head(
    server: Server,
    accept: Annotated[
        bool,
        typer.Option(
            "--accept",
            help="Forget what was seen of this log before: after its operator has explained the "
            "change.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Show the newest head, compared with the last one that this user saw."""
    with server.connect() as client:
        found = client.audit.head(accept=accept)
    if found.rotations and not accept:
        _tell_rotations(found, found.rotations[0].facts["previous_key_id"])
    if as_json:
        typer.echo(json.dumps(head_document(found), indent=2))
        return
    print_table(
        "Head of the audit log", ["", ""], [[k, v] for k, v in head_document(found).items()]
    )


@audit.command("list")
@names_server
def list_entries(
    server: Server,
    file: Annotated[
        Path | None, typer.Option(help="Read this export instead of asking a server.")
    ] = None,
    start: Annotated[
        int | None, typer.Option(help="First entry; default: so that the last ones are shown.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="At most this many.")] = _LIST_DEFAULT,
    as_json: Json = False,
) -> None:
    """List entries. What other tenants' say is withheld, unless the token has the role admin."""
    if file is not None:
        first = _first(start, count, export_head(file).size)
        found = list(islice(export_entries(file), first, first + count))
    else:
        with server.connect() as client:
            first = _first(start, count, client.audit.head().size)
            found = list(client.audit.entries(first, first + count))
    if as_json:
        typer.echo(json.dumps([entry_document(entry) for entry in found], indent=2))
        return
    if not found:
        raise InvalidArgument(
            f"--start: expected an entry that there is, given {first}; without --start the last ones are listed",
            field="--start",
        )
    print_entries(found)


@audit.command()
@names_server
def export(
    server: Server,
    file: Annotated[Path, typer.Argument(help="Where to: JSON lines.")],
    as_json: Json = False,
) -> None:
    """Write the whole log to a file, which `ketgate audit verify FILE` checks without a server."""
    with server.connect() as client:
        verified = client.audit.export(file)
    _tell(verified, as_json, f"exported to {file}", "")


@audit.command()
@names_server
def verify(
    server: Server,
    file: Annotated[
        Path | None,
        typer.Argument(help="An export: checked without a server. Without one: the server's log."),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            help="The key that must have signed: its id in hexadecimal, or a PEM file of the public "
            "key. Default: the key that was seen before, if there is one."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check every entry, the root over them, its signature, and the heads that were seen before."""
    wanted = None if key is None else _key_id(key)
    warning = ""
    if file is None:
        with server.connect() as client:
            verified = client.audit.verify(key_id=wanted)
    else:
        pin = Pins().log(export_head(file).log_id)
        verified = verify_export(file, pin.heads if pin else ())
        if wanted is None and pin is not None:
            wanted, warning = _pinned(pin, verified.head)
        if wanted is None:
            warning = (
                f"nothing says that the key {verified.head.key_id} is the server's: "
                "compare it with what its operator says, or pass --key"
            )
        elif not verified.head.rotations and verified.head.key_id != wanted:
            raise AuditTampered(
                f"the head is signed by the key {verified.head.key_id}, and should be by {wanted}"
            )
    if wanted is not None:
        _tell_rotations(verified.head, wanted)
    _tell(verified, as_json, "the log is whole", warning)


@audit.command()
@names_server
def prove(
    server: Server,
    index: Index,
) -> None:
    """Print an entry with the proof that it is in the log, as JSON that anybody can check."""
    with server.connect() as client:
        proof = client.audit.prove(index)
    signed = proof.head.signed
    document = {
        "entry": entry_document(proof.entry)
        | {
            "commitment": proof.entry.raw.commitment.hex(),
            "salt": proof.entry.raw.salt.hex(),
            "payload": base64.b64encode(proof.entry.raw.payload).decode(),
        },
        "hashes": [value.hex() for value in proof.hashes],
        "head": head_document(proof.head)
        | {
            "tree_head": base64.b64encode(signed.tree_head).decode(),
            "algorithm": signed.algorithm,
            "signature": base64.b64encode(signed.signature).decode(),
            "public_key": base64.b64encode(signed.public_key).decode(),
        },
    }
    typer.echo(json.dumps(document, indent=2))


@audit.command()
@names_server
def redact(
    server: Server,
    index: Index,
    reason: Annotated[str, typer.Option(help="Why; kept in the log for good.")],
) -> None:
    """Drop what an entry says, for good. Its place in the tree stays. Needs the role admin."""
    with server.connect() as client:
        client.audit.redact(index, reason)
    typer.echo(f"entry {index} says nothing any more")


@audit.command("rotate-key")
def rotate_key(data_dir: DataDir = None, config: Config = None) -> None:
    """Have a new key sign from now on; on the server's machine, also while it runs.

    The key until now signs for the new one and is destroyed; clients follow by themselves.
    """
    require_server()
    from ketgate_server.audit_signer import rotate
    from ketgate_server.store.errors import StoreError

    try:
        signer = rotate(settings_of(data_dir, config))
    except StoreError as error:
        raise InvalidArgument(str(error), field="audit_key", reason="") from None
    typer.echo(f"heads are signed by {signer.key_id} ({signer.algorithm}) from now on")


@audit.command("accept-rollback")
def accept_rollback(data_dir: DataDir = None, config: Config = None) -> None:
    """Go on with an older copy of the key store; on the server's machine, while it does not run.

    What is known to be destroyed is destroyed again, and the log tells that it was accepted.
    """
    require_server()
    from ketgate_server.audit_signer import accept_rollback as accept
    from ketgate_server.store.errors import StoreError

    try:
        found, again = accept(settings_of(data_dir, config))
    except StoreError as error:
        raise InvalidArgument(str(error), field="key_store", reason="") from None
    typer.echo(f"accepted: {found}")
    for version in again:
        typer.echo(f"destroyed again: keys/{version.key_id}/versions/{version.version}")
    typer.echo("labels, policies and states of keys are those of the older copy: look them through")
    typer.echo(f"if the whole database is older: {AFTERWARDS}")


def _pinned(pin: LogPin, head: TreeHead) -> tuple[str, str]:
    """The key that must have signed an export, and what is to be said of it. One from before a rotation was
    signed by the key of then."""
    if head.key_id not in pin.earlier_key_ids:
        return pin.key_id, ""
    if pin.has_seen(head.size, head.root):
        return head.key_id, ""
    return head.key_id, (
        f"its key {head.key_id} is one that the log was signed with until it was rotated: an export from "
        "before that is right, and a later one is a forgery"
    )


def _tell_rotations(head: TreeHead, known_key_id: str) -> None:
    """Say how the key that signs came after a known one. Raises AuditTampered where that did not sign
    for it."""
    for entry in follow(head, known_key_id):
        typer.echo(
            f"the key was rotated by entry {entry.index}: {entry.facts['key_id']} comes after "
            f"{entry.facts['previous_key_id']}, which signed for it",
            err=True,
        )


def _first(start: int | None, count: int, size: int) -> int:
    if start is not None and start < 0:
        raise InvalidArgument(f"--start: expected 0 or more, given {start}", field="--start")
    return max(0, size - count) if start is None else start


def _tell(verified: VerifiedLog, as_json: bool, what: str, warning: str) -> None:
    if as_json:
        found = head_document(verified.head) | {
            "redacted": verified.redacted,
            "withheld": verified.withheld,
            "compared_with_sizes": list(verified.compared),
            "warning": warning or None,
        }
        typer.echo(json.dumps(found, indent=2))
        return
    silent = [
        f"{count} {name}"
        for name, count in (("redacted", verified.redacted), ("withheld", verified.withheld))
        if count
    ]
    size = f"{verified.head.size} entries" + (f" ({', '.join(silent)})" if silent else "")
    typer.echo(f"{what}: {size}, signed {shown_time(verified.head.time)} by {verified.head.key_id}")
    if verified.compared:
        sizes = ", ".join(str(size) for size in verified.compared)
        typer.echo(f"it agrees with the heads that were seen before, of {sizes} entries")
    if warning:
        typer.echo(f"warning: {warning}", err=True)


def _key_id(key: str) -> str:
    """A key's id, from itself or from a PEM file of the public key."""
    if len(key) == 64 and all(c in "0123456789abcdef" for c in key.lower()):
        return key.lower()
    try:
        lines = Path(key).read_text(encoding="ascii").split("-----")
        if "BEGIN PUBLIC KEY" not in lines[1]:
            raise ValueError
        return key_id(base64.b64decode("".join(lines[2].split()), validate=True))
    except (OSError, ValueError, IndexError):
        raise InvalidArgument(
            f"--key: expected 64 hexadecimal digits, or a PEM file of a public key, given {key[:100]!r}",
            field="--key",
        ) from None
