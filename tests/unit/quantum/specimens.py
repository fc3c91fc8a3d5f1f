"""Circuits and noise models that every back end is tried on."""

import math

import numpy as np
from ketgate_server.quantum.circuit import (
    Barrier,
    Circuit,
    Condition,
    Gate,
    If,
    Measure,
    Place,
    Reset,
)
from ketgate_server.quantum.gates import GATES
from ketgate_server.quantum.noise import Channel, NoiseModel
from ketgate_server.quantum.observable import PauliSum, PauliTerm

X, Y, Z = (
    np.array([[0, 1], [1, 0]], dtype=complex),
    np.array([[0, -1j], [1j, 0]]),
    np.diag([1, -1]).astype(complex),
)
I2 = np.eye(2, dtype=complex)


def circuit(n, operations, bits=None):
    """With places, as a program on one line an operation would have them."""
    if bits is None:
        bits = 1 + max((o.bit for o in operations if isinstance(o, Measure)), default=-1)
    return Circuit(n, bits, tuple(operations))


def measured(n, operations, bits=None):
    """Each qubit measured at the end; bits: where to, by default to the bit of its number."""
    bits = range(n) if bits is None else bits
    return circuit(n, [*operations, *(Measure(q, b) for q, b in enumerate(bits))])


def mixing(n, seed=0):
    """Gates that leave no amplitude zero and no two alike."""
    rng = np.random.default_rng(seed)
    gates = [Gate("u", (q,), tuple(rng.uniform(0.3, 2.8, 3))) for q in range(n)]
    return gates + [Gate("cx", (q, q + 1)) for q in range(n - 1)]


VARIANTS = (
    ((), 1.0),
    ((1,), 1.0),
    ((0,), 1.0),
    ((1, 0), 1.0),
    ((), 2.0),
    ((), -1.0),
    ((), 0.5),
    ((0, 1), -0.25),
)
"""Controls and power of a gate."""


def gate_cases(variants=VARIANTS):
    """{name: circuit}: every gate of the library, by itself, controlled and raised to powers."""
    rng = np.random.default_rng(7)
    cases = {}
    for name, spec in GATES.items():
        n = max(4, spec.num_qubits + max(len(controls) for controls, _ in variants))
        gates = mixing(n)
        for controls, power in variants:
            count = spec.num_qubits + len(controls)
            qubits = tuple(int(q) for q in rng.permutation(n)[:count])
            angles = tuple(float(a) for a in rng.uniform(-3, 3, spec.num_parameters))
            gates.append(Gate(name, qubits, angles, controls, power))
            gates.append(Gate("ry", (int(rng.integers(n)),), (0.7,)))
        cases[name] = circuit(n, [*gates, *mixing(n, 1)])
    return cases


def random_circuit(n, depth, seed):
    rng = np.random.default_rng(seed)
    names = [name for name, spec in GATES.items() if spec.num_qubits <= n]
    gates = []
    for _ in range(depth):
        spec = GATES[str(rng.choice(names))]
        qubits = tuple(int(q) for q in rng.permutation(n)[: spec.num_qubits])
        angles = tuple(float(a) for a in rng.uniform(-3, 3, spec.num_parameters))
        gates.append(Gate(spec.name, qubits, angles))
    return gates


def ghz(n):
    return [Gate("h", (0,)), *(Gate("cx", (q, q + 1)) for q in range(n - 1))]


