"""Clouds with quantum hardware: one module a provider, and the turns of jobs that wait there."""
