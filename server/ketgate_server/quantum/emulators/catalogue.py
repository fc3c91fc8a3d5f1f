"""Every emulator that there is: IBM's and Google's published devices, and calibration files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from ketgate_server.quantum.calibration_file import read_calibration
from ketgate_server.quantum.emulators import google, ibm
from ketgate_server.quantum.emulators.device import Device
from ketgate_server.quantum.emulators.emulator import Compiler, Emulator
from ketgate_server.quantum.native.noisy import DENSITY_QUBITS_MAX


def emulators(
    compiler: Compiler | None = None, density_qubits_max: int = DENSITY_QUBITS_MAX
) -> Iterator[Emulator]:
    """Those whose files are installed, by name. No device is read before it is asked for."""
    found: list[tuple[str, Callable[[], Device]]] = [
        (one.name, partial(ibm.read, one)) for one in ibm.snapshots()
    ]
    found += [
        (f"emulator/google_{one.name}", partial(google.read, one)) for one in google.processors()
    ]
    for name, read in sorted(found, key=lambda pair: pair[0]):
        yield Emulator(name, read, compiler, density_qubits_max=density_qubits_max)


def calibrated(
    content: bytes,
    field: str,
    compiler: Compiler | None = None,
    density_qubits_max: int = DENSITY_QUBITS_MAX,
) -> Emulator:
    """The emulator of a calibration file (see calibration_file). Raises FieldError under field."""
    device = read_calibration(content, field)
    return Emulator(device.name, lambda: device, compiler, density_qubits_max=density_qubits_max)
