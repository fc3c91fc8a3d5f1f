"""Optimisation: problems, solvers, and the race between them. Knows no gRPC but in service.py and
convert.py."""
