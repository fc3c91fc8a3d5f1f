"""Requests of QAOA and VQE, whose angles are optimised."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Unpack

from numpy.typing import ArrayLike

from ketgate._algorithm_requests import AlgorithmOptions, fill_algorithm, fill_problem
from ketgate._algorithm_result import QaoaResult, VqeResult
from ketgate._circuits import Program
from ketgate._errors import InvalidArgument
from ketgate._observables import read_observable
from ketgate._options import number, one_of
from ketgate._tensor import float_array, to_tensor
from ketgate._work import Work, work
from ketgate.quantum.v1 import algorithm_service_pb2 as pb

_MIXERS = {
    "x": pb.QAOA_MIXER_X,
    "xy-ring": pb.QAOA_MIXER_XY_RING,
    "xy-complete": pb.QAOA_MIXER_XY_COMPLETE,
}


class VariationalOptions(AlgorithmOptions, total=False):
    """How angles are chosen.

    optimizer: "lbfgs" (adjoint gradients, exact back ends), "spsa" (also with shots and noise),
        "none" (the initial values as they are); default: lbfgs where it can be, else spsa.
    evaluations_max: of the expectation; default 500.
    tolerance: stop when it improves by less, relative; default 1e-8.
    starts: the best of so many is kept; default 1.
    """

    optimizer: Literal["lbfgs", "spsa", "none"]
    evaluations_max: int
    tolerance: float | None
    starts: int


def qaoa(
    Q: Any = None,
    *,
    h: Any = None,
    J: Any = None,
    linear: ArrayLike | None = None,
    offset: float = 0.0,
    layers: int = 1,
    mixer: Literal["x", "xy-ring", "xy-complete"] = "x",
    hamming_weight: int = 0,
    initial_angles: ArrayLike | None = None,
    warm_start: ArrayLike | None = None,
    samples_max: int = 10,
    **options: Unpack[VariationalOptions],
) -> Work[QaoaResult]:
    """The quantum approximate optimization algorithm: minimise a QUBO, or an Ising energy.

    Q, linear, offset: as for client.optimize.qubo. h, J, offset: as for client.optimize.ising,
    instead. layers: p. mixer: the "xy" ones keep hamming_weight variables at 1. initial_angles:
    shape (2, layers), gammas then betas. warm_start: a relaxed solution, shape (n,).

    >>> client.algorithms.qaoa({("a", "b"): 2, ("a", "a"): -1, ("b", "b"): -1}, layers=2).by_name
    """
    spec = pb.QaoaSpec(layers=number(layers, "layers", int))
    labels = fill_problem(spec, Q, h, J, linear, offset)
    spec.mixer = one_of(mixer, _MIXERS, "mixer")
    spec.hamming_weight = number(hamming_weight, "hamming_weight", int)
    spec.samples_max = number(samples_max, "samples_max", int)
    if initial_angles is not None:
        spec.initial_angles.CopyFrom(
            to_tensor(float_array(initial_angles, "initial_angles", ndim=2))
        )
    if warm_start is not None:
        spec.warm_start.CopyFrom(to_tensor(float_array(warm_start, "warm_start", ndim=1)))
    _fill_variational(spec, options, VariationalOptions)
    return Work("qaoa", spec, lambda message, sent: QaoaResult(message, sent, labels))


class AnsatzOptions(VariationalOptions, total=False):
    """Of trial states.

    layers, entanglement, entangler: of ansatz="hardware-efficient" (default): 1 or more, default 2;
        "linear", "ring" or "complete"; "cx" or "cz".
    num_electrons, occupied, doubles_only, spin_flips: of ansatz="ucc", unitary coupled cluster over
        Jordan-Wigner qubits.
    """

    layers: int
    entanglement: Literal["linear", "ring", "complete"]
    entangler: Literal["cx", "cz"]
    num_electrons: int
    occupied: Sequence[int]
    doubles_only: bool
    spin_flips: bool


def vqe(
    hamiltonian: Any,
    ansatz: Any = "hardware-efficient",
    *,
    num_qubits: int = 0,
    initial_parameters: ArrayLike | None = None,
    **options: Unpack[AnsatzOptions],
) -> Work[VqeResult]:
    """The variational quantum eigensolver: the least eigenvalue of a Pauli Hamiltonian.

    hamiltonian: an observable, as for client.quantum.estimate. ansatz: "hardware-efficient", "ucc",
    or a circuit with parameters. initial_parameters: shape (m,).

    >>> client.algorithms.vqe({"Z0 Z1": -1.0, "X0": -0.5, "X1": -0.5}, layers=2).energy
    """
    spec = pb.VqeSpec(num_qubits=number(num_qubits, "num_qubits", int))
    program = Program("")
    if ansatz == "hardware-efficient":
        spec.hardware_efficient.layers = number(options.get("layers", 2), "layers", int)
        spec.hardware_efficient.entanglement = options.get("entanglement", "")
        spec.hardware_efficient.entangler = options.get("entangler", "")
    elif ansatz == "ucc":
        spec.ucc.num_electrons = number(options.get("num_electrons", 0), "num_electrons", int)
        spec.ucc.occupied.extend(number(k, "occupied", int) for k in options.get("occupied", ()))
        spec.ucc.doubles_only = bool(options.get("doubles_only", False))
        spec.ucc.spin_flips = bool(options.get("spin_flips", False))
    else:
        if isinstance(ansatz, str) and ";" not in ansatz and not os.path.exists(ansatz):
            raise InvalidArgument(
                "ansatz: expected 'hardware-efficient', 'ucc' or a circuit with parameters (a file of "
                f"OpenQASM, its text or a framework's object), given {ansatz[:100]!r}",
                field="ansatz",
            )
        program = Program.of(ansatz)
        spec.circuit.CopyFrom(program.message())
    spec.hamiltonian.CopyFrom(read_observable(hamiltonian, program))
    if initial_parameters is not None:
        values = float_array(initial_parameters, "initial_parameters", ndim=1)
        spec.initial_parameters.CopyFrom(to_tensor(values))
    _fill_variational(spec, options, AnsatzOptions)
    return work("vqe", spec)


def _fill_variational(spec: Any, options: Mapping[str, Any], accepted: Any) -> None:
    fill_algorithm(spec, options, accepted)
    spec.optimizer.method = options.get("optimizer") or ""
    for name in ("evaluations_max", "starts"):
        if name in options:
            setattr(spec.optimizer, name, number(options[name], name, int))
    if options.get("tolerance") is not None:
        spec.optimizer.tolerance = number(options["tolerance"], "tolerance", float)
