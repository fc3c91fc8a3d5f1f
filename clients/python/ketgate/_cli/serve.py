"""`ketgate serve`: the server, where it is installed."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ketgate._errors import InvalidArgument, PartNotInstalled

if TYPE_CHECKING:
    from ketgate_server.settings import Settings


def require_server() -> None:
    """Raises PartNotInstalled where the server's distribution is absent."""
    if find_spec("ketgate_server") is None:
        raise PartNotInstalled(
            "the server is not installed here",
            reason="PART_NOT_INSTALLED",
            remedy="Run: pip install ketgate-server",
        )


def settings_of(data_dir: Path | None, config: Path | None = None) -> "Settings":
    """As store_of, all of them."""
    from ketgate_server.config import ConfigError, load

    flags = {} if data_dir is None else {"data_dir": str(data_dir)}
    try:
        settings, _ = load(flags, config)
    except ConfigError as error:
        raise InvalidArgument(str(error), field="--config", reason="") from None
    return settings


def store_of(data_dir: Path | None, config: Path | None = None) -> tuple[Path, str | None]:
    """The data folder, and the URL of the database if there is one, of a server that is started
    with these flags. Raises InvalidArgument for settings that are wrong."""
    settings = settings_of(data_dir, config)
    url = settings.store_url
    return settings.data_dir, None if url is None else url.get_secret_value()


def serve(
    data_dir: Annotated[Path | None, typer.Option(help="Folder of keys, tokens and state.")] = None,
    listen: Annotated[
        str | None, typer.Option(help="host:port; port 0: a free one. Default 127.0.0.1:7443.")
    ] = None,
    ready_file: Annotated[
        Path | None,
        typer.Option(help="File written when it serves; default ready.json in the data folder."),
    ] = None,
    metrics_listen: Annotated[
        str | None, typer.Option(help="host:port of the Prometheus endpoint, or off.")
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Plaintext, on loopback only.")
    ] = False,
    config: Annotated[Path | None, typer.Option(help="Configuration file (TOML).")] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Any setting; may be repeated."),
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
) -> None:
    """Start a server; SIGTERM or Ctrl-C drains and stops it."""
    require_server()
    from ketgate_server.main import serve as serve_until_stopped

    overrides: dict[str, object] = {}
    for pair in setting or []:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise InvalidArgument(f"--set: expected KEY=VALUE, given {pair!r}", field="--set")
        overrides[key] = value
    flags = {
        "data_dir": data_dir,
        "listen": listen,
        "ready_file": ready_file,
        "metrics_listen": metrics_listen,
        "insecure": insecure or None,
        "log_level": log_level,
    }
    overrides |= {
        key: str(value) if isinstance(value, Path) else value
        for key, value in flags.items()
        if value is not None
    }
    raise typer.Exit(serve_until_stopped(overrides, config))
