"""Circuits to other gates: with Qiskit in a worker process, or by exact rules here."""
