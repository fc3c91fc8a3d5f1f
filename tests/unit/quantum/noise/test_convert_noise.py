"""Noise as a request writes it: small messages must not become large operators."""

import numpy as np
import pytest
from ketgate.quantum.v1 import circuit_pb2 as pb
from ketgate_server.errors import FieldError
from ketgate_server.quantum import convert_noise
from ketgate_server.quantum.convert_noise import read_noise


def read(*gates):
    return read_noise(pb.NoiseSpec(channels=pb.NoiseModel(gates=gates)), {}, "noise").model


@pytest.mark.parametrize(
    "channel",
    [
        {"depolarizing": 0.1},
        {"pauli": pb.PauliErrors(paulis=["X" * 13], probabilities=[0.1])},
    ],
    ids=lambda channel: next(iter(channel)),
)
def test_many_qubits_do_not_err_together(channel):
    with pytest.raises(FieldError, match=r"at most 3 qubits.*given c{12}x, of 13") as caught:
        read(pb.GateNoise(gate="c" * 12 + "x", **channel))
    assert f"noise.channels.gates[0].{next(iter(channel))}" in str(caught.value)


def test_many_qubits_may_err_each_by_itself():
    model = read(pb.GateNoise(gate="c" * 12 + "x", bit_flip=0.1))
    (channels,) = model.gates.values()
    assert [one.qubits for one in channels] == [(k,) for k in range(13)]


@pytest.mark.parametrize("name", ["c" * 65 + "q", "c" * 1_000_000, "cc", "", "gphase", "q"])
def test_names_that_are_no_gates_are_refused(name):
    with pytest.raises(FieldError, match=r"gates\[0\].gate: expected a gate of the library"):
        read(pb.GateNoise(gate=name, bit_flip=0.1))


def test_operators_of_a_request_are_bounded_together(monkeypatch):
    monkeypatch.setattr(convert_noise, "KRAUS_ENTRIES_MAX", 3 * 64 * 64)
    one = [pb.GateNoise(gate="ccx", qubits=[q, q + 1, q + 2], depolarizing=0.1) for q in range(4)]
    assert len(read(*one[:3]).gates) == 3
    with pytest.raises(FieldError, match=r"gates\[3\]: expected at most 12288 numbers"):
        read(*one)


def test_what_is_given_twice_happens_twice():
    twice = read(*[pb.GateNoise(gate="x", bit_flip=0.25)] * 2)
    ((first, second),) = twice.gates.values()
    assert np.array_equal(first.kraus, second.kraus)
