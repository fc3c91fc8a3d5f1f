"""What an operator can set about the clouds, under [quantum.ibm], [quantum.braket] and
[quantum.google].

Never a secret: credentials are in files that these name, or where the provider's own tools look for
them. Plain dataclasses, because a worker of another Python reads them too.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

BRAKET_REGIONS = ("us-east-1", "us-west-1", "us-west-2", "eu-west-2", "eu-north-1")
"""Where Amazon Braket has devices; AwsDevice.REGIONS of amazon-braket-sdk 1.127."""


@dataclass(frozen=True)
class IbmSettings:
    """IBM Quantum, through qiskit-ibm-runtime.

    Credentials, in this order: token_file; the environment's QISKIT_IBM_TOKEN; the account saved by
    QiskitRuntimeService.save_account.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    enabled: bool = False
    channel: Literal["ibm_quantum_platform", "local"] = "ibm_quantum_platform"
    """"local": no cloud at all, the SDK's local testing mode with its fake back ends."""
    instance: str = ""
    """Cloud resource name (CRN) or name of the service instance; empty: the saved account's."""
    token_file: Path | None = None
    """File with nothing but the API key; mode 0600."""
    account_file: Path | None = None
    """Saved accounts; without one, the SDK's own place."""
    account: str = ""
    """Name of a saved account; empty: its default."""
    url: str = ""
    """Of the API, taken as it is; empty: that of the instance's region."""
    devices: tuple[str, ...] = ()
    """Only these; empty: all that the instance sees."""
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 20.0
    """Of one question. Below the lease of a job and well below its double."""
    execution_s_max: int = 600
    """Of one job on a device: IBM ends it then."""
    cents_per_minute: int | None = None
    """What a minute of device time costs in US cents; without it, the list price of the plan."""

    def __post_init__(self) -> None:
        _positive("quantum.ibm", self, "connect_timeout_s", "read_timeout_s", "execution_s_max")


@dataclass(frozen=True)
class BraketSettings:
    """Amazon Braket, through amazon-braket-sdk and boto3, whose chain finds the credentials:
    environment, profile, role of the machine."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    enabled: bool = False
    profile: str = ""
    """Profile of the AWS configuration; empty: the chain's default."""
    regions: tuple[str, ...] = BRAKET_REGIONS
    bucket: str = ""
    """S3 bucket of the results, in the region of the device; "{region}" in it is replaced. Empty:
    amazon-braket-REGION-ACCOUNT, which has to be there."""
    prefix: str = "ketgate"
    """Folder in the bucket."""
    devices: tuple[str, ...] = ()
    """Only these ARNs; empty: all devices of gates."""
    simulators: bool = False
    """Also the simulators that Amazon runs and charges for by the minute."""
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 20.0
    tries: int = 2
    """Of one question, by the SDK itself, before it counts as unanswered."""

    def __post_init__(self) -> None:
        _positive("quantum.braket", self, "connect_timeout_s", "read_timeout_s", "tries")
        if not self.regions:
            raise ValueError("quantum.braket.regions: expected at least one region, given none")
        if not self.prefix.strip("/"):
            raise ValueError("quantum.braket.prefix: expected a folder, given nothing")


@dataclass(frozen=True)
class GoogleSettings:
    """Google's Quantum Engine, through cirq-google, with Google's application default
    credentials."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    enabled: bool = False
    project: str = ""
    """Id of the Google Cloud project."""
    processors: tuple[str, ...] = ()
    """Only these; empty: all that the project sees."""
    device_config: str = ""
    run_name: str = ""
    """Configuration of the processor, and the automation run that it is of; both or none."""
    virtual: bool = False
    """No cloud at all: the SDK's virtual engine, which simulates Google's processors."""
    read_timeout_s: float = 20.0

    def __post_init__(self) -> None:
        _positive("quantum.google", self, "read_timeout_s")
        if bool(self.device_config) != bool(self.run_name):
            raise ValueError(
                "quantum.google.device_config: expected it together with run_name, given one alone"
            )
        if self.enabled and not self.virtual and not self.project:
            raise ValueError("quantum.google.project: expected the id of a project, given nothing")


def _positive(section: str, settings: object, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        if not value > 0:
            raise ValueError(f"{section}.{name}: expected a number above 0, given {value}")
