"""`ketgate backup` and `ketgate restore`, where the server is installed."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from ketgate._cli.connection import Json
from ketgate._cli.serve import require_server, settings_of, store_of
from ketgate._errors import InvalidArgument

DataDir = Annotated[
    Path | None, typer.Option(help="The server's data folder; default: that of `ketgate serve`.")
]
AFTERWARDS = (
    "whoever has seen the audit log as it was later is told that it has shrunk or was rewritten "
    "(AUDIT_TAMPERED): tell them why, and to run `ketgate audit head --accept` once"
)
Config = Annotated[Path | None, typer.Option(help="Configuration file (TOML) of the server.")]


def backup(
    target: Annotated[
        Path, typer.Argument(help="File to write, or a folder to put one in, named by the time.")
    ],
    data_dir: DataDir = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Back up a server's store and data folder into one file, also while it runs. It holds keys."""
    require_server()
    if not (folder := target if target.is_dir() else target.parent).is_dir():
        raise InvalidArgument(
            f"there is no folder {folder} for {target.name}", field="target", reason=""
        )
    with _refusals():
        from ketgate_server.backups import back_up

        source, url = store_of(data_dir, config)
        file, manifest = back_up(target, source, url)
    _tell(file, manifest, as_json, f"wrote {file}", _artifacts_elsewhere(data_dir, config))


def restore(
    source: Annotated[Path, typer.Argument(help="File that `ketgate backup` wrote.")],
    data_dir: DataDir = None,
    config: Config = None,
    replacing: Annotated[
        list[Path] | None,
        typer.Option(
            help="Data folder until now, moved aside: keys that were destroyed since the back-up are "
            "destroyed again. May be repeated, for servers that shared a database."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Restore a back-up into an empty data folder, and an empty database where it is of one."""
    require_server()
    with _refusals():
        from ketgate_server.backups import restore as restore_backup

        settings = settings_of(data_dir, config)
        restored = restore_backup(source, settings, replacing or ())
    elsewhere = _artifacts_elsewhere(data_dir, config)
    again = [f"keys/{one.key_id}/versions/{one.version}" for one in restored.destroyed_again]
    about = {
        "keys_destroyed_again": again,
        "unknown": list(restored.unknown),
        "afterwards": AFTERWARDS,
    }
    words = f"restored {settings.data_dir}"
    _tell(source, restored.manifest, as_json, words, elsewhere, about)
    if not as_json:
        for name in again:
            typer.echo(f"destroyed again: {name}")
        for words in restored.unknown:
            typer.echo(f"warning: {words}", err=True)
        typer.echo(f"afterwards: {AFTERWARDS}")


def _artifacts_elsewhere(data_dir: Path | None, config: Path | None) -> str | None:
    """Where the content of artifacts lies that is not in the data folder, and so in no back-up."""
    from ketgate_server.artifacts import place

    settings = settings_of(data_dir, config)
    url = settings.artifacts_url or place.noted(settings.data_dir)
    if url is None:
        return None
    inside = settings.data_dir.absolute().as_uri() + "/"
    return None if f"{url}/".startswith(inside) else url


@contextmanager
def _refusals() -> Iterator[None]:
    from ketgate_server.store.errors import StoreError

    try:
        yield
    except StoreError as error:
        raise InvalidArgument(str(error), field="backup", reason="") from None
    except OSError as error:
        raise InvalidArgument(
            f"{error.filename}: {error.strerror}", field="backup", reason=""
        ) from None


def _tell(
    file: Path,
    manifest: Any,
    as_json: bool,
    words: str,
    artifacts_elsewhere: str | None,
    more: dict[str, Any] | None = None,
) -> None:
    size_bytes = sum(entry["size_bytes"] for entry in manifest.files.values())
    if as_json:
        said = {
            "file": str(file),
            "files": len(manifest.files),
            "size_bytes": size_bytes,
            "create_time": manifest.create_time,
            "database": manifest.dialect,
            "artifacts_elsewhere": artifacts_elsewhere,
            **(more or {}),
        }
        typer.echo(json.dumps(said, indent=2))
        return
    count = len(manifest.files)
    typer.echo(f"{words}: {count} files, {size_bytes / 1e6:,.1f} MB, as of {manifest.create_time}")
    if artifacts_elsewhere is not None:
        typer.echo(
            f"the content of artifacts lies in {artifacts_elsewhere}, which is not in it: "
            "keep copies of that too",
            err=True,
        )
