"""Requests of quantum algorithms, from NumPy, mappings, circuits and operators."""

from collections.abc import Iterable, Mapping
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike

from ketgate._circuits import Program
from ketgate._errors import InvalidArgument
from ketgate._labels import Labels
from ketgate._options import check_names, number
from ketgate._programs import fill_ising, fill_qubo
from ketgate._quantum_options import RunOptions, fill_execution
from ketgate._search_result import (
    AmplitudeEstimationResult,
    FactoringResult,
    FourierTransformResult,
    GroverResult,
    PhaseEstimationResult,
)
from ketgate._tensor import float_array, to_tensor
from ketgate._work import Work, work
from ketgate.quantum.v1 import algorithm_service_pb2 as pb


class AlgorithmOptions(RunOptions, total=False):
    """Of every algorithm.

    shots: of each circuit; 0: exact, of simulators.
    """

    shots: int


def grover(
    marked: Iterable[int | str] | str | None = None,
    *,
    num_bits: int = 0,
    formula: Iterable[Iterable[int]] | None = None,
    Q: Any = None,
    h: Any = None,
    J: Any = None,
    linear: ArrayLike | None = None,
    offset: float = 0.0,
    iterations: int = 0,
    oracle_calls_max: int = 0,
    **options: Unpack[AlgorithmOptions],
) -> Work[GroverResult]:
    """Grover's search; with Q or h and J, adaptive search for the least value.

    marked: numbers to find among 2^num_bits, or their bits as texts of one length, the highest bit
    first; one text is itself. formula:
    clauses of +k and -k, as DIMACS has them, over num_bits variables (default: the greatest named).
    iterations: default: the best number. oracle_calls_max: default 10,000.

    >>> client.algorithms.grover(["10110"]).values
    """
    spec = pb.GroverSpec(
        iterations=number(iterations, "iterations", int),
        oracle_calls_max=number(oracle_calls_max, "oracle_calls_max", int),
    )
    labels = Labels(None)
    if marked is not None:
        _fill_marked(spec, [marked] if isinstance(marked, str) else list(marked), num_bits)
    if formula is not None:
        clauses = [[number(k, "formula", int) for k in clause] for clause in formula]
        greatest = max((abs(k) for clause in clauses for k in clause), default=0)
        spec.formula.num_variables = number(num_bits, "num_bits", int) or greatest
        spec.formula.clauses.extend(pb.Clause(literals=clause) for clause in clauses)
    given = [marked is not None, formula is not None, not (Q is None and h is None and J is None)]
    if sum(given) != 1:
        raise InvalidArgument(
            f"marked: expected one of marked, formula, Q, and h or J, given {sum(given)} of them",
            field="marked",
        )
    if given[2]:
        labels = fill_problem(spec, Q, h, J, linear, offset)
    fill_algorithm(spec, options, AlgorithmOptions)
    return Work("grover", spec, lambda message, sent: GroverResult(message, sent, labels))


def fourier_transform(
    amplitudes: ArrayLike | None = None,
    *,
    num_qubits: int = 0,
    state: int = 0,
    inverse: bool = False,
    approximation_degree: int = 0,
    **options: Unpack[AlgorithmOptions],
) -> Work[FourierTransformResult]:
    """The quantum Fourier transform of amplitudes, shape (2^n,) and norm 1; or of the basis state
    `state` of num_qubits.

    approximation_degree: leave out controlled phases smaller than 2 pi / 2^degree.
    """
    spec = pb.FourierTransformSpec(
        num_qubits=number(num_qubits, "num_qubits", int),
        state=number(state, "state", int),
        inverse=bool(inverse),
        approximation_degree=number(approximation_degree, "approximation_degree", int),
    )
    if amplitudes is not None:
        spec.amplitudes.CopyFrom(to_tensor(_complex(amplitudes, "amplitudes")))
    fill_algorithm(spec, options, AlgorithmOptions)
    return work("fourier_transform", spec)


def phase_estimation(
    unitary: Any,
    state: Any = None,
    *,
    precision_bits: int = 8,
    **options: Unpack[AlgorithmOptions],
) -> Work[PhaseEstimationResult]:
    """The phase, in turns, that a unitary gives to an eigenstate.

    unitary: a circuit without measurements. state: a circuit that prepares the eigenstate on the
    same qubits; default |0...0>.
    """
    spec = pb.PhaseEstimationSpec(
        unitary=Program.of(unitary).message(),
        precision_bits=number(precision_bits, "precision_bits", int),
    )
    if state is not None:
        spec.state.CopyFrom(Program.of(state).message())
    fill_algorithm(spec, options, AlgorithmOptions)
    return work("phase_estimation", spec)


