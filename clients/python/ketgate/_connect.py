"""Finding a server: arguments before environment before configuration file before the local
server's ready file.

A token travels over TLS only; over plaintext only on loopback, and only when the caller asked for
plaintext.
"""

import difflib
import ipaddress
import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ketgate._errors import InvalidArgument, ServerNotFound, Unauthenticated

_SETTINGS = ("address", "ca_file", "token", "token_file", "ready_file", "data_dir", "insecure")
_TOKEN_BYTES_MAX = 4096
_FILE_BYTES_MAX = 1 << 20


@dataclass(frozen=True)
class Endpoint:
    """Where a server is and how to speak to it."""

    address: str
    """host:port."""
    ca_certificates: bytes | None = field(default=None, repr=False)
    """PEM; None: those of the system."""
    token: str | None = field(default=None, repr=False)
    insecure: bool = False
    """Plaintext."""
    ca_file: str | None = field(default=None, compare=False)
    """Where ca_certificates were read, for messages."""


def resolve(
    address: str | None = None,
    *,
    ca_file: str | os.PathLike[str] | None = None,
    token: str | None = None,
    token_file: str | os.PathLike[str] | None = None,
    ready_file: str | os.PathLike[str] | None = None,
    insecure: bool | None = None,
    environment: Mapping[str, str] | None = None,
) -> Endpoint:
    """The endpoint that the arguments, the environment and the files name together.

    Raises ServerNotFound when nothing names one or the local one does not run; InvalidArgument for
    what cannot be read.
    """
    variables = os.environ if environment is None else environment
    given = {
        "address": address,
        "ca_file": ca_file,
        "token": token,
        "token_file": token_file,
        "ready_file": ready_file,
        "insecure": insecure,
    }
    sources = [_set(given), _from_environment(variables), _from_config(variables)]
    settings = _merge(sources)
    _add_ready_file(settings, variables, wants_plaintext=bool(insecure))
    return _endpoint(settings)


def default_data_dir(variables: Mapping[str, str]) -> Path:
    """The data folder of a server that was started without options."""
    if variables.get("KETGATE_DATA_DIR"):
        return Path(variables["KETGATE_DATA_DIR"]).expanduser()
    base = variables.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "ketgate"


