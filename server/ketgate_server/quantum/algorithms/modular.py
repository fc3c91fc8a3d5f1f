"""Modular multiplication as a circuit of 2n + 3 qubits in all, for order finding.

Beauregard, Quantum Information and Computation 3 (2003) 175: additions by phases in Fourier space.
Real arithmetic on the register: nothing of the order that is looked for goes into the circuit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ketgate_server.quantum.algorithms.builder import Builder, inverse
from ketgate_server.quantum.algorithms.fourier import inverse_transform, transform
from ketgate_server.quantum.circuit import Circuit, Condition, Gate, If, Operation


def add(amount: int, register: Sequence[int], controls: Sequence[int] = ()) -> list[Operation]:
    """Add to a register in Fourier space (transform without swaps), modulo 2^len."""
    out: list[Operation] = []
    for k, qubit in enumerate(register):
        angle = 2.0 * math.pi * (amount % (2 << k)) / (2 << k)
        if angle:
            ones = (1,) * len(controls)
            out.append(Gate("p", (*controls, qubit), (angle,), controls=ones))
    return out


def add_modulo(
    amount: int, modulus: int, register: Sequence[int], ancilla: int, controls: Sequence[int]
) -> list[Operation]:
    """Add amount modulo modulus where the controls are 1, in Fourier space. The register, of one
    qubit more than the modulus has bits, holds a number below the modulus."""
    plus = add(amount, register, controls)
    minus = inverse(plus)
    to_number = inverse_transform(register, swaps=False)
    to_phases = transform(register, swaps=False)
    sign = register[-1]
    return [
        *plus,
        *inverse(add(modulus, register)),
        *to_number,
        Gate("cx", (sign, ancilla)),
        *to_phases,
        *add(modulus, register, (ancilla,)),
        *minus,
        *to_number,
        Gate("x", (sign,)),
        Gate("cx", (sign, ancilla)),
        Gate("x", (sign,)),
        *to_phases,
        *plus,
    ]


def multiply_add(
    factor: int,
    modulus: int,
    x: Sequence[int],
    register: Sequence[int],
    ancilla: int,
    control: int,
) -> list[Operation]:
    """register += factor * x modulo modulus, where the control is 1."""
    out = transform(register, swaps=False)
    for k, qubit in enumerate(x):
        shifted = (factor << k) % modulus
        out += add_modulo(shifted, modulus, register, ancilla, (control, qubit))
    return [*out, *inverse_transform(register, swaps=False)]


def multiply(
    factor: int,
    modulus: int,
    x: Sequence[int],
    register: Sequence[int],
    ancilla: int,
    control: int,
) -> list[Operation]:
    """x becomes factor * x modulo modulus where the control is 1; register, zero, stays so."""
    undo = pow(factor, -1, modulus)
    return [
        *multiply_add(factor, modulus, x, register, ancilla, control),
        *(Gate("cswap", (control, a, b)) for a, b in zip(x, register, strict=False)),
        *inverse(multiply_add(undo, modulus, x, register, ancilla, control)),
    ]


def order_finding(base: int, modulus: int) -> Circuit:
    """Phase estimation of multiplication by base with one control qubit, used again for each of 2n
    bits (Griffiths and Niu 1996): the number read, over 2^(2n), is near a multiple of 1/order."""
    n = modulus.bit_length()
    bits = 2 * n
    control, x = 0, list(range(1, n + 1))
    register, ancilla = list(range(n + 1, 2 * n + 2)), 2 * n + 2
    built = Builder(2 * n + 3, bits)
    built.gate("x", x[0])
    for j in range(bits):
        power = pow(base, 1 << (bits - 1 - j), modulus)
        built.reset(control).gate("h", control)
        built.add(multiply(power, modulus, x, register, ancilla, control))
        for k in range(j):
            angle = -math.pi / (1 << (j - k))
            built.add([If(Condition((k,), "==", 1), (Gate("p", (control,), (angle,)),))])
        built.gate("h", control).measure([control], j)
    return built.circuit(f"order-of-{base}-modulo-{modulus}", registers=[("phase", bits)])
