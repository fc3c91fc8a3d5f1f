"""Parts of answers that all algorithms have, as messages."""

from __future__ import annotations

from collections.abc import Mapping

from ketgate.quantum.v1 import algorithm_service_pb2 as pb

from ketgate_server.errors import KetgateError
from ketgate_server.limits import Limit
from ketgate_server.quantum.algorithms.answer import Baseline, Convergence
from ketgate_server.quantum.algorithms.runner import Runner
from ketgate_server.quantum.convert_result import duration
from ketgate_server.quantum.openqasm.write import write3

Limits = Mapping[str, Limit]

OPERATIONS_WRITTEN_MAX = 20_000
"""Circuits of more operations are not written out: nobody reads them, and it takes time."""


def write_baseline(found: Baseline) -> pb.ClassicalBaseline:
    return pb.ClassicalBaseline(
        method=found.method, value=found.value, proven=found.proven, time=duration(found.time_s)
    )


def write_convergence(found: Convergence) -> list[pb.ConvergencePoint]:
    return [
        pb.ConvergencePoint(evaluations=p.evaluations, value=p.value, elapsed_s=p.elapsed_s)
        for p in found.points
    ]


def write_resources(runner: Runner, limits: Limits) -> pb.AlgorithmResources:
    used, found = runner.used, runner.resources()
    written = pb.AlgorithmResources(circuits=used.circuits, shots=used.shots)
    if used.largest is None or found is None:
        return written
    written.num_qubits = used.largest.num_qubits
    written.depth = found.depth
    written.num_multi_qubit_gates = found.num_multi_qubit_gates
    if len(used.largest.operations) <= OPERATIONS_WRITTEN_MAX:
        try:
            text = write3(used.largest)
        except KetgateError:  # what has no text is run all the same
            return written
        if len(text) <= limits["quantum.program_bytes_max"].value:
            written.openqasm = text
    return written
