"""Settings from four places: defaults < file (TOML) < environment (KETGATE_...) < flags. A key that
does not exist is an error with the nearest one that does.
"""

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_settings import EnvSettingsSource

from ketgate_server.job_settings import JobSettings
from ketgate_server.limits import LIMITS
from ketgate_server.quantum.settings import QuantumSettings
from ketgate_server.settings import (
    ENVIRONMENT_PREFIX,
    Settings,
    default_data_dir,
    flatten,
    nearest,
)
from ketgate_server.signing.settings import SigningSettings

CLIENT_VARIABLES = {
    f"{ENVIRONMENT_PREFIX}{name}"
    for name in ("ADDRESS", "CA_FILE", "CONFIG", "TOKEN", "TOKEN_FILE")
}
"""What the client reads and the server does not. The two share the rest by meaning."""

TABLES = ("limits", "jobs", "quantum", "signing")
"""Settings that are tables, whose values come from several places one by one."""

FILE_NAME = "ketgate.toml"
"""Read from the data folder when no other file is named."""


class ConfigError(Exception):
    """The settings are wrong; the message says which, and what is expected."""


def load(
    overrides: Mapping[str, Any], config_file: Path | None = None
) -> tuple[Settings, list[str]]:
    """The settings, and warnings about the environment.

    overrides: the flags that were given, by setting; "limits.NAME" for one limit, "jobs.NAME",
    "quantum.NAME" or "signing.NAME" for a setting of theirs. Raises ConfigError.
    """
    environment = _from_environment()
    flags = _nest(overrides)
    if config_file is None:
        folder = flags.get("data_dir") or environment.get("data_dir") or default_data_dir()
        beside = Path(folder).expanduser() / FILE_NAME
        config_file = beside if beside.exists() else None
    merged: dict[str, Any] = {name: {} for name in TABLES}
    for source in (_from_file(config_file), environment, flags):
        tables = {name: merged[name] | _table_of(source, name) for name in TABLES}
        merged |= source | tables
    _check_names(merged)
    for name in ("quantum", "signing"):
        merged[name] = _unflattened(merged[name])
    try:
        settings = Settings(**merged)
    except ValidationError as error:
        raise ConfigError("; ".join(_explain(item) for item in error.errors())) from error
    return settings, _environment_warnings()


def _from_file(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"cannot read the configuration {path}: {reason}") from error


def _from_environment() -> dict[str, Any]:
    try:
        return EnvSettingsSource(Settings)()
    except Exception as error:  # pydantic-settings wraps a JSON error, and names the field
        raise ConfigError(f"environment: {error}") from error


def _table_of(source: Mapping[str, Any], name: str) -> dict[str, Any]:
    table = source.get(name, {})
    if not isinstance(table, Mapping):
        raise ConfigError(
            f"{name}: expected a table of names and values, given {str(table)[:100]!r}"
        )
    return dict(flatten(table))


def _nest(overrides: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for name, value in overrides.items():
        table, _, rest = name.partition(".")
        if rest and table in TABLES:
            nested.setdefault(table, {})[rest] = value
        elif value is not None:
            nested[name] = value
    return nested


def _check_names(merged: Mapping[str, Any]) -> None:
    of_tables: dict[str, type[BaseModel]] = {
        "jobs": JobSettings,
        "quantum": QuantumSettings,
        "signing": SigningSettings,
    }
    known: dict[str, object] = dict(Settings.model_fields)
    given = list(merged)
    for table, model in of_tables.items():
        known |= dict.fromkeys(_names(model, f"{table}."))
        given += [f"{table}.{name}" for name in merged[table]]
    for name in given:
        # Below a table of free names, as quantum.interpreters.NAME, there is nothing to check.
        if name not in known and f"{name.rpartition('.')[0]}.*" not in known:
            raise ConfigError(f"there is no setting {name!r}{nearest(name, known)}")
    for name, value in merged["limits"].items():
        if name not in LIMITS:
            near = nearest(name, LIMITS, "GetServerInfo and docs/limits.md list them")
            raise ConfigError(f"limits.{name}: there is no such limit, given {_short(value)}{near}")


def _names(model: type[Any], prefix: str) -> Iterator[str]:
    """Names of all settings of a model, those of models in it included; "*" for any."""
    for name, kind in _fields(model).items():
        if isinstance(kind, type) and (issubclass(kind, BaseModel) or is_dataclass(kind)):
            yield from _names(kind, f"{prefix}{name}.")
        elif getattr(kind, "__origin__", None) is dict:
            yield f"{prefix}{name}.*"
        else:
            yield f"{prefix}{name}"


def _fields(model: type[Any]) -> dict[str, Any]:
    """Types by name."""
    if issubclass(model, BaseModel):
        return {name: field.annotation for name, field in model.model_fields.items()}
    return {field.name: field.type for field in fields(model)}


def _unflattened(table: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for name, value in table.items():
        *path, last = name.split(".")
        below = nested
        for part in path:
            below = below.setdefault(part, {})
        below[last] = value
    return nested


def _environment_warnings() -> list[str]:
    """Other programs share the prefix (the client, the build), so a stranger is told of, and only a
    near miss refused."""
    known = {f"{ENVIRONMENT_PREFIX}{name.upper()}": None for name in Settings.model_fields}
    warnings = []
    for name in sorted(os.environ):
        if not name.startswith(ENVIRONMENT_PREFIX) or name in known or name in CLIENT_VARIABLES:
            continue
        matches = difflib.get_close_matches(name, known, n=1, cutoff=0.85)
        if matches:
            raise ConfigError(
                f"environment: there is no setting {name}; did you mean {matches[0]}?"
            )
        warnings.append(
            f"the environment variable {name} is no setting of the server and is ignored by it"
        )
    return warnings


def _explain(item: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in item["loc"])
    message = str(item["msg"]).removeprefix("Value error, ")
    if not where or "given" in message:
        return f"{where}: {message}" if where else message
    expected = _EXPECTED.get(item["type"], message)
    return f"{where}: {expected}, given {_given(where, item['input'])}"


def _given(where: str, value: object) -> str:
    """What was given, unless it is a secret or may hold one."""
    if isinstance(value, Mapping | list | tuple):
        return "a table" if isinstance(value, Mapping) else f"a list of {len(value)}"
    name = where.rpartition(".")[2]
    if any(part in _SECRETS for part in name.split("_")) and not name.endswith("_file"):
        return f"{len(str(value))} characters that are not shown"
    return _short(value)


_SECRETS = {"pin", "passphrase", "password", "secret", "token", "url"}
"""Parts of the names of settings that hold secrets."""


_EXPECTED = {
    "int_parsing": "expected an integer",
    "int_type": "expected an integer",
    "int_from_float": "expected an integer",
    "float_parsing": "expected a number",
    "float_type": "expected a number",
    "bool_parsing": "expected true or false",
    "bool_type": "expected true or false",
    "string_type": "expected a text",
    "path_type": "expected a path",
}
"""In our words, by pydantic's kind of error."""


def _short(value: object) -> str:
    return repr(str(value)[:100])