def fourier(n):
    gates = []
    for q in reversed(range(n)):
        gates.append(Gate("h", (q,)))
        gates += [Gate("cp", (k, q), (math.pi / 2 ** (q - k),)) for k in range(q)]
    return gates + [Gate("swap", (q, n - 1 - q)) for q in range(n // 2)]


def exact_circuits():
    """{what: circuit}, each measured at its end."""
    cases = {
        "ghz": measured(4, ghz(4)),
        "fourier": measured(4, [*mixing(4), *fourier(4)]),
        "to other bits": measured(3, mixing(3), bits=(4, 0, 2)),
        "some qubits": circuit(4, [*mixing(4), Measure(2, 0), Measure(0, 1)]),
        "broadcast": measured(3, [Gate("h", (q,)) for q in range(3)] + [Barrier((0, 1, 2))]),
        "idle qubits": circuit(40, [Gate("h", (3,)), Gate("cx", (3, 37)), Measure(37, 1)]),
        "measured early": circuit(2, [*mixing(2), Measure(0, 0), Gate("h", (1,)), Measure(1, 1)]),
        "nothing": circuit(2, [Measure(1, 0)]),
    }
    for seed in range(4):
        cases[f"random {seed}"] = measured(4, random_circuit(4, 25, seed))
    return cases


def teleportation():
    """The state of qubit 0 comes out at qubit 2, which is measured after it was turned back."""
    angles = (0.7, 0.4, -1.1)
    return circuit(
        3,
        [
            Gate("u", (0,), angles),
            Gate("h", (1,)),
            Gate("cx", (1, 2)),
            Gate("cx", (0, 1)),
            Gate("h", (0,)),
            Measure(0, 0),
            Measure(1, 1),
            If(Condition((1,), "==", 1), (Gate("x", (2,)),)),
            If(Condition((0,), "==", 1), (Gate("z", (2,)),)),
            Gate("u", (2,), angles, power=-1.0),
            Measure(2, 2),
        ],
    )


def dynamic_circuits():
    """{what: circuit} that go on after a measurement."""
    cases = {
        "teleportation": teleportation(),
        "measured twice": circuit(
            1, [Gate("h", (0,)), Measure(0, 0), Gate("ry", (0,), (1.0,)), Measure(0, 1)]
        ),
        "a bit written twice": circuit(
            2, [*mixing(2), Measure(0, 0), Gate("cx", (0, 1)), Measure(1, 0)]
        ),
        "reset": circuit(
            3, [*mixing(3), Reset(1), Gate("cx", (0, 1)), Measure(1, 0), Measure(2, 1)]
        ),
        "nested": circuit(
            2,
            [
                Gate("h", (0,)),
                Measure(0, 0),
                If(
                    Condition((0,), "==", 1),
                    (
                        Gate("h", (1,)),
                        Measure(1, 1),
                        If(
                            Condition((1,), "!=", 0),
                            (Gate("x", (0,)), Reset(1)),
                            (Gate("ry", (0,), (0.4,)),),
                        ),
                    ),
                    (Gate("ry", (1,), (2.0,)),),
                ),
                Measure(0, 2),
                Measure(1, 3),
            ],
        ),
        "a branch that rewrites its condition": circuit(
            2,
            [
                Gate("h", (0,)),
                Measure(0, 0),
                If(
                    Condition((0,), "==", 1),
                    (Gate("h", (1,)), Measure(1, 0), Gate("x", (1,))),
                    (Gate("x", (0,)),),
                ),
                Measure(0, 1),
                Measure(1, 2),
            ],
        ),
    }
    for comparison in ("==", "!=", "<", "<=", ">", ">="):
        for value in (0, 2, 5, 8):
            cases[f"{comparison} {value}"] = circuit(
                4,
                [
                    *(Gate("h", (q,)) for q in range(3)),
                    *(Measure(q, b) for q, b in enumerate((2, 0, 3))),
                    If(Condition((0, 2, 3), comparison, value), (Gate("x", (3,)),)),
                    Measure(3, 1),
                ],
            )
    return cases


def depolarizing(p, k=1):
    """With probability p the maximally mixed state."""
    kraus, letters = [], [I2, X, Y, Z]
    for index in np.ndindex(*(4,) * k):
        product = np.eye(1)
        for j in index:
            product = np.kron(letters[j], product)
        rest = 1 - p + p / 4**k if not any(index) else p / 4**k
        kraus.append(math.sqrt(rest) * product)
    return Channel(np.array(kraus), tuple(range(k)))


def damping(gamma, qubit=0):
    kept = np.array([[1, 0], [0, math.sqrt(1 - gamma)]], dtype=complex)
    lost = np.array([[0, math.sqrt(gamma)], [0, 0]], dtype=complex)
    return Channel(np.array([kept, lost]), (qubit,))


def flip(p, qubit=0):
    return Channel(np.array([math.sqrt(1 - p) * I2, math.sqrt(p) * X]), (qubit,))


def noise_models():
    """{what: model}."""
    return {
        "depolarizing": NoiseModel(
            {("*1", None): (depolarizing(0.02),), ("*2", None): (depolarizing(0.05, 2),)}
        ),
        "damping": NoiseModel(
            {
                ("h", None): (damping(0.1),),
                ("cx", None): (damping(0.05, 0), damping(0.2, 1)),
                ("u", (1,)): (damping(0.3), flip(0.1)),
            }
        ),
        "readout": NoiseModel({}, {None: (0.03, 0.08), 1: (0.2, 0.1)}),
        "everything": NoiseModel(
            {
                ("*1", None): (depolarizing(0.03),),
                ("*2", None): (depolarizing(0.02, 2), damping(0.1, 1)),
                ("measure", None): (flip(0.05),),
                ("reset", None): (flip(0.15),),
            },
            {None: (0.02, 0.05)},
        ),
    }


OBSERVABLES = [
    PauliSum((PauliTerm(1.0, 0, 0b001),)),
    PauliSum((PauliTerm(0.5, 0b011, 0b010), PauliTerm(-1.5, 0b110, 0b110), PauliTerm(2.0, 0, 0))),
    PauliSum((PauliTerm(0.7, 0b101, 0), PauliTerm(0.3, 0, 0b111), PauliTerm(-0.2, 0b010, 0b001))),
    PauliSum((PauliTerm(3.0, 0, 0),)),
    PauliSum(()),
]
"""On three qubits."""


def placed(operation, line, column):
    """The operation, as if it had been read there."""
    from dataclasses import replace

    return replace(operation, place=Place(line, column))
