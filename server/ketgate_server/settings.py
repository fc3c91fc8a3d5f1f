"""All settings, each with its description, its default and what is refused."""

import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ketgate_server.address import is_loopback, split_address
from ketgate_server.job_settings import JobSettings
from ketgate_server.limits import LIMITS, Limit
from ketgate_server.quantum.settings import QuantumSettings
from ketgate_server.signing.settings import SigningSettings

ENVIRONMENT_PREFIX = "KETGATE_"


def default_data_dir() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "ketgate"


class Settings(BaseSettings):
    """What an operator can set."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX,
        extra="forbid",
        frozen=True,
        validate_default=True,
        use_attribute_docstrings=True,
    )

    data_dir: Path = Field(default_factory=default_data_dir)
    """Folder of the store, the development certificates and the administrator token."""

    listen: str = "127.0.0.1:7443"
    """HOST:PORT of the gRPC server; port 0 takes a free one. An IPv6 host stands in brackets."""

    ready_file: Path | None = None
    """File that says where the server is, written once it serves; default ready.json in
    data_dir."""

    insecure: bool = False
    """Serve without TLS. Only on a loopback address."""

    tls_certificate_file: Path | None = None
    """PEM certificate chain; without one, a development certificate is made in data_dir/tls."""

    tls_key_file: Path | None = None
    """PEM private key of tls_certificate_file."""

    tls_ca_file: Path | None = None
    """PEM certificate that clients should trust, told in the ready file. Only with
    tls_certificate_file."""

    reflection: Literal["token", "open", "off"] = "token"
    """Who may read the contract through gRPC reflection: holders of a token, everybody, nobody."""

    metrics_listen: str = "127.0.0.1:0"
    """HOST:PORT of the Prometheus endpoint (plain HTTP, no token); "off" for none."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level of what is logged, as JSON on stderr. At "info" every call is one line."""

    drain_limit_s: float = 10.0
    """Seconds between SIGTERM and the end; running calls are told to give the best they have a
    second before."""

    threads: int = 0
    """Threads that kernels use together; 0: one for each processor that this process may use."""

    store_url: SecretStr | None = None
    """URL of a PostgreSQL database that servers share, postgresql://...; without one, the store is a
    file in data_dir."""

    audit_key_file: Path | None = None
    """PEM private key (Ed25519) that signs the audit's tree heads; without one, a key is made in
    data_dir. Servers that share a store share the key: name the same file, or a copy."""

    artifacts_url: str | None = None
    """Where the content of artifacts lies: s3://BUCKET/PREFIX, or file:///FOLDER; without one, a
    folder in data_dir. Servers that share a store share it."""

    jobs: JobSettings = JobSettings()
    """Where jobs run, and how long what they leave is kept."""

    quantum: QuantumSettings = QuantumSettings()
    """Quantum back ends and their providers."""

    signing: SigningSettings = SigningSettings()
    """Keys: what does the cryptography, and what they are encrypted under."""

    limits: dict[str, int] = {}
    """Values for limits by name, for example "rpc.calls_max"; GetServerInfo lists all of them."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        *_: PydanticBaseSettingsSource,
        **__: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments only: load() merges the sources, as limits are merged one by one."""
        return (init_settings,)

    @field_validator(
        "data_dir",
        "ready_file",
        "tls_certificate_file",
        "tls_key_file",
        "tls_ca_file",
        "audit_key_file",
    )
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return None if path is None else Path(os.path.abspath(path.expanduser()))

    @field_validator("listen")
    @classmethod
    def _address(cls, address: str) -> str:
        split_address(address)
        return address

    @field_validator("metrics_listen")
    @classmethod
    def _metrics_address(cls, address: str) -> str:
        if address != "off":
            split_address(address)
        return address

    @field_validator("store_url")
    @classmethod
    def _database(cls, url: SecretStr | None) -> SecretStr | None:
        scheme = "" if url is None else url.get_secret_value().partition("://")[0]
        if url is not None and scheme not in ("postgresql", "postgres"):
            raise ValueError(
                f"expected postgresql://USER:PASSWORD@HOST/DATABASE, given {scheme[:20]}://..."
            )
        return url

    @field_validator("artifacts_url")
    @classmethod
    def _artifacts(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("s3://", "file:///")):
            raise ValueError(f"expected s3://BUCKET/PREFIX or file:///FOLDER, given {url[:100]}")
        return url

    @field_validator("drain_limit_s")
    @classmethod
    def _drain_limit(cls, seconds: float) -> float:
        if not 0 <= seconds <= 3600:
            raise ValueError("expected 0 to 3600 seconds")
        return seconds

    @field_validator("threads")
    @classmethod
    def _threads(cls, threads: int) -> int:
        if not 0 <= threads <= 1024:
            raise ValueError("expected 0 to 1024")
        return threads

    @field_validator("limits", mode="before")
    @classmethod
    def _limits(cls, limits: Any) -> Any:
        if not isinstance(limits, Mapping):
            return limits
        return dict(flatten(limits))

    @model_validator(mode="after")
    def _relations(self) -> "Settings":
        for name, value in self.limits.items():
            if value < 1:
                raise ValueError(f"limits.{name}: expected at least 1, given {value}")
        if self.limit_values["rpc.streams_max"] >= self.limit_values["rpc.calls_max"]:
            raise ValueError(
                "limits: rpc.streams_max must be below rpc.calls_max, as streams count as calls too"
            )
        if self.limit_values["rpc.message_bytes_max"] > self.limit_values["rpc.requests_bytes_max"]:
            raise ValueError(
                "limits: rpc.message_bytes_max must not be above rpc.requests_bytes_max"
            )
        if self.limit_values["rpc.message_bytes_max"] >= 1 << 31:
            raise ValueError("limits.rpc.message_bytes_max: gRPC messages stay below 2 GiB")
        if (self.tls_certificate_file is None) != (self.tls_key_file is None):
            raise ValueError("tls_certificate_file and tls_key_file go together; only one is given")
        if self.tls_ca_file is not None and self.tls_certificate_file is None:
            raise ValueError("tls_ca_file needs tls_certificate_file and tls_key_file")
        if self.insecure and not is_loopback(split_address(self.listen)[0]):
            raise ValueError(
                f"insecure: without TLS the server listens on loopback only, and {self.listen} is not; "
                "use 127.0.0.1, or leave TLS on"
            )
        return self

    @property
    def limit_values(self) -> dict[str, int]:
        """Every limit's value, the overridden ones included."""
        return {name: self.limits.get(name, limit.value) for name, limit in LIMITS.items()}

    @property
    def limit_table(self) -> dict[str, Limit]:
        """LIMITS with this configuration's values."""
        values = self.limit_values
        return {name: replace(limit, value=values[name]) for name, limit in LIMITS.items()}

    @property
    def ready_path(self) -> Path:
        """Where the ready file is written."""
        return self.ready_file or self.data_dir / "ready.json"

    @property
    def processors(self) -> int:
        """Threads that kernels use together."""
        return self.threads or len(os.sched_getaffinity(0))


def nearest(name: str, known: Mapping[str, object], otherwise: str = "") -> str:
    """The end of a sentence that names the nearest known name, if one is near; otherwise what else
    to say, or all of them."""
    matches = difflib.get_close_matches(name, known, n=1)
    if matches:
        return f"; did you mean {matches[0]!r}?"
    return f"; {otherwise or 'there are: ' + ', '.join(sorted(known))}"


def flatten(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
