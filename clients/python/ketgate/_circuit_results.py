"""Results in the types of Qiskit and Cirq, with their own order of bits."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ketgate._quantum_result import CircuitResult, RunResult


def to_qiskit(result: "CircuitResult") -> Any:
    """Qiskit's keys name the last register first; ours the first."""
    from qiskit.result import Counts, ProbDistribution

    if not result.counts:
        return ProbDistribution({_number(key): p for key, p in result.probabilities.items()})
    return Counts(
        {hex(_number(key)): count for key, count in result.counts.items()},
        creg_sizes=_sizes(result),
        memory_slots=sum(result.registers.values()),
    )


def whole_to_qiskit(result: "RunResult") -> Any:
    """A qiskit.result.Result."""
    from qiskit.result import Result
    from qiskit.result.models import ExperimentResult, ExperimentResultData

    experiments = []
    for one in result.circuits:
        found: dict[str, Any] = {
            "counts": {hex(_number(key)): count for key, count in one.counts.items()}
        }
        if one.message.HasField("memory"):
            found["memory"] = [hex(_packed(shot)) for shot in one.memory]
        if one.message.HasField("state_vector"):
            found["statevector"] = one.state_vector
        header = {
            "name": one.label,
            "creg_sizes": _sizes(one),
            "memory_slots": sum(one.registers.values()),
        }
        experiments.append(
            ExperimentResult(
                one.shots, True, ExperimentResultData(**found), header=header, seed=result.seed
            )
        )
    return Result(
        backend_name=result.backend,
        backend_version=result.evidence.version,
        job_id=result.evidence.spec_digest,
        success=True,
        results=experiments,
    )


def to_cirq(result: "CircuitResult") -> Any:
    """A measurement for each register: column i is its bit i, the i-th qubit that Cirq measured."""
    import cirq

    shots = _shots(result)
    measurements, first = {}, 0
    for name, size in result.registers.items():
        measurements[name.removeprefix("m_")] = shots[:, first : first + size]
        first += size
    return cirq.ResultDict(params=cirq.ParamResolver({}), measurements=measurements)


def _shots(result: "CircuitResult") -> Any:
    """Shape (shots, bits)."""
    if result.message.HasField("memory"):
        return result.memory
    width = sum(result.registers.values())
    rows = [
        np.repeat([[_number(key) >> bit & 1 for bit in range(width)]], count, axis=0)
        for key, count in sorted(result.counts.items())
    ]
    return np.concatenate(rows).astype(np.uint8) if rows else np.zeros((0, width), np.uint8)


def _number(key: str) -> int:
    """Bit i of the number is bit i of the registers joined in order of declaration."""
    return int("".join(reversed(key.split(" "))), 2)


def _packed(shot: Any) -> int:
    return sum(int(bit) << i for i, bit in enumerate(shot))


def _sizes(result: "CircuitResult") -> list[list[Any]]:
    return [[name, size] for name, size in result.registers.items()]
