"""Google's published processors, from the files of cirq-google, which is not imported.

Rainbow and weber were calibrated with sqrt(iswap), here xx_plus_yy(-pi/2, 0); willow with cz. One
microwave pulse makes any gate on one qubit (u); rz is virtual. Pauli errors e become average errors
e d/(d + 1); the loss of phase is what randomized benchmarking leaves beside T1.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

from ketgate_server.quantum.base import Calibration, GateCalibration, QubitCalibration
from ketgate_server.quantum.calibration import digest
from ketgate_server.quantum.emulators.device import Device

PART = "google"
Metrics = dict[str, dict[tuple[str, ...], float]]


@dataclass(frozen=True)
class Processor:
    """Files and what does not stand in them."""

    name: str
    specification: str
    calibration: str
    time_ms: int
    """Of the calibration, as cirq-google tells it."""
    entangler: str
    metric: str
    """The Pauli error of the entangler."""
    durations_ns: Mapping[str, float]


_SYCAMORE_NS = {"u": 25.0, "xx_plus_yy": 32.0, "measure": 4000.0, "reset": 250.0}
_WILLOW_NS = {"u": 25.0, "cz": 42.0, "measure": 600.0, "reset": 160.0}
_SQRT_ISWAP = "two_qubit_parallel_sqrt_iswap_gate_xeb_pauli_error_per_cycle"
PROCESSORS = (
    Processor(
        "rainbow",
        "rainbow_2021_12_10_device_spec_for_grid_device.proto.txt",
        "rainbow_2021_11_16_calibration.json",
        1637058415838,
        "xx_plus_yy",
        _SQRT_ISWAP,
        _SYCAMORE_NS,
    ),
    Processor(
        "weber",
        "weber_2021_12_10_device_spec_for_grid_device.proto.txt",
        "weber_2021_11_03_calibration.json",
        1635923188204,
        "xx_plus_yy",
        _SQRT_ISWAP,
        _SYCAMORE_NS,
    ),
    Processor(
        "willow_pink",
        "willow_pink_d7v1-2024_08_16_device_spec_for_grid_device.proto.txt",
        "willow_pink_d7v1-2024_08_16_calibration.json",
        1723795877630,
        "cz",
        "two_qubit_parallel_cz_gate_xeb_pauli_error_per_cycle",
        _WILLOW_NS,
    ),
)


def root() -> Path | None:
    """The package's folder of devices; None without the package."""
    spec = importlib.util.find_spec("cirq_google")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / "devices"


def processors() -> list[Processor]:
    """Those whose files are installed."""
    folder = root()
    if folder is None:
        return []
    return [one for one in PROCESSORS if (folder / "calibrations" / one.calibration).is_file()]


def read(processor: Processor) -> Device:
    folder = root()
    assert folder is not None
    text = (folder / "specifications" / processor.specification).read_text()
    labels = sorted(re.findall(r'valid_qubits: "(\w+)"', text), key=_place)
    number = {label: k for k, label in enumerate(labels)}
    pairs = re.findall(r'targets \{\s*ids: "(\w+)"\s*ids: "(\w+)"\s*\}', text)
    metrics = _metrics(folder / "calibrations" / processor.calibration)
    calibration = Calibration(
        time_us=processor.time_ms * 1000,
        qubits=tuple(_qubit(number[label], label, metrics, processor) for label in labels),
        gates=tuple(_gates(number, metrics, processor)),
    )
    known = {gate.qubits for gate in calibration.gates if gate.gate == processor.entangler}
    coupling = sorted({(number[a], number[b]) for a, b in pairs})
    both = [pair for a, b in coupling for pair in ((a, b), (b, a)) if pair in known]
    return Device(
        name=f"emulator/google_{processor.name}",
        description=f"{len(labels)} qubits on a grid, simulated with Google's published calibration.",
        num_qubits=len(labels),
        coupling=tuple(both),
        basis_gates=("rz", "u", processor.entangler),
        calibration=replace(calibration, digest=digest(calibration)),
        part=PART,
        version=f"cirq-google {metadata.version('cirq-google')}",
    )


def _place(label: str) -> tuple[int, ...]:
    return tuple(int(part) for part in label.split("_"))


def _metrics(path: Path) -> Metrics:
    out: Metrics = {}
    for metric in json.loads(path.read_bytes())["metrics"]["metrics"]:
        value = metric["values"][0]
        number = value.get("doubleVal", value.get("floatVal"))
        if number is not None:
            out.setdefault(metric["name"], {})[tuple(metric["targets"])] = float(number)
    return out


def _qubit(number: int, label: str, metrics: Metrics, processor: Processor) -> QubitCalibration:
    t1 = metrics["single_qubit_idle_t1_micros"].get((label,))
    t2 = None
    incoherent = metrics.get("single_qubit_rb_incoherent_error_per_gate", {}).get((label,))
    if t1 is not None and incoherent is not None:
        pulse_us = processor.durations_ns["u"] / 1000.0
        # A pulse of length t loses t / 3 T1 to relaxation and t / 3 Tphi to loss of phase.
        dephasing = max(0.0, incoherent - pulse_us / (3.0 * t1))
        t2 = 1.0 / (1.0 / (2.0 * t1) + 3.0 * dephasing / pulse_us)
    return QubitCalibration(
        qubit=number,
        t1_us=t1,
        t2_us=t2,
        p1_given_0=metrics["single_qubit_p00_error"].get((label,)),
        p0_given_1=metrics["single_qubit_p11_error"].get((label,)),
        readout_ns=processor.durations_ns["measure"],
        label=label,
    )


def _gates(
    number: Mapping[str, int], metrics: Metrics, processor: Processor
) -> Iterable[GateCalibration]:
    durations = processor.durations_ns
    for (label,), error in sorted(metrics["single_qubit_rb_pauli_error_per_gate"].items()):
        if label in number:
            on = (number[label],)
            yield GateCalibration("u", on, error * 2.0 / 3.0, durations["u"])
            yield GateCalibration("rz", on, 0.0, 0.0)
            yield GateCalibration("reset", on, None, durations["reset"])
    for (a, b), error in sorted(metrics[processor.metric].items()):
        if a in number and b in number:
            for pair in ((number[a], number[b]), (number[b], number[a])):
                yield GateCalibration(
                    processor.entangler, pair, error * 4.0 / 5.0, durations[processor.entangler]
                )
