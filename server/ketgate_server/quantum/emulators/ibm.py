"""IBM's snapshots of devices, as the files of qiskit-ibm-runtime hold them.

The files are read, and nothing of the package is imported: that takes seconds, a file milliseconds.
The old gates u1, u2 and u3 are our p and u; u2 is taken for a u3, which lasts twice as long.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from ketgate_server.quantum.base import Calibration, GateCalibration, QubitCalibration
from ketgate_server.quantum.calibration import Deferred, digest
from ketgate_server.quantum.emulators.device import Device

PART = "ibm"
_NAMES = {"u1": "p", "u3": "u"}
_LEFT_OUT = {"u2", "reset", "measure", "delay", "id"}
_UNITS_NS = {"s": 1e9, "ms": 1e6, "us": 1e3, "µs": 1e3, "μs": 1e3, "ns": 1.0}


@dataclass(frozen=True)
class Snapshot:
    """A folder of one device."""

    name: str
    configuration: Path
    properties: Path


def snapshots() -> list[Snapshot]:
    """Those that are installed, by name; none without the package."""
    spec = importlib.util.find_spec("qiskit_ibm_runtime")
    if spec is None or not spec.submodule_search_locations:
        return []
    root = Path(spec.submodule_search_locations[0]) / "fake_provider" / "backends"
    out = []
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        configuration = next(folder.glob("conf_*.json"), None)
        properties = next(folder.glob("props_*.json"), None)
        if configuration and properties:
            out.append(Snapshot(f"emulator/ibm_{folder.name}", configuration, properties))
    return out


def read(snapshot: Snapshot) -> Device:
    """The device of a snapshot; its calibration, most of the bytes, is read when it is asked for."""
    configuration = json.loads(snapshot.configuration.read_bytes())
    basis = [_NAMES.get(name, name) for name in configuration["basis_gates"]]
    return Device(
        name=snapshot.name,
        description=f"{configuration['n_qubits']} qubits of IBM, simulated with the noise of a "
        "published calibration.",
        num_qubits=configuration["n_qubits"],
        coupling=tuple((int(a), int(b)) for a, b in configuration.get("coupling_map") or ()),
        basis_gates=tuple(name for name in basis if name not in _LEFT_OUT),
        calibration=Deferred(lambda: _calibration(json.loads(snapshot.properties.read_bytes()))),
        part=PART,
        version=_version(),
    )


@cache
def _version() -> str:
    return f"qiskit-ibm-runtime {metadata.version('qiskit-ibm-runtime')}"


def _calibration(properties: Mapping[str, Any]) -> Calibration:
    time = datetime.fromisoformat(properties["last_update_date"])
    out = Calibration(
        time_us=round(time.timestamp() * 1e6),
        qubits=tuple(_qubit(k, found) for k, found in enumerate(properties["qubits"])),
        gates=tuple(
            _gate(gate) for gate in properties["gates"] if gate["gate"] not in ("u2", "measure")
        ),
    )
    return replace(out, digest=digest(out))


def _values(parameters: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Times in nanoseconds."""
    return {
        one["name"]: float(one["value"]) * _UNITS_NS.get(one.get("unit", ""), 1.0)
        for one in parameters
    }


def _qubit(number: int, parameters: Sequence[Mapping[str, Any]]) -> QubitCalibration:
    values = _values(parameters)
    readout = values.get("readout_error")
    t1, t2 = values.get("T1"), values.get("T2")
    return QubitCalibration(
        qubit=number,
        t1_us=t1 / 1000.0 if t1 is not None else None,
        t2_us=t2 / 1000.0 if t2 is not None else None,
        p1_given_0=values.get("prob_meas1_prep0", readout),
        p0_given_1=values.get("prob_meas0_prep1", readout),
        readout_ns=values.get("readout_length"),
    )


def _gate(gate: Mapping[str, Any]) -> GateCalibration:
    values = _values(gate["parameters"])
    return GateCalibration(
        gate=_NAMES.get(gate["gate"], gate["gate"]),
        qubits=tuple(gate["qubits"]),
        error=values.get("gate_error"),
        duration_ns=values.get("gate_length"),
    )
