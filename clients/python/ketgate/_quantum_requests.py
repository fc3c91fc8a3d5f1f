"""Requests of runs, estimations, transpilations and lists of back ends, as both clients send them."""

from collections.abc import Sequence
from typing import Any, Literal, TypedDict, Unpack

from ketgate._ask import Ask, AskPages
from ketgate._backends import BackendDescription, read_backend
from ketgate._circuits import Circuits, Parameters, Program, read_circuits
from ketgate._errors import InvalidArgument
from ketgate._estimate_result import EstimateResult
from ketgate._evidence import RunEstimate, read_run_estimate
from ketgate._observables import read_observables
from ketgate._options import check_names, number, one_of
from ketgate._quantum_options import RunOptions, fill_execution, mitigation
from ketgate._quantum_result import RunResult
from ketgate._transpiled import TranspiledCircuit, read_transpiled
from ketgate._work import Work, method, work
from ketgate.quantum.v1 import quantum_service_pb2 as pb

LIST = method("Quantum", "ListBackends")
GET = method("Quantum", "GetBackend")
STREAM = method("Quantum", "RunCircuitsStream", work=True)
TRANSPILE = method("Quantum", "TranspileCircuit", work=True)
ESTIMATE_RUN = method("Quantum", "EstimateRun")
QUICK_S = 120.0
"""For estimates, compilations and back ends whose provider is asked."""

_FORMATS = {
    "openqasm3": pb.CIRCUIT_FORMAT_OPENQASM3,
    "openqasm2": pb.CIRCUIT_FORMAT_OPENQASM2,
}


class CircuitOptions(RunOptions, total=False):
    """Of circuits.

    parameters: values of the circuits' parameters, in radians: a mapping for all of them, or a list
        of mappings: one for each circuit, or so many runs of a single one; as many as an array has
        values, where {"theta": array} gives one.
    optimization_level: compilation for devices, 0 (what must be) to 3 (the most); default 1.
    mitigation: "readout", or {"readout": True, "noise_factors": [1, 3], "extrapolation": "linear"}.
    """

    parameters: Parameters | Sequence[Parameters] | None
    optimization_level: int | None
    mitigation: Any


def run(
    circuits: Circuits,
    shots: int = 1024,
    *,
    memory: bool = False,
    state_vector: bool = False,
    **options: Unpack[CircuitOptions],
) -> Work[RunResult]:
    """Run circuits and return their counts.

    circuits: OpenQASM text, a path, an object of Qiskit, Cirq, PennyLane or Braket, a Program; or a
    list of these. shots: runs of each; 0: exact probabilities, of simulators. memory: return every
    shot. state_vector: return the amplitudes before the final measurements.

    >>> client.quantum.run(qiskit_circuit, shots=1000, seed=7).counts
    {'00': 507, '11': 493}
    """
    programs, spec = _spec(pb.RunCircuitsSpec(), circuits, shots, options)
    del programs
    spec.memory, spec.state_vector = bool(memory), bool(state_vector)
    return work("run_circuits", spec)


def estimate(
    circuits: Circuits,
    observables: Any,
    shots: int = 0,
    *,
    gradients: bool = False,
    **options: Unpack[CircuitOptions],
) -> Work[EstimateResult]:
    """Estimate the expectations of observables, each on every circuit.

    observables: "Z0 Z1", {"Z0 Z1": 0.5, "X0": -1.0}, pairs of these, a SparsePauliOp, a
    cirq.PauliSum, a PennyLane operator; or a list of several. shots: of each measured group; 0
    (default): exact, of simulators. gradients: also the derivatives by every parameter of the
    circuit, under its own names, exact; with shots=0 only.

    >>> client.quantum.estimate(circuit, {"Z0 Z1": 1.0}, parameters={"t": 0.3}, gradients=True).gradient
    """
    programs, spec = _spec(pb.EstimateObservablesSpec(), circuits, shots, options)
    spec.observables.extend(read_observables(observables, programs[0]))
    spec.gradients = bool(gradients)
    names = [{safe: own for own, safe in program.names.items()} for program in programs]
    return Work(
        "estimate_observables", spec, lambda message, sent: EstimateResult(message, sent, names)
    )


