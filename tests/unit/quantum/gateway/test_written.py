"""Answers of many outcomes: their names, and their bytes."""

import random

import pytest
from ketgate.quantum.v1 import quantum_service_pb2 as pb
from ketgate_server.quantum import convert_result
from ketgate_server.quantum.base import CircuitOutcome
from ketgate_server.quantum.circuit import Circuit, Register
from ketgate_server.rpc import handler


def registers(*sizes):
    start, found = 0, []
    for number, size in enumerate(sizes):
        found.append(Register(f"r{number}", start, size))
        start += size
    return tuple(found)


def name(value, circuit):
    """Bit by bit."""
    parts = [
        "".join(str((value >> bit) & 1) for bit in reversed(range(r.start, r.start + r.size)))
        for r in circuit.bit_registers or (Register("c", 0, circuit.num_bits),)
    ]
    return " ".join(parts)


@pytest.mark.parametrize("count", [1, convert_result.MANY - 1, convert_result.MANY, 1000])
@pytest.mark.parametrize(
    "sizes", [(), (3,), (11,), (20,), (12, 1, 9), (63,), (31, 32), (40, 40), (5, 0, 7)]
)
def test_outcomes_are_named_by_their_bits(sizes, count):
    bits = sum(sizes) or 16
    circuit = Circuit(bits, bits, (), bit_registers=registers(*sizes))
    rng = random.Random(count)
    values = {rng.getrandbits(bits): number for number in range(count)}
    assert convert_result.by_bits(values, circuit) == {
        name(value, circuit): number for value, number in values.items()
    }


def test_maps_are_sent_in_the_order_of_their_keys():
    """In the order of the table that they come from, reading them takes a time that grows with the
    square of their number: 10 s for 640,000 counts."""
    circuit = Circuit(16, 16, (), bit_registers=registers(16))
    outcome = CircuitOutcome({value * 7919 % 65536: 1 for value in range(5000)})
    written = convert_result.write_circuit_result(0, circuit, outcome, 5000)
    content = handler.serialise(pb.RunCircuitsStreamResponse(circuit=written))
    names = [name(value, circuit) for value in outcome.counts]
    places = [content.index(one.encode()) for one in sorted(names)]
    assert places == sorted(places)