def amplitude_estimation(
    circuit: Any,
    objective_qubit: int = 0,
    *,
    epsilon: float | None = None,
    alpha: float | None = None,
    **options: Unpack[AlgorithmOptions],
) -> Work[AmplitudeEstimationResult]:
    """The probability that a qubit of a circuit without measurements is 1, with a confidence
    interval.

    epsilon: half width of the interval; default 0.01. alpha: 1 - confidence; default 0.05. shots:
    of each round; default 100.
    """
    spec = pb.AmplitudeEstimationSpec(
        circuit=Program.of(circuit).message(),
        objective_qubit=number(objective_qubit, "objective_qubit", int),
    )
    return _amplitude(spec, epsilon, alpha, options)


def value_at_risk(
    losses: ArrayLike,
    probabilities: ArrayLike,
    confidence: float = 0.95,
    *,
    epsilon: float | None = None,
    alpha: float | None = None,
    **options: Unpack[AlgorithmOptions],
) -> Work[AmplitudeEstimationResult]:
    """The least loss that is not exceeded with the given probability, by amplitude estimation.

    losses: in rising order, shape (m,). probabilities: of each, shape (m,), sum 1. epsilon, alpha:
    as for amplitude_estimation.
    """
    spec = pb.AmplitudeEstimationSpec()
    target = spec.value_at_risk
    target.losses.CopyFrom(to_tensor(float_array(losses, "losses", ndim=1)))
    target.probabilities.CopyFrom(to_tensor(float_array(probabilities, "probabilities", ndim=1)))
    target.confidence = number(confidence, "confidence", float)
    return _amplitude(spec, epsilon, alpha, options)


def factor(
    number_: int,
    /,
    *,
    base: int = 0,
    attempts_max: int = 0,
    **options: Unpack[AlgorithmOptions],
) -> Work[FactoringResult]:
    """Shor's factoring by order finding, as far as simulation goes.

    base: whose order is found; default: drawn. attempts_max: bases to try; default 10.

    >>> client.algorithms.factor(15).factors
    (3, 5)
    """
    spec = pb.FactoringSpec(
        number=number(number_, "number", int),
        base=number(base, "base", int),
        attempts_max=number(attempts_max, "attempts_max", int),
    )
    fill_algorithm(spec, options, AlgorithmOptions)
    return work("factoring", spec)


def _amplitude(
    spec: pb.AmplitudeEstimationSpec, epsilon: float | None, alpha: float | None, options: Any
) -> Work[AmplitudeEstimationResult]:
    if epsilon is not None:
        spec.epsilon = _within(epsilon, "epsilon", 1e-6, 0.5, "from 0.000001 to 0.5")
    if alpha is not None:
        spec.alpha = _within(alpha, "alpha", 1e-300, 1 - 1e-16, "above 0 and below 1")
    fill_algorithm(spec, options, AlgorithmOptions)
    return work("amplitude_estimation", spec)


def _within(value: Any, field: str, least: float, most: float, words: str) -> float:
    """A number that the contract has no 0 for: 0 says there that nothing was given."""
    found: float = number(value, field, float)
    if not least <= found <= most:
        raise InvalidArgument(f"{field}: expected a number {words}, given {found:g}", field=field)
    return found


def fill_problem(spec: Any, Q: Any, h: Any, J: Any, linear: Any, offset: float) -> Labels:
    """The QUBO or the Ising energy, whichever was given."""
    if (Q is None) == (h is None and J is None):
        raise InvalidArgument("Q: expected Q, or else h, J or both", field="Q")
    if Q is not None:
        return fill_qubo(spec.qubo, Q, linear, offset)
    if linear is not None:
        raise InvalidArgument("linear: expected with Q only; use h", field="linear")
    return fill_ising(spec.ising, h, J, offset)


def _fill_marked(spec: pb.GroverSpec, marked: list[Any], num_bits: int) -> None:
    bits = number(num_bits, "num_bits", int)
    for one in marked:
        if isinstance(one, str):
            if not one or set(one) - {"0", "1"}:
                raise InvalidArgument(
                    f"marked: expected bits 0 and 1, given {one[:100]!r}", field="marked"
                )
            if len(one) != (bits := bits or len(one)):
                raise InvalidArgument(
                    f"marked: expected texts of {bits} bits, given {one[:100]!r}", field="marked"
                )
            spec.marked.states.append(int(one, 2))
        else:
            spec.marked.states.append(number(one, "state", int))
    spec.marked.num_bits = bits or max((s.bit_length() for s in spec.marked.states), default=0)


def _complex(values: ArrayLike, field: str) -> Any:
    try:
        return np.asarray(values).astype(np.complex128, copy=False)
    except (TypeError, ValueError):
        raise InvalidArgument(f"{field}: expected numbers", field=field) from None


def fill_algorithm(spec: Any, options: Mapping[str, Any], accepted: Any) -> None:
    check_names(options, accepted)
    fill_execution(spec.execution, options)  # type: ignore[arg-type]
    spec.execution.shots = number(options.get("shots", 0), "shots", int)
