"""What the commands of `ketgate key` share: their group, arguments and names."""

from typing import Annotated

import typer

from ketgate._cli.show import console
from ketgate._errors import InvalidArgument
from ketgate._key_types import KeyChange

key = typer.Typer(help="Make, show, rotate, guard, import and export keys.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help='"keys/ID", or the ID alone.')]
VersionName = Annotated[
    str, typer.Argument(help='"keys/ID/versions/N"; or the key, with --version.')
]
VersionNumber = Annotated[int | None, typer.Option("--version", min=1, help="Which version.")]
Labels = Annotated[list[str] | None, typer.Option("--label", help="name=value; may be repeated.")]
Justification = Annotated[str, typer.Option(help="Why, for those who have to approve.")]


def version_name(name: str, version: int | None) -> str:
    """The name of a version. Raises InvalidArgument where none is named, or two."""
    named = "/versions/" in name
    if named and version is None:
        return name if name.startswith("keys/") else f"keys/{name}"
    if named or version is None:
        raise InvalidArgument(
            f"version: expected keys/ID/versions/N, or a key and --version N, given {name[:100]}"
            + (f" and --version {version}" if version else ""),
            field="--version",
            remedy="`ketgate key show ID` lists the versions.",
        )
    return f"{name if name.startswith('keys/') else f'keys/{name}'}/versions/{version}"


def labels_of(given: list[str] | None) -> dict[str, str]:
    labels = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InvalidArgument(
                f"--label: expected name=value, given {text[:100]!r}", field="--label"
            )
        labels[name] = value
    return labels


def tell_change(found: KeyChange) -> None:
    """What waits for approvals, and how they are given."""
    left = found.approvals_needed - len(found.approvals)
    console().print(
        f"{found.name} is {found.state}: {len(found.approvals)} of {found.approvals_needed} approvals"
        + (
            f"; {left} more by `ketgate key approve {found.name}`"
            if found.state == "pending"
            else ""
        ),
        soft_wrap=True,
    )
