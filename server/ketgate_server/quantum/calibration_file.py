"""Calibration files: a device in JSON, strictly read.

```json
{
  "format": "ketgate-calibration-1",
  "name": "my-chip",
  "time": "2026-05-04T10:00:00Z",
  "num_qubits": 2,
  "basis_gates": ["rz", "sx", "x", "cz"],
  "coupling": [[0, 1], [1, 0]],
  "qubits": [
    {"qubit": 0, "t1_us": 120.0, "t2_us": 80.0, "p1_given_0": 0.01, "p0_given_1": 0.02,
     "readout_ns": 700.0, "label": "Q0"}
  ],
  "gates": [
    {"gate": "sx", "qubits": [0], "error": 0.0003, "duration_ns": 35.0},
    {"gate": "cz", "qubits": [0, 1], "error": 0.006, "duration_ns": 60.0}
  ]
}
```

`format`, `name` (letters, digits, ".", "_", "-"), `time` (RFC 3339), `num_qubits` (1 to 10,000) and
`basis_gates` are required. Basis gates: (rz or p), sx and perhaps x; or u; and at least one of cz,
cx, ecr and xx_plus_yy (at angles -pi/2, 0: the square root of iswap) where there is a coupling.
`coupling` lists directed pairs; without it, those of the gates on two qubits. `error` is the average
error per gate (1 minus the average fidelity), 0 to 1; 0.5 and more: out of order. T2 above 2 T1 is
cut to that. What is left out is perfect, is avoided where there is a choice, and is named in a warning
where it is used. A member that is not known is refused.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from ketgate_server.errors import FieldError
from ketgate_server.quantum.base import Calibration, GateCalibration, QubitCalibration
from ketgate_server.quantum.calibration import digest
from ketgate_server.quantum.emulators.device import ENTANGLERS, Device
from ketgate_server.quantum.gates import GATES

FORMAT = "ketgate-calibration-1"
QUBITS_MAX = 10_000
ENTRIES_MAX = 100_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_REQUIRED = ("format", "name", "time", "num_qubits", "basis_gates")
_MEMBERS = {*_REQUIRED, "coupling", "qubits", "gates"}
_QUBIT = ("t1_us", "t2_us", "p1_given_0", "p0_given_1", "readout_ns")
Json = Mapping[str, Any]


def read_calibration(content: bytes, field: str) -> Device:
    """The device of a calibration file. Raises FieldError under the field, naming the member."""
    try:
        given = json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise FieldError(field, expected="JSON", given=str(error)[:100]) from None
    root = _object(given, field)
    _known(root, _MEMBERS, field)
    for name in _REQUIRED:
        if name not in root:
            raise FieldError(f"{field}.{name}", expected="a value", given="nothing")
    if root["format"] != FORMAT:
        raise FieldError(f"{field}.format", expected=repr(FORMAT), given=root["format"])
    name = root["name"]
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise FieldError(
            f"{field}.name", expected="1 to 63 letters, digits, '.', '_' or '-'", given=name
        )
    num_qubits = _integer(root["num_qubits"], f"{field}.num_qubits", 1, QUBITS_MAX)
    qubits = _qubits(root.get("qubits", []), num_qubits, f"{field}.qubits")
    gates = _gates(root.get("gates", []), num_qubits, f"{field}.gates")
    basis = _basis(root["basis_gates"], f"{field}.basis_gates")
    coupling = _coupling(root.get("coupling"), gates, num_qubits, f"{field}.coupling")
    if coupling and not set(basis) & set(ENTANGLERS):
        raise FieldError(
            f"{field}.basis_gates", expected=f"one of {', '.join(ENTANGLERS)}", given=list(basis)
        )
    calibration = Calibration(_time(root["time"], f"{field}.time"), qubits, gates)
    return Device(
        name=f"emulator/{name}",
        description=f"{num_qubits} qubits, simulated with a calibration file.",
        num_qubits=num_qubits,
        coupling=coupling,
        basis_gates=basis,
        calibration=replace(calibration, digest=digest(calibration)),
    )


def _basis(given: Any, path: str) -> tuple[str, ...]:
    names = _list(given, path)
    for k, name in enumerate(names):
        if not isinstance(name, str) or name not in GATES:
            raise FieldError(f"{path}[{k}]", expected="a gate of the standard library", given=name)
    turns = "rz" in names or "p" in names
    if "u" not in names and not (turns and "sx" in names):
        raise FieldError(path, expected="u, or sx with rz or p", given=names)
    return tuple(names)


def _qubits(given: Any, num_qubits: int, path: str) -> tuple[QubitCalibration, ...]:
    found: dict[int, QubitCalibration] = {}
    for k, item in enumerate(_list(given, path)):
        where = f"{path}[{k}]"
        one = _object(item, where)
        _known(one, {"qubit", "label", *_QUBIT}, where)
        qubit = _integer(one.get("qubit"), f"{where}.qubit", 0, num_qubits - 1)
        if qubit in found:
            raise FieldError(f"{where}.qubit", expected="each qubit once", given=qubit)
        label = one.get("label", "")
        if not isinstance(label, str) or len(label) > 64:
            raise FieldError(f"{where}.label", expected="at most 64 characters", given=label)
        values = {
            name: _number(one.get(name), f"{where}.{name}", 1.0 if name.startswith("p") else 1e15)
            for name in _QUBIT
        }
        for name in ("t1_us", "t2_us"):
            if values[name] == 0.0:
                raise FieldError(f"{where}.{name}", expected="a number above 0", given=0)
        found[qubit] = QubitCalibration(qubit, label=label, **values)
    return tuple(found[qubit] for qubit in sorted(found))


def _gates(given: Any, num_qubits: int, path: str) -> tuple[GateCalibration, ...]:
    found: dict[tuple[str, tuple[int, ...]], GateCalibration] = {}
    for k, item in enumerate(_list(given, path)):
        where = f"{path}[{k}]"
        one = _object(item, where)
        _known(one, {"gate", "qubits", "error", "duration_ns"}, where)
        name = one.get("gate")
        if name != "reset" and (not isinstance(name, str) or name not in GATES):
            raise FieldError(f"{where}.gate", expected="a gate, or 'reset'", given=name)
        size = 1 if name == "reset" else GATES[name].num_qubits
        on = _numbers(one.get("qubits"), f"{where}.qubits", size, num_qubits)
        if (name, on) in found:
            raise FieldError(where, expected="each gate on its qubits once", given=[name, *on])
        found[(name, on)] = GateCalibration(
            name,
            on,
            _number(one.get("error"), f"{where}.error", 1.0),
            _number(one.get("duration_ns"), f"{where}.duration_ns", 1e15),
        )
    return tuple(found.values())


def _coupling(
    given: Any, gates: Sequence[GateCalibration], num_qubits: int, path: str
) -> tuple[tuple[int, int], ...]:
    if given is None:
        return tuple(sorted({(g.qubits[0], g.qubits[1]) for g in gates if g.gate in ENTANGLERS}))
    pairs = [
        _numbers(pair, f"{path}[{k}]", 2, num_qubits) for k, pair in enumerate(_list(given, path))
    ]
    return tuple((a, b) for a, b in dict.fromkeys(pairs))


def _numbers(given: Any, path: str, size: int, num_qubits: int) -> tuple[int, ...]:
    items = _list(given, path)
    if len(items) != size or len(set(map(repr, items))) != size:
        raise FieldError(path, expected=f"{size} qubits that differ", given=given)
    return tuple(_integer(q, f"{path}[{k}]", 0, num_qubits - 1) for k, q in enumerate(items))


def _time(given: Any, path: str) -> int:
    try:
        time = datetime.fromisoformat(given)
        if time.tzinfo is None:
            raise ValueError
        return round(time.timestamp() * 1e6)
    except (TypeError, ValueError, OverflowError):
        expected = "a time with its zone, for example 2026-05-04T10:00:00Z"
        raise FieldError(path, expected=expected, given=given) from None


def _object(given: Any, path: str) -> Json:
    if not isinstance(given, dict):
        raise FieldError(path, expected="a JSON object", given=given)
    return given


def _known(given: Json, members: set[str], path: str) -> None:
    for name in given:
        if name not in members:
            raise FieldError(
                f"{path}.{name[:64]}", expected=f"one of {', '.join(sorted(members))}", given=name
            )


def _list(given: Any, path: str) -> list[Any]:
    if not isinstance(given, list) or len(given) > ENTRIES_MAX:
        raise FieldError(path, expected=f"a list of at most {ENTRIES_MAX} entries", given=given)
    return given


def _integer(given: Any, path: str, low: int, high: int) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or not low <= given <= high:
        raise FieldError(path, expected=f"an integer from {low} to {high}", given=given)
    return given


def _number(given: Any, path: str, high: float) -> float | None:
    if given is None:
        return None
    good = isinstance(given, int | float) and not isinstance(given, bool)
    if not good or not math.isfinite(given) or not 0.0 <= given <= high:
        raise FieldError(path, expected=f"a number from 0 to {high:g}", given=given)
    return float(given)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")
