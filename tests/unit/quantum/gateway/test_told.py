"""What is told of back ends is what they do: threads, and the order of a pair's qubits."""

from dataclasses import replace

import pytest
from ketgate.quantum.v1 import quantum_service_pb2 as pb
from ketgate_server.limits import LIMITS
from ketgate_server.quantum.backends.aer import AerBackend
from ketgate_server.quantum.backends.pennylane import PennylaneBackend
from ketgate_server.quantum.convert_transpile import read_transpilation
from ketgate_server.quantum.gates import GATES, is_symmetric
from ketgate_server.quantum.work import Choice
from ketgate_server.quantum.workers.isolated import Isolated
from ketgate_server.quantum.workers.pool import Workers

from .fakes import CALLER, FakeBackend, gateway, work

PROGRAM = 'OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; cx q[0], q[1];'


@pytest.mark.parametrize(
    ("basis", "pairs"),
    [
        (("rz", "sx", "cz"), {(0, 1), (1, 0), (1, 2), (2, 1)}),
        (("rz", "sx", "ecr"), {(0, 1), (1, 2)}),
        (("rz", "sx", "ecr", "rzz"), {(0, 1), (1, 0), (1, 2), (2, 1)}),
    ],
)
def test_a_pair_is_taken_in_both_orders_where_a_gate_allows_it(basis, pairs):
    device = FakeBackend(
        "a", more={"coupling": ((0, 1), (1, 2)), "basis_gates": basis, "num_qubits": 3}
    )
    request = pb.TranspileCircuitRequest(circuits=[{"openqasm": PROGRAM}], backend="a")
    target = read_transpilation(request, LIMITS, gateway(device).catalogue).target
    assert set(target.coupling) == pairs
    assert len(target.coupling) == len(pairs)


def test_gates_for_which_the_order_does_not_matter():
    symmetric = {name for name in GATES if is_symmetric(name)}
    assert {"cz", "swap", "iswap", "rzz", "rxx", "cp"} & set(GATES) <= symmetric
    assert not symmetric & {"cx", "ecr", "ch", "crx", "cy", "x", "ccx"}


def test_threads_are_those_that_the_back_end_uses():
    one, many = FakeBackend("one"), FakeBackend("many")
    one.threads_max = 1
    of = gateway(one, many)
    for backend, threads in ((one, 1), (many, 7)):
        asked = work(choice=Choice(backend.name))
        asked = replace(asked, options=replace(asked.options, threads=7))
        _, evidence = of.run(asked, CALLER)
        assert evidence.options.threads == threads
        assert backend.calls[-1][1].threads == threads


def test_lightning_takes_one_thread_and_aer_what_it_is_given():
    workers = Workers()
    assert Isolated(PennylaneBackend(), workers).threads_max == 1
    assert Isolated(AerBackend(), workers).threads_max == 64
