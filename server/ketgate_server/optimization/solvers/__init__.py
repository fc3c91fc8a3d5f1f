"""The solvers, one a file."""
