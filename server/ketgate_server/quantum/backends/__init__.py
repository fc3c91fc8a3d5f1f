"""Simulators of others behind base.Backend: Aer, Cirq, Braket, PennyLane, QuTiP."""
