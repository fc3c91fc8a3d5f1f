"""The settings under [quantum]: which back ends there are, where they run, and when one is given a
rest."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ketgate_server.quantum.providers.settings import BraketSettings, GoogleSettings, IbmSettings

WORKERS_MAX = 64


class QuantumSettings(BaseModel):
    """What an operator can set about quantum back ends."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, use_attribute_docstrings=True
    )

    workers: int = Field(default=0, ge=0, le=WORKERS_MAX)
    """Worker processes for frameworks in Python at most; 0: one for each processor, and for each
    framework and provider one."""

    warm: Literal["first-use", "start", "never"] = "first-use"
    """When a worker of each installed framework is started in the background, so that the first run
    on it need not wait: after the first quantum call, at the start, or never before its first run."""

    disabled: tuple[str, ...] = ()
    """Back ends that are not offered: names, or prefixes that end with "*"."""

    interpreters: dict[str, Path] = {}
    """Python interpreters of adapters whose packages cannot share this environment, by the name of
    the adapter: "aer", "cirq", "braket-local", "pennylane", "qutip", "ibm", "braket", "google"."""

    failures_max: int = Field(default=3, ge=1, le=1_000)
    """Failures in a row after which a back end is given a rest."""

    rest_s: float = Field(default=30.0, ge=0.1, le=86_400.0)
    """The first rest; each further one in a row is twice as long, up to 20 times this."""

    refresh_s: float = Field(default=300.0, ge=1.0, le=86_400.0)
    """How often providers are asked for their back ends."""

    refresh_timeout_s: float = Field(default=120.0, ge=1.0, le=600.0)
    """A provider that has not answered by then counts as unreachable; the start of its SDK, which
    takes seconds, is within it."""

    ibm: IbmSettings = IbmSettings()
    """IBM Quantum."""

    braket: BraketSettings = BraketSettings()
    """Amazon Braket."""

    google: GoogleSettings = GoogleSettings()
    """Google's Quantum Engine."""

    @field_validator("interpreters")
    @classmethod
    def _interpreters(cls, given: dict[str, Path]) -> dict[str, Path]:
        for name, path in given.items():
            if not path.is_absolute():
                raise ValueError(f"{name}: expected an absolute path, given {str(path)[:100]}")
        return given
