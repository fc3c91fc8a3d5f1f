"""Calibration files: one that is good, and each mistake by its path."""

import copy
import json

import pytest
from ketgate_server.errors import FieldError
from ketgate_server.quantum.calibration_file import read_calibration

GOOD = {
    "format": "ketgate-calibration-1",
    "name": "my-chip",
    "time": "2026-05-04T10:00:00Z",
    "num_qubits": 3,
    "basis_gates": ["rz", "sx", "x", "cz"],
    "coupling": [[0, 1], [1, 0], [1, 2]],
    "qubits": [{"qubit": 1, "t1_us": 120.0, "t2_us": 80, "p1_given_0": 0.01, "label": "Q1"}],
    "gates": [
        {"gate": "sx", "qubits": [0], "error": 0.0003, "duration_ns": 35.0},
        {"gate": "cz", "qubits": [0, 1], "error": 0.006},
        {"gate": "reset", "qubits": [2], "duration_ns": 800},
    ],
}


def changed(path, value):
    given = copy.deepcopy(GOOD)
    inner = given
    for part in path[:-1]:
        inner = inner[part]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return json.dumps(given).encode()


def test_a_good_file():
    device = read_calibration(json.dumps(GOOD).encode(), "noise.calibration")
    assert (device.name, device.num_qubits) == ("emulator/my-chip", 3)
    assert device.coupling == ((0, 1), (1, 0), (1, 2))
    assert device.calibration.time_us == 1_777_888_800_000_000
    assert device.calibration.qubits[0].t2_us == 80.0
    assert len(device.calibration.digest) == 64


def test_without_coupling_the_gates_tell_it():
    device = read_calibration(changed(["coupling"], ...), "f")
    assert device.coupling == ((0, 1),)


@pytest.mark.parametrize(
    ("path", "value", "field", "message"),
    [
        (["format"], "other-2", "f.format", "expected 'ketgate-calibration-1'"),
        (["name"], ..., "f.name", "expected a value, given nothing"),
        (["name"], "a/b", "f.name", "letters, digits"),
        (["time"], "2026-05-04T10:00:00", "f.time", "a time with its zone"),
        (["time"], 12, "f.time", "a time with its zone"),
        (["num_qubits"], 0, "f.num_qubits", "an integer from 1 to 10000"),
        (["num_qubits"], True, "f.num_qubits", "an integer"),
        (["basis_gates", 0], "foo", "f.basis_gates[0]", "a gate of the standard library"),
        (["basis_gates"], ["cz"], "f.basis_gates", "u, or sx with rz or p"),
        (["basis_gates"], ["u"], "f.basis_gates", "one of cz, ecr, cx, xx_plus_yy"),
        (["coupling", 0], [0, 3], "f.coupling[0][1]", "an integer from 0 to 2"),
        (["coupling", 0], [1, 1], "f.coupling[0]", "2 qubits that differ"),
        (["coupling"], {}, "f.coupling", "a list"),
        (["qubits", 0, "qubit"], 3, "f.qubits[0].qubit", "an integer from 0 to 2"),
        (["qubits", 0, "t1_us"], 0, "f.qubits[0].t1_us", "a number above 0"),
        (["qubits", 0, "t1_us"], "1", "f.qubits[0].t1_us", "a number from 0"),
        (["qubits", 0, "p1_given_0"], 1.5, "f.qubits[0].p1_given_0", "from 0 to 1"),
        (["qubits", 0, "T1"], 5, "f.qubits[0].T1", "expected one of label"),
        (["gates", 0, "gate"], "sxx", "f.gates[0].gate", "a gate, or 'reset'"),
        (["gates", 1, "qubits"], [0], "f.gates[1].qubits", "2 qubits that differ"),
        (["gates", 0, "error"], -0.1, "f.gates[0].error", "a number from 0 to 1"),
        (["gates", 1], GOOD["gates"][0], "f.gates[1]", "each gate on its qubits once"),
        (["gates", 1], 5, "f.gates[1]", "a JSON object"),
        (["colour"], "red", "f.colour", "expected one of basis_gates"),
    ],
)
def test_a_mistake_is_named_with_its_path(path, value, field, message):
    with pytest.raises(FieldError, match=None) as caught:
        read_calibration(changed(path, value), "f")
    assert caught.value.field == field
    assert message in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[1]", b"[" * 100_000, b'{"a": NaN}'])
def test_what_is_no_json_is_refused(content):
    with pytest.raises(FieldError, match="f: expected"):
        read_calibration(content, "f")
