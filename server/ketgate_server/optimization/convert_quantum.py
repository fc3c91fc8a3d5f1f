"""What a quantum solver did, as a message."""

from ketgate.optimization.v1 import result_pb2

from ketgate_server.limits import LIMITS
from ketgate_server.quantum.algorithms.convert_answer import write_baseline, write_resources
from ketgate_server.quantum.convert_result import write_evidence
from ketgate_server.quantum.solving import Solved


def write_quantum(found: Solved) -> result_pb2.QuantumRun:
    return result_pb2.QuantumRun(
        evidence=write_evidence(found.evidence, digest="", checking_s=0.0, total_s=found.total_s),
        resources=write_resources(found.runner, LIMITS),
        baseline=write_baseline(found.baseline),
        expectation=found.expectation,
        layers=found.layers,
        method=found.method,
        approximation_ratio=found.approximation_ratio,
        ground_state_probability=found.ground_state_probability,
        encoding=found.encoding,
    )