def _spec(spec: Any, circuits: Any, shots: Any, options: Any) -> tuple[list[Program], Any]:
    check_names(options, CircuitOptions)
    programs = read_circuits(circuits, options.get("parameters"))
    spec.circuits.extend(program.message() for program in programs)
    spec.shots = number(shots, "shots", int)
    fill_execution(spec, options)
    level = options.get("optimization_level")
    if level is not None:
        spec.optimization_level = number(level, "optimization_level", int)
    wanted = mitigation(options.get("mitigation"))
    if wanted is not None:
        spec.mitigation.CopyFrom(wanted)
    return programs, spec


class TranspileOptions(TypedDict, total=False):
    """Of a transpilation.

    backend: whose gates and coupling count; or else basis_gates and coupling.
    basis_gates: names of the gates to use.
    coupling: pairs of qubits that a gate of two can act on; default: all.
    optimization_level: 0 (what must be) to 3 (the most); default 1.
    seed: of layout and routing; default 0.
    format: "openqasm3" (default) or "openqasm2".
    parameters: as for a run.
    """

    backend: str
    basis_gates: Sequence[str]
    coupling: Sequence[tuple[int, int]]
    optimization_level: int | None
    seed: int | None
    format: Literal["openqasm3", "openqasm2"]
    parameters: Parameters | Sequence[Parameters] | None


def transpile(
    circuits: Circuits, options: TranspileOptions
) -> tuple[pb.TranspileCircuitRequest, bool]:
    """The request, and whether it is of a single circuit."""
    check_names(options, TranspileOptions)
    gates = options.get("basis_gates", ())
    if isinstance(gates, str):
        raise InvalidArgument(
            f"basis_gates: expected a list of names, given {gates!r}", field="basis_gates"
        )
    request = pb.TranspileCircuitRequest(
        circuits=[p.message() for p in read_circuits(circuits, options.get("parameters"))],
        backend=options.get("backend") or "",
        basis_gates=gates,
    )
    for pair in options.get("coupling", ()):
        if len(pair) != 2:
            raise InvalidArgument(
                f"coupling: expected pairs of qubits, given {pair!r}", field="coupling"
            )
        request.coupling.extend(number(qubit, "coupling", int) for qubit in pair)
    for name in ("optimization_level", "seed"):
        value = options.get(name)
        if value is not None:
            setattr(request, name, number(value, name, int))
    if "format" in options:
        request.format = one_of(options["format"], _FORMATS, "format")
    return request, not isinstance(circuits, (list, tuple)) and len(request.circuits) == 1


def transpiled(answer: Any, single: bool) -> TranspiledCircuit | list[TranspiledCircuit]:
    made = [read_transpiled(one) for one in answer.circuits]
    return made[0] if single else made


def estimate_run(of: Work[Any]) -> pb.EstimateRunRequest:
    """of: what run or estimate would send."""
    return pb.EstimateRunRequest(**{of.kind: of.spec})


def run_estimate(answer: pb.EstimateRunResponse) -> RunEstimate:
    return read_run_estimate(answer.estimate, answer.alternatives)


def backends(filter: str = "") -> AskPages[BackendDescription]:  # noqa: A002 - the contract's name
    """The back ends by name: what is there, what is up, and what is missing with the reason.

    filter: conditions on kind, provider, status, region, name (with * at the end) and
    num_qubits, for example `kind = "simulator" AND num_qubits >= 20`.
    """
    return AskPages(
        LIST,
        pb.ListBackendsRequest(filter=filter),
        lambda page: [read_backend(told) for told in page.backends],
        timeout_s=QUICK_S,
    )


def backend(name: str) -> Ask[BackendDescription]:
    """Everything of one back end, with coupling and calibration. Raises NotFound."""
    request = pb.GetBackendRequest(name=name)
    return Ask(GET, request, lambda told: read_backend(told.backend), timeout_s=QUICK_S)


class Streamed:
    """The events of one stream of a run, as they come."""

    def __init__(self, spec: pb.RunCircuitsSpec) -> None:
        self._spec = spec
        self._message = pb.RunCircuitsResult()

    def add(self, event: pb.RunCircuitsStreamResponse) -> pb.CircuitResult | None:
        """A circuit's result; None for the summary."""
        if event.WhichOneof("event") == "circuit":
            self._message.circuits.append(event.circuit)
            return event.circuit
        self._message.evidence.CopyFrom(event.evidence)
        return None

    def result(self) -> RunResult:
        self._message.circuits.sort(key=lambda one: one.index)
        return RunResult(self._message, self._spec)
