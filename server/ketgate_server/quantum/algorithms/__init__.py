"""Quantum algorithms, whole: circuits, runs, classical baselines and checks."""