def is_loopback(address: str) -> bool:
    """Whether host:port stays on this machine."""
    if address.startswith("unix:"):
        return True
    host = address.rsplit(":", 1)[0].strip("[]") if ":" in address else address
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _set(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _from_environment(variables: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: variables[f"KETGATE_{name.upper()}"]
        for name in _SETTINGS
        if variables.get(f"KETGATE_{name.upper()}")
    }
    if "insecure" in found:
        found["insecure"] = found["insecure"].lower() in ("1", "true", "yes", "on")
    return found


def _from_config(variables: Mapping[str, str]) -> dict[str, Any]:
    named = variables.get("KETGATE_CONFIG")
    base = variables.get("XDG_CONFIG_HOME")
    path = (
        Path(named).expanduser()
        if named
        else (Path(base) if base else Path.home() / ".config") / "ketgate/config.toml"
    )
    if not path.is_file():
        if named:
            raise InvalidArgument(
                f"KETGATE_CONFIG: expected a file, given {named}", field="KETGATE_CONFIG"
            )
        return {}
    try:
        settings: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"{path}: expected TOML: {error}", field="config") from None
    for name in settings:
        if name not in _SETTINGS:
            near = difflib.get_close_matches(name, _SETTINGS, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise InvalidArgument(
                f"{path}: expected one of {', '.join(_SETTINGS)}, given {name!r}{hint}",
                field="config",
            )
    for name in ("ca_file", "token_file", "ready_file", "data_dir"):
        if name in settings:
            settings[name] = str(path.parent / Path(settings[name]).expanduser())
    return settings


def _merge(sources: list[dict[str, Any]]) -> dict[str, Any]:
    """The settings of all sources, the first to tell of one deciding.

    A ready file that comes before any address tells all of its server: addresses, authorities and
    tokens further back are another server's, and must not reach this one.
    """
    settings: dict[str, Any] = {}
    for source in sources:
        if "token" in source and "token_file" in source:
            raise InvalidArgument("token: expected token or token_file, given both", field="token")
        if "ca_file" in source and source.get("insecure"):
            raise InvalidArgument(
                "insecure: expected insecure or ca_file, given both", field="insecure"
            )
        if "ready_file" in settings and "address" not in settings:
            source = {name: source[name] for name in ("insecure",) if name in source}
        if "token_file" in source and "token" not in settings:
            settings["token"] = _read_token(source["token_file"])
        for name, value in source.items():
            settings.setdefault(name, value)
    return settings


def _read_token(path: Any) -> str:
    return _read(path, "token_file", _TOKEN_BYTES_MAX).decode("utf-8", "replace").strip()


def _read(path: Any, name: str, limit: int = _FILE_BYTES_MAX) -> bytes:
    try:
        with Path(path).expanduser().open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise InvalidArgument(
            f"{name}: {path} cannot be read: {error.strerror}", field=name
        ) from None
    if len(content) > limit:
        raise InvalidArgument(
            f"{name}: expected at most {limit} bytes, given more in {path}", field=name
        )
    return content


def _add_ready_file(
    settings: dict[str, Any], variables: Mapping[str, str], *, wants_plaintext: bool
) -> None:
    """Fill in what is missing from the ready file of a local server.

    One that was named is always used. The default one is, when no address is known or it tells of
    the same address. wants_plaintext: the caller asked for it in so many words; a setting that is
    meant for other servers gives way to TLS.
    """
    named = settings.get("ready_file")
    if named is None:
        folder = (
            Path(settings["data_dir"]).expanduser()
            if "data_dir" in settings
            else default_data_dir(variables)
        )
        path = folder / "ready.json"
    else:
        path = Path(named).expanduser()
    wanted = settings.get("address")
    if not path.is_file():
        if wanted is not None and named is None:
            return
        raise ServerNotFound(
            f"no server is named, and there is no ready file {path} of a local one",
            field="ready_file" if named else "address",
            remedy="Start one with `ketgate serve`, or pass address=, ca_file= and token=.",
        )
    ready = _read_ready(path)
    if named is None and wanted not in (None, ready["address"]):
        return
    if wanted in (None, ready["address"]):
        _check_running(path, ready)
    settings.setdefault("address", ready["address"])
    if ready.get("ca_file"):
        if wants_plaintext:
            raise InvalidArgument(
                f"insecure: expected none, as the server of {path} speaks TLS, given insecure; "
                "leave it out: the ready file names the certificate to trust",
                field="insecure",
            )
        settings.setdefault("ca_file", ready["ca_file"])
        settings.pop("insecure", None)
    if "token" not in settings and ready.get("token_file"):
        settings["token"] = _read_token(ready["token_file"])
    if not ready.get("ca_file") and "insecure" not in settings:
        raise Unauthenticated(
            f"the server of {path} speaks plaintext",
            reason="TLS_REQUIRED",
            field="insecure",
            remedy="Pass insecure=True (or set KETGATE_INSECURE=1), or start the server without --insecure.",
        )


def _read_ready(path: Path) -> dict[str, Any]:
    try:
        ready = json.loads(_read(path, "ready_file"))
        if not isinstance(ready, dict) or not isinstance(ready["address"], str):
            raise ValueError
    except (ValueError, KeyError):
        raise InvalidArgument(
            f"ready_file: {path} is no ready file of a server", field="ready_file"
        ) from None
    return ready


def _check_running(path: Path, ready: dict[str, Any]) -> None:
    pid = ready.get("pid")
    if not isinstance(pid, int) or pid <= 0:
        return
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        raise ServerNotFound(
            f"the server of {path} (process {pid}) does not run any more",
            field="ready_file",
            remedy="Start it again with `ketgate serve`.",
        ) from None
    except (PermissionError, OverflowError):
        return  # another user's process: it runs


def _endpoint(settings: dict[str, Any]) -> Endpoint:
    address = str(settings["address"])
    for scheme in ("https://", "http://", "grpc://", "grpcs://"):
        if address.startswith(scheme):
            raise InvalidArgument(
                f"address: expected host:port, given {address}; leave out {scheme}", field="address"
            )
    host, _, port = address.rpartition(":")
    if not address.startswith("unix:") and not (host and port.isdecimal()):
        raise InvalidArgument(f"address: expected host:port, given {address}", field="address")
    insecure = bool(settings.get("insecure", False))
    token = settings.get("token")
    if token is not None and not isinstance(token, str):
        raise InvalidArgument(
            f"token: expected a text, given {type(token).__name__}", field="token"
        )
    if token is not None and (
        not token or not token.isascii() or not token.isprintable() or " " in token
    ):
        raise InvalidArgument(
            "token: expected printable ASCII without spaces, as `ketgate token create` prints it, given another "
            f"text of {len(token)} characters",
            field="token",
        )
    if insecure and token and not is_loopback(address):
        raise Unauthenticated(
            f"a token would be sent in plaintext to {address}",
            reason="TLS_REQUIRED",
            field="insecure",
            remedy="Leave out insecure; plaintext is for loopback only.",
        )
    certificates = None
    if not insecure and "ca_file" in settings:
        certificates = _read(settings["ca_file"], "ca_file")
        if b"BEGIN CERTIFICATE" not in certificates:
            raise InvalidArgument(
                f"ca_file: {settings['ca_file']} holds no certificate in PEM", field="ca_file"
            )
    ca_file = None if certificates is None else str(settings["ca_file"])
    return Endpoint(address, certificates, token, insecure, ca_file)
