"""The regions of Amazon Braket: a session each, and their devices."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from typing import Any

from ketgate_server.quantum.base import BackendStatus, Description
from ketgate_server.quantum.providers.braket_device import (
    backend_name,
    describe,
    is_of_gates,
    supported_gates,
)
from ketgate_server.quantum.providers.braket_faults import NAME, translated
from ketgate_server.quantum.providers.errors import CredentialsRefused, ProviderFault, Refused
from ketgate_server.quantum.providers.settings import BraketSettings


@dataclass(frozen=True)
class Device:
    """As it was last told."""

    arn: str
    gates: frozenset[str]
    description: Description


class Regions:
    """What is known of them; may be used from many threads."""

    def __init__(self, settings: BraketSettings) -> None:
        self._settings = settings
        self._sessions: dict[tuple[str, int], Any] = {}
        self._devices: dict[str, Device] = {}
        self._lock = threading.Lock()

    def ask(self) -> Sequence[Description]:
        """Ask all of them for their devices; one that does not answer is told as that."""
        faults: list[ProviderFault] = []
        for region in self._settings.regions:
            try:
                self._refresh(region)
            except ProviderFault as fault:
                if isinstance(fault, CredentialsRefused):
                    raise
                faults.append(fault)
                self._doubt(region, fault)
        if faults and not self._devices:
            raise faults[0]
        return sorted(
            (device.description for device in self._devices.values()), key=lambda told: told.name
        )

    def device(self, backend: str) -> Device:
        known = self._devices.get(backend)
        if known is None:
            parts = backend.split("/")
            if len(parts) == 3 and parts[1] in self._settings.regions:
                self._refresh(parts[1])
            known = self._devices.get(backend)
        if known is None:
            raise Refused(NAME, backend, "there is no such device, or none for this account")
        return known

    def _refresh(self, region: str) -> None:
        """Ask a region for its devices."""
        found = {device.description.name: device for device in self._search(region)}
        with self._lock:
            kept = {n: d for n, d in self._devices.items() if d.description.region != region}
            self._devices = kept | found

    def _search(self, region: str) -> Iterator[Device]:
        session = self.session(region)
        types = ["QPU", "SIMULATOR"] if self._settings.simulators else ["QPU"]
        version = "amazon-braket-sdk " + metadata.version("amazon-braket-sdk")
        with translated(f"braket/{region}"):
            arns = [found["deviceArn"] for found in session.search_devices(types=types)]
        for arn in arns:
            home = arn.split(":")[3] or self._settings.regions[0]
            wanted = not self._settings.devices or arn in self._settings.devices
            if home != region or not wanted:
                continue  # every region tells of the simulators, which belong to none
            with translated(backend_name(arn, region)):
                device = session.braket_client.get_device(deviceArn=arn)
            capabilities = json.loads(device["deviceCapabilities"])
            if is_of_gates(capabilities) and device["deviceStatus"] != "RETIRED":
                told = describe(device, region, version, time.time_ns() // 1000)
                yield Device(arn, supported_gates(capabilities), told)

    def _doubt(self, region: str, fault: ProviderFault) -> None:
        """A region that does not answer: what was known of it is told as not available."""
        with self._lock:
            self._devices = {
                name: replace(
                    device,
                    description=replace(
                        device.description,
                        status=BackendStatus.UNAVAILABLE,
                        status_message=fault.message,
                    ),
                )
                if device.description.region == region
                else device
                for name, device in self._devices.items()
            }

    def session(self, region: str, tries: int = 0) -> Any:
        """AwsSession of a region. tries: of one question; 0: as configured."""
        settings = self._settings
        tries = tries or settings.tries
        with self._lock:
            if (region, tries) in self._sessions:
                return self._sessions[region, tries]
            with translated(f"braket/{region}"):
                import boto3
                from botocore.config import Config
                from braket.aws import AwsSession

                config = Config(
                    connect_timeout=settings.connect_timeout_s,
                    read_timeout=settings.read_timeout_s,
                    retries={"mode": "standard", "total_max_attempts": tries},
                )
                boto = boto3.Session(profile_name=settings.profile or None, region_name=region)
                client = boto.client("braket", config=config)
                session = AwsSession(boto_session=boto, braket_client=client)
            self._sessions[region, tries] = session
            return session

    def bucket(self, region: str) -> str:
        if self._settings.bucket:
            return self._settings.bucket.replace("{region}", region)
        with translated(f"braket/{region}"):
            return f"amazon-braket-{region}-{self.session(region).account_id}"
