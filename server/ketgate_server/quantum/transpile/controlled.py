"""Gates of one qubit with any number of controls, exactly, in u and cx, without further qubits.

A. Barenco et al., Elementary gates for quantum computation, Phys. Rev. A 52 (1995) 3457: lemmas 5.1,
7.2, 7.3 and 7.5. With n controls a gate takes O(n) cx if it is x and a qubit is idle, else O(n^2).
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence

import numpy as np

from ketgate_server.quantum.circuit import Gate, Place
from ketgate_server.quantum.gates import Matrix

_X = np.array([[0, 1], [1, 0]], dtype=np.complex128)
_TINY = 1e-15


class Writer:
    """Collects gates. The global phase is added up apart, in radians."""

    def __init__(self, place: Place) -> None:
        self.gates: list[Gate] = []
        self.phase = 0.0
        self._place = place

    def u(self, theta: float, phi: float, lam: float, qubit: int) -> None:
        if theta or phi or lam:
            self.gates.append(Gate("u", (qubit,), (theta, phi, lam), place=self._place))

    def cx(self, control: int, target: int) -> None:
        self.gates.append(Gate("cx", (control, target), place=self._place))

    def x(self, qubit: int) -> None:
        self.u(math.pi, 0.0, math.pi, qubit)

    def phase_gate(self, angle: float, qubit: int) -> None:
        self.u(0.0, 0.0, angle, qubit)

    # --- any number of controls

    def controlled(
        self, matrix: Matrix, controls: Sequence[int], values: Sequence[int], target: int
    ) -> None:
        """The 2 by 2 matrix on target where each control has its value."""
        zeros = [qubit for qubit, value in zip(controls, values, strict=True) if not value]
        for qubit in zeros:
            self.x(qubit)
        self._controlled(matrix, list(controls), target)
        for qubit in zeros:
            self.x(qubit)

    def controlled_phase(
        self, angle: float, controls: Sequence[int], values: Sequence[int]
    ) -> None:
        """exp(i angle) where each control has its value."""
        if not controls:
            self.phase += angle
            return
        shift = np.diag(
            [cmath.exp(1j * angle), 1.0] if not values[-1] else [1.0, cmath.exp(1j * angle)]
        )
        self.controlled(shift, controls[:-1], values[:-1], controls[-1])

    def _controlled(self, matrix: Matrix, controls: list[int], target: int) -> None:
        if not controls:
            theta, phi, lam, alpha = angles(matrix)
            self.u(theta, phi, lam, target)
            self.phase += alpha
        elif len(controls) == 1:
            self._once(matrix, controls[0], target)
        elif len(controls) == 2 and np.allclose(matrix, _X, rtol=0, atol=_TINY):
            self.toffoli(controls[0], controls[1], target)
        else:
            *rest, last = controls
            root = square_root(matrix)
            self._once(root, last, target)
            self.many_x(rest, last, target)
            self._once(root.conj().T, last, target)
            self.many_x(rest, last, target)
            self._controlled(root, rest, target)

    def _once(self, matrix: Matrix, control: int, target: int) -> None:
        if np.allclose(matrix, _X, rtol=0, atol=_TINY):
            self.cx(control, target)
            return
        theta, phi, lam, alpha = angles(matrix)
        self.phase_gate(alpha + (lam + phi) / 2, control)
        if theta == 0.0:
            half = (lam + phi) / 2
            self.phase_gate(half, target)
            if half:
                self.cx(control, target)
                self.phase_gate(-half, target)
                self.cx(control, target)
            return
        self.phase_gate((lam - phi) / 2, target)
        self.cx(control, target)
        self.u(-theta / 2, 0.0, -(phi + lam) / 2, target)
        self.cx(control, target)
        self.u(theta / 2, phi, 0.0, target)

    def many_x(self, controls: Sequence[int], target: int, idle: int) -> None:
        """x on target with any number of controls; idle: a further qubit, in any state, which is
        left as it was."""
        if len(controls) <= 2:
            self._few_x(controls, target)
            return
        half = (len(controls) + 2) // 2
        first, second = list(controls[:half]), [*controls[half:], idle]
        for _ in range(2):
            self._chain(first, idle, [*controls[half:], target])
            self._chain(second, target, first)

    def _few_x(self, controls: Sequence[int], target: int) -> None:
        if len(controls) == 2:
            self.toffoli(controls[0], controls[1], target)
        else:
            self.cx(controls[0], target)

    def _chain(self, controls: Sequence[int], target: int, idle: Sequence[int]) -> None:
        """x with n controls and n - 2 idle qubits."""
        count = len(controls)
        if count <= 2:
            self._few_x(controls, target)
            return
        chain = [*idle[: count - 2], target]
        steps = [(controls[k + 1], chain[k - 1], chain[k]) for k in range(count - 2, 0, -1)]
        bottom = (controls[0], controls[1], chain[0])
        for down in (steps, steps[1:]):
            for a, b, c in [*down, bottom, *reversed(down)]:
                self.toffoli(a, b, c)

    def toffoli(self, a: int, b: int, c: int) -> None:
        t = math.pi / 4
        self.u(math.pi / 2, 0.0, math.pi, c)
        for control, angle in ((b, -t), (a, t), (b, -t)):
            self.cx(control, c)
            self.phase_gate(angle, c)
        self.cx(a, c)
        self.phase_gate(t, b)
        self.phase_gate(t, c)
        self.u(math.pi / 2, 0.0, math.pi, c)
        self.cx(a, b)
        self.phase_gate(t, a)
        self.phase_gate(-t, b)
        self.cx(a, b)


def angles(matrix: Matrix) -> tuple[float, float, float, float]:
    """(theta, phi, lambda, alpha): the unitary is exp(i alpha) U(theta, phi, lambda)."""
    (a, b), (c, d) = matrix.tolist()
    theta = 2 * math.atan2(abs(c), abs(a))
    alpha = cmath.phase(a) if abs(a) > _TINY else 0.0
    phi = cmath.phase(c) - alpha if abs(c) > _TINY else 0.0
    # Of the two entries that tell lambda, the larger: the other's phase may be noise.
    lam = cmath.phase(d) - alpha - phi if abs(d) >= abs(b) else cmath.phase(-b) - alpha
    return theta, phi, lam, alpha


def square_root(matrix: Matrix) -> Matrix:
    """A root of a 2 by 2 unitary: (M + s) / t, s^2 = det M, of the two the better conditioned."""
    s = cmath.sqrt(matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0])
    trace = matrix[0, 0] + matrix[1, 1]
    if abs(trace + 2 * s) < abs(trace - 2 * s):
        s = -s
    return np.asarray((matrix + s * np.eye(2)) / cmath.sqrt(trace + 2 * s))
